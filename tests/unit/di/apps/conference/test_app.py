# SPDX-License-Identifier: GPL-2.0-or-later
"""The conference without remote control: rooms, sounds, and dial-out by keypad."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from di.apps.conference import PLUGIN
from di.calls.session import Session
from di.kernel.errors import ConfigError
from di.sip import records as sip
from di.spoken.tones import write
from media.control import play_items, records
from tests.support.playbook import Playbook


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("default", "join", "drop", "lonely_user_msg/default_de", "lonely_user_msg/here.example/default_fr"):
        write(tmp_path / "prompts" / f"{name}.wav", ((1000, 20),))
    return tmp_path


def conference(folder: Path, text: str = "dialout_suffix=@provider.example\n") -> Playbook:
    book = Playbook(conf_dir=folder, mapping="^sip:=>conference\n").with_monitoring()
    book.load(PLUGIN, "join_sound=join.wav\ndrop_sound=drop.wav\n" + text)
    return book


def press(book: Playbook, session: Session, keys: str) -> None:
    for key in keys:
        book.media.press(session.leg, key)
        book.run(1)


def callee(book: Playbook) -> Any:
    return next((s for s in book.sessions if s.info.direction == "out"), None)


def room_of(book: Playbook, session: Session) -> str:
    """The room that a leg speaks in."""
    return next((item.room for item in book.media.legs[session.leg].playlist if isinstance(item, play_items.PlayRoom)), "")


def bridged_to(book: Playbook, session: Session) -> int:
    """The leg that a leg is alone with."""
    return next((item.peer_leg for item in book.media.legs[session.leg].playlist if isinstance(item, play_items.PlayBridge)), 0)


def test_everybody_who_calls_a_user_meets(folder: Path) -> None:
    book = conference(folder)
    one = book.up("blue")
    assert book.media.files(one.leg) == ["default"]
    two, other = book.up("blue"), book.up("red")
    assert book.media.files(one.leg)[0] == "join"
    assert room_of(book, one) == room_of(book, two) == "blue"
    assert room_of(book, other) == "red"
    assert sorted(book.invoke("monitoring", "listByFilter", ["conf_id", "blue"])) == sorted([one.id, two.id])
    book.bye(one)
    assert book.media.files(two.leg)[0] == "drop"


def test_full_room_is_busy(folder: Path) -> None:
    book = conference(folder, "max_participants=1\n")
    book.up("blue")
    assert book.answers(book.offer("blue")) == [486]
    assert book.answers(book.offer("red")) == [200]


def test_rfc4240_names(folder: Path) -> None:
    book = conference(folder, "use_rfc4240_rooms=yes\n")
    assert book.answers(book.offer("blue")) == [404]
    assert book.answers(book.offer("conf=")) == [404]
    assert room_of(book, book.up("conf=blue")) == "blue"


@pytest.mark.parametrize(
    ("language", "file"),
    [
        ("de", "lonely_user_msg/default_de.wav"),
        ("fr", "here.example/default_fr.wav"),
        ("xx", "prompts/default.wav"),
        ("../x", "prompts/default.wav"),
    ],
)
def test_language(folder: Path, language: str, file: str) -> None:
    book = conference(folder)
    session = book.up("blue", (("P-App-Param", f"Language={language}"),))
    current = book.media.current(session.leg)
    assert current is not None
    assert current.path.endswith(file)
    plain = book.up("red")
    assert book.media.files(plain.leg) == ["default"]  # one caller's choice does not become everybody's


def test_listen_only(folder: Path) -> None:
    book = conference(folder)
    assert book.media.legs[book.up("blue", (("P-Listen-Only", ""),)).leg].audio == {"muted": True}
    assert book.media.legs[book.up("blue", (("P-App-Param", "x=y"), ("P-Listen-Only", "1"))).leg].audio == {}


def test_dialout_by_keypad(folder: Path) -> None:
    book = conference(folder)
    one = book.up("blue", (("P-App-Param", "Dialout-From='<sip:desk@here.example>';Dialout-Extra='X-A: 1|X-B: 2'"),))
    press(book, one, "12#3#*555#*")
    session = callee(book)
    placed = book.sip.of(sip.Dial, session.call)[0]
    assert placed.request_uri == "sip:555%23@provider.example"
    assert placed.from_uri == "<sip:desk@here.example>"
    assert placed.headers == ("X-A: 1", "X-B: 2")
    assert book.sessions.rooms.count("blue") == 0
    book.confirm(session.call)
    assert bridged_to(book, one) == session.leg and bridged_to(book, session) == one.leg
    press(book, one, "*")
    assert room_of(book, one) == room_of(book, session) == "blue"
    assert sorted(book.sessions.rooms.members("blue")) == sorted([one.id, session.id])
    press(book, session, "#*")
    press(book, one, "#")
    assert len(book.sessions) == 2
    book.bye(session)
    assert book.sessions.rooms.members("blue") == [one.id]


@pytest.mark.parametrize("answered", [False, True])
def test_hash_drops_the_callee(folder: Path, answered: bool) -> None:
    book = conference(folder)
    one = book.up("blue")
    press(book, one, "#*5*")
    session = callee(book)
    if answered:
        book.confirm(session.call)
    press(book, one, "#")
    assert book.sip.of(sip.Hangup, session.call)
    assert len(book.sessions) == 1
    assert room_of(book, one) == "blue"
    assert not [i for i in book.media.legs[one.leg].playlist if isinstance(i, play_items.PlayTone)]


def test_callee_that_does_not_come(folder: Path) -> None:
    book = conference(folder)
    one = book.up("blue")
    press(book, one, "#*5*")
    book.fail(callee(book).call)
    playlist = book.media.legs[one.leg].playlist
    tone = next(item for item in playlist if isinstance(item, play_items.PlayTone))
    assert (tone.frequencies_hz, tone.on_ms, tone.off_ms, tone.length_ms) == ((440, 480), 250, 250, 2000)
    assert room_of(book, one) == "blue"


def test_callee_that_hangs_up_in_private(folder: Path) -> None:
    book = conference(folder)
    one = book.up("blue")
    press(book, one, "#*5*")
    book.confirm(callee(book).call)
    book.bye(callee(book))
    assert room_of(book, one) == "blue"
    assert not [i for i in book.media.legs[one.leg].playlist if isinstance(i, play_items.PlayTone)]


def test_caller_that_hangs_up_takes_the_callee_along(folder: Path) -> None:
    book = conference(folder)
    one = book.up("blue")
    press(book, one, "#*5*")
    book.bye(one)
    assert len(book.sessions) == 0


@pytest.mark.parametrize("keys", ["#5*", "*5*", "#**", "5*"])
def test_other_keys_dial_nothing(folder: Path, keys: str) -> None:
    book = conference(folder)
    press(book, book.up("blue"), keys)
    assert callee(book) is None


def test_without_suffix_keys_mean_nothing(folder: Path) -> None:
    book = conference(folder, "")
    press(book, book.up("blue"), "#*5*")
    assert callee(book) is None


def test_default_announcement_must_exist(folder: Path) -> None:
    with pytest.raises(ConfigError, match="default_announce"):
        conference(folder, "default_announce=none.wav\n")


def test_rtp_timeout_leaves_the_room(folder: Path) -> None:
    book = conference(folder)
    one = book.up("blue")
    book.sessions.on_media_event(records.RtpTimedOut(one.leg, 300_000))
    book.run()
    assert book.sessions.rooms.count("blue") == 0
