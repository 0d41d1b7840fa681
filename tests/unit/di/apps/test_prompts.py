# SPDX-License-Identifier: GPL-2.0-or-later
"""Which file is found by name, by person and language; that what is missing is said once, and that nobody leaves the folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from di.apps.prompts import ANNOUNCEMENT, LONELY_USER, VOICEMAIL, Asked, PromptFolder, PromptLibrary, Prompts, candidates
from media.control.play_items import PlayFile


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def test_named(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(folder, "a.wav")
    prompts = Prompts("box", {"a": folder / "a.wav", "again": folder / "a.wav", "off": None, "gone": folder / "gone.wav"})
    assert [record.getMessage() for record in caplog.records] == [f"box: prompt gone: there is no file {folder / 'gone.wav'}"]
    assert prompts.find("a") == folder / "a.wav"
    assert prompts.find("off") is None
    assert prompts.paths() == [str(folder / "a.wav")]
    assert prompts.missing(["gone", "a", "b"]) == ["b", "gone"]


def test_missing_is_one_warning_a_call(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(folder, "a.wav")
    prompts = Prompts("box", {"a": folder / "a.wav", "off": None})
    for call in ("C1", "C2"):
        of_call = prompts.of_call(call)
        for _ in range(3):
            assert of_call.items("b", "off", "a", loop=True) == (PlayFile(str(folder / "a.wav"), loop=True),)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "call C1: box: prompt b is not there; nothing is played"),
        ("WARNING", "call C2: box: prompt b is not there; nothing is played"),
    ]


@pytest.mark.parametrize(
    ("rules", "asked", "paths"),
    [
        (ANNOUNCEMENT, Asked("d", "u"), ["d/u.wav", "u.wav"]),
        (ANNOUNCEMENT, Asked("d", "u", "de"), ["d/de/u.wav", "d/u.wav", "de/u.wav", "u.wav", "de/hi.wav"]),
        (ANNOUNCEMENT, Asked("", "u"), ["u.wav"]),
        (ANNOUNCEMENT, Asked("..", "u"), ["u.wav"]),
        (ANNOUNCEMENT, Asked("d", "../u"), []),
        (ANNOUNCEMENT, Asked("d", "{default}"), ["d/{default}.wav", "{default}.wav"]),
        (VOICEMAIL, Asked("d", "u", "de"), ["d/u.wav", "d/de/hi.wav", "d/hi.wav", "de/hi.wav"]),
        (
            VOICEMAIL,
            Asked("d", "u", "de-AT"),
            ["d/u.wav", "d/de-AT/hi.wav", "d/de/hi.wav", "d/hi.wav", "de-AT/hi.wav", "de/hi.wav"],
        ),
        (VOICEMAIL, Asked("d", "u", "../de"), ["d/u.wav", "d/hi.wav"]),
        (VOICEMAIL, Asked("d", "", ""), ["d/hi.wav"]),
        (LONELY_USER, Asked("d", "", "fr"), ["lonely_user_msg/d/default_fr.wav", "lonely_user_msg/default_fr.wav", "fr/hi.wav"]),
        (LONELY_USER, Asked("d", "u", ""), []),
    ],
)
def test_candidates(rules: tuple[str, ...], asked: Asked, paths: list[str]) -> None:
    assert list(candidates(rules, asked, "hi.wav")) == paths


def test_voicemails_path_step_by_step(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Each step is found as soon as those before it are gone."""
    steps = ["d/u.wav", "d/de/hi.wav", "d/hi.wav", "de/hi.wav", "hi.wav"]
    put(folder, *steps)
    greetings = PromptFolder("voicemail", folder, VOICEMAIL, "hi.wav")
    for step in steps:
        assert greetings.find(Asked("d", "u", "de"), "C1") == folder / step
        (folder / step).unlink()
    assert not caplog.records
    assert greetings.find(Asked("d", "u", "de"), "C1") is None
    [record] = caplog.records
    assert record.levelname == "WARNING" and record.getMessage().startswith("call C1: voicemail: no file for 'u': neither ")


def test_default_may_be_elsewhere(folder: Path) -> None:
    put(folder, "else/hi.wav")
    assert PromptFolder("x", folder / "in", ANNOUNCEMENT, folder / "else/hi.wav").find(Asked(), "C1") == folder / "else/hi.wav"


@given(st.text(max_size=12), st.text(max_size=12), st.text(max_size=12))
def test_nobody_leaves_the_folder(domain: str, user: str, language: str) -> None:
    base = Path("/base")
    for rules in (ANNOUNCEMENT, VOICEMAIL, LONELY_USER):
        for path in candidates(rules, Asked(domain, user, language), "hi.wav"):
            assert ".." not in (base / path).parts
            assert (base / path).is_relative_to(base) and "\0" not in path


@pytest.mark.parametrize(
    ("domain", "language", "found"),
    [
        ("d", "de", "d/de"),
        ("d", "de-AT", "d/de"),
        ("d", "fr", "d/en"),
        ("e", "de", "de"),
        ("e", "fr", "en"),
        ("../d", "../de", "en"),
    ],
)
def test_sets(folder: Path, domain: str, language: str, found: str) -> None:
    put(folder, *(f"{place}/{name}.wav" for place in ("d/de", "d/en", "de", "en") for name in ("bye", "1")))
    sets = PromptLibrary("box", folder, ["d", "e"], {"de": ["bye", "1"], "en": ["bye"], "": ["bye"]}, "en")
    assert len(sets) == 4
    prompts = sets.find(domain, language)
    assert prompts is not None and prompts.find("bye") == folder / found / "bye.wav"


def test_set_that_is_not_complete(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(folder, "de/bye.wav")
    sets = PromptLibrary("box", folder, [], {"de": ["bye", "1", "2"]})
    assert len(sets) == 0 and sets.find("", "de") is None
    assert [record.getMessage() for record in caplog.records] == [f"box: prompts in {folder / 'de'} are not used: 1, 2 missing"]


def test_a_language_without_any_set_is_said(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "shop" / "de").mkdir(parents=True)
    (folder / "shop" / "de" / "bye.wav").write_bytes(b"")
    PromptLibrary("box", folder, ["shop"], {"de": ["bye"], "fr": ["bye"], "": ["bye"]})
    assert [record.getMessage() for record in caplog.records] == [
        f"box: there are no prompts for language fr: no folder {folder}/fr"
    ]
