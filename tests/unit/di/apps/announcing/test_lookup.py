# SPDX-License-Identifier: GPL-2.0-or-later
"""Which file a call gets, candidate by candidate: each one that is taken away leaves the next."""

from __future__ import annotations

from pathlib import Path

import pytest

from di.apps.announcing.database import AudioQuery, AudioUnavailable
from di.apps.announcing.lookup import AudioFinder, asked_by
from di.apps.api import CallInfo, Refused
from di.apps.prompts import Asked

PARAMS = "usr=u;dom=d.example;lng=de;uid=17;did=42"


def info(*headers: tuple[str, str], uri: str = "sip:user_not_found@announcements.example") -> CallInfo:
    return CallInfo("in", uri, headers=headers)


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        (info(), Asked("announcements.example", "user_not_found")),
        (info(("P-App-Param", PARAMS)), Asked("42", "17", "de")),
        (info(("P-App-Param", "usr=u;dom=d.example;lng=%$f.lang%")), Asked("d.example", "u", "%$f.lang%")),
        (info(("P-App-Param", "User=u;Domain=d.example;Language=de-AT")), Asked("d.example", "u", "de-AT")),
        (info(("P-App-Param", "usr=;dom=;uid=;")), Asked("announcements.example", "user_not_found")),
        (info(("P-Language", "it")), Asked("announcements.example", "user_not_found", "it")),
        (info(("P-App-Param", "usr=u"), ("P-Language", "it")), Asked("announcements.example", "u")),
        (info(uri="sip:x@[2001:db8::1]"), Asked("2001:db8::1", "x")),
        (info(uri="tel:+49"), Asked("", "+49")),
    ],
)
def test_who_is_asked_for(given: CallInfo, asked: Asked) -> None:
    assert asked_by(given) == asked


def walk(folder: Path, asked: Asked) -> list[str]:
    """All candidates in their order: found, and taken away."""
    announcements = AudioFinder("announcement", folder, "default.wav")
    order = []
    while True:
        try:
            found = announcements.find_now(asked, "call-1")
        except Refused as refused:
            assert (refused.code, refused.reason) == (404, "Not Found")
            return order
        order.append(found.relative_to(folder).as_posix())
        found.unlink()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for domain in ("", "shop.example/"):
        for language in ("", "de/", "de-AT/"):
            for name in ("gone.wav", "gone.mp3", "default.wav"):
                path = tmp_path / f"{domain}{language}{name}"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(b"RIFF")
    return tmp_path


def test_without_a_language_it_is_the_order_of_sems(folder: Path) -> None:
    assert walk(folder, Asked("shop.example", "gone")) == [
        "shop.example/gone.wav", "shop.example/gone.mp3", "gone.wav", "gone.mp3", "default.wav",
    ]  # fmt: skip


def test_with_a_language(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    order = walk(folder, Asked("shop.example", "gone", "de-AT"))
    assert order == [
        "shop.example/de-AT/gone.wav", "shop.example/de/gone.wav", "shop.example/de-AT/gone.mp3", "shop.example/de/gone.mp3",
        "shop.example/gone.wav", "shop.example/gone.mp3",
        "de-AT/gone.wav", "de/gone.wav", "de-AT/gone.mp3", "de/gone.mp3",
        "gone.wav", "gone.mp3",
        "de-AT/default.wav", "de/default.wav",
        "default.wav",
    ]  # fmt: skip
    assert "call call-1: announcement: no file for 'gone'" in caplog.text


class Rows:
    """A database's answers, given by the test."""

    def __init__(self, answer: Path | AudioUnavailable | None) -> None:
        self.answer = answer

    async def find(self, query: AudioQuery, call: str) -> Path | None:
        assert query == AudioQuery("announcement", "greeting_msg", "shop.example", "gone", ("de", "en"))
        if isinstance(self.answer, AudioUnavailable):
            raise self.answer
        return self.answer

    def close(self) -> None:
        pass


async def outcome(folder: Path, answer: Path | AudioUnavailable | None) -> tuple[str, int]:
    """The file, or the code of the refusal."""
    rows = ("announcement", "greeting_msg", "en")
    finder = AudioFinder("announcement", folder, "default.wav", Rows(answer), rows)  # type: ignore[arg-type]
    assert finder.waits
    try:
        return (await finder.find(Asked("Shop.Example", "gone", "de"), "call-1")).relative_to(folder).as_posix(), 200
    except Refused as refused:
        return "", refused.code


async def test_the_database_then_the_files(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert await outcome(folder, folder / "gone.mp3") == ("gone.mp3", 200)
    assert await outcome(folder, None) == ("de/gone.wav", 200)
    assert not caplog.records
    assert await outcome(folder, AudioUnavailable("no way")) == ("de/gone.wav", 200)
    assert f"{folder}/de/gone.wav is played, for the database cannot be asked: no way" in caplog.text
    empty = folder / "empty"
    assert await outcome(empty, None) == ("", 404)
    assert await outcome(empty, AudioUnavailable("no way")) == ("", 500)
    assert len([record for record in caplog.records if record.getMessage().startswith("call call-1: announcement: ")]) == 3
