# SPDX-License-Identifier: GPL-2.0-or-later
"""Which file is played, how the call ends, and that names from outside stay inside the folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from di.apps.announcement import PLUGIN
from di.kernel.errors import ConfigError
from di.sip import records as sip
from media.control import play_items, records
from tests.support.playbook import Playbook


@pytest.fixture
def book(tmp_path: Path) -> Playbook:
    for name in ("audio/default.wav", "audio/gone.wav", "audio/shop.example/gone.wav", "outside.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    playbook = Playbook(conf_dir=tmp_path, mapping="^sip:=>announcement\n")
    playbook.load(PLUGIN, "announce_path=audio/\n")
    return playbook


@pytest.mark.parametrize(
    ("user", "domain", "file"),
    [
        ("gone", "shop.example", "audio/shop.example/gone.wav"),
        ("gone", "other.example", "audio/gone.wav"),
        ("nobody", "shop.example", "audio/default.wav"),
        ("../outside", "shop.example", "audio/default.wav"),
        ("..%2Foutside", "shop.example", "audio/default.wav"),
        ("gone", "..", "audio/gone.wav"),
        ("gone%00", "x", "audio/default.wav"),
    ],
)
def test_file(book: Playbook, user: str, domain: str, file: str) -> None:
    session = book.confirm(book.offer(user, domain=domain))
    current = book.media.current(session.leg)
    assert current == play_items.PlayFile(str(book.services.conf_dir / file))


def test_bye_after_the_file(book: Playbook) -> None:
    session = book.up("gone")
    book.media.finish_item(session.leg)
    book.run()
    assert book.sip.of(sip.Hangup, session.call)
    assert len(book.sessions) == 0


def test_loop_is_on_for_exactly_true(tmp_path: Path, book: Playbook) -> None:
    for text, on in (("true", True), ("no", False), ("false", False)):
        own = Playbook(conf_dir=tmp_path, mapping="^sip:=>announcement\n")
        own.load(PLUGIN, f"announce_path=audio/\nloop={text}\n")
        current = own.media.current(own.up("gone").leg)
        assert current is not None
        assert current.loop is on


def test_file_that_vanished(book: Playbook, caplog: pytest.LogCaptureFixture) -> None:
    (book.services.conf_dir / "audio/default.wav").unlink()
    assert book.answers(book.offer("nobody")) == [404]
    assert "no file for 'nobody'" in caplog.text


def test_file_that_cannot_be_played(book: Playbook, caplog: pytest.LogCaptureFixture) -> None:
    session = book.up("gone")
    book.sessions.on_media_event(records.ItemFailed(session.leg, "gone.wav", "no wav file"))
    book.run()
    assert book.sip.of(sip.Hangup, session.call)
    assert "gone.wav cannot be played: no wav file" in caplog.text


def test_default_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"announcement.conf:1: default_announce: there is no file .*none\.wav"):
        Playbook(conf_dir=tmp_path).load(PLUGIN, "default_announce=none.wav\n")
