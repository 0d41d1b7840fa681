# SPDX-License-Identifier: GPL-2.0-or-later
"""A call before its answer: 183, the file, then the final reply or the way on."""

from __future__ import annotations

from pathlib import Path

import pytest

from di.apps.early_announce import PLUGIN
from di.sip import records as sip
from media.control import play_items, records
from tests.support.playbook import Playbook


def book(tmp_path: Path, text: str = "") -> Playbook:
    (tmp_path / "audio").mkdir(exist_ok=True)
    (tmp_path / "audio/default.wav").write_bytes(b"RIFF")
    playbook = Playbook(conf_dir=tmp_path, mapping="^sip:=>early_announce\n")
    playbook.load(PLUGIN, f"announce_path=audio/\n{text}")
    return playbook


def early(playbook: Playbook, *headers: tuple[str, str]) -> int:
    """A call whose early media is up."""
    call = playbook.offer("nobody", headers)
    playbook.negotiate(call)
    return call


def over(playbook: Playbook, call: int) -> None:
    playbook.media.finish_item(playbook.session(call).leg)
    playbook.run()


@pytest.mark.parametrize(
    ("headers", "code", "reason"),
    [
        ((), 404, "Not Found"),
        ((("P-App-Param", "Final-Reply-Code=405;Final-Reply-Reason=Prohibited"),), 405, "Prohibited"),
        ((("P-Final-Reply-Code", "603"), ("P-Final-Reply-Reason", "Decline")), 603, "Decline"),
        ((("P-App-Param", "x=1"), ("P-Final-Reply-Code", "603")), 404, "Not Found"),
        ((("P-App-Param", "Final-Reply-Code=200"),), 404, "Not Found"),
        ((("P-App-Param", "Final-Reply-Code=4x4"),), 404, "Not Found"),
        ((("P-App-Param", "Final-Reply-Code=486"),), 486, "Not Found"),
    ],
)
def test_183_the_file_and_the_final_reply(tmp_path: Path, headers: tuple[tuple[str, str], ...], code: int, reason: str) -> None:
    playbook = book(tmp_path)
    call = early(playbook, *headers)
    assert playbook.answers(call) == [183]
    assert playbook.media.current(playbook.session(call).leg) == play_items.PlayFile(str(tmp_path / "audio/default.wav"))
    over(playbook, call)
    assert [(c.code, c.reason) for c in playbook.sip.of(sip.Hangup, call)] == [(code, reason)]
    assert len(playbook.sessions) == 0


def test_a_file_that_cannot_be_played(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    playbook = book(tmp_path)
    call = early(playbook)
    leg = playbook.session(call).leg
    playbook.sessions.on_media_event(records.ItemFailed(leg, "x.wav", "no wav file"))
    playbook.media.finish_item(leg)
    playbook.run()
    assert playbook.answers(call) == [183, 404] and "x.wav cannot be played: no wav file" in caplog.text


def test_no_media_before_the_answer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    playbook = book(tmp_path)
    call = playbook.offer("nobody")
    playbook.run(6)
    assert playbook.answers(call) == [183, 404] and "no media before the answer" in caplog.text


def test_the_caller_gives_up(tmp_path: Path) -> None:
    playbook = book(tmp_path)
    call = early(playbook)
    playbook.sessions.on_sip_event(sip.CallEnded(call, 487, "Request Terminated", "cancel"))
    playbook.run(10)
    assert len(playbook.sessions) == 0 and playbook.answers(call) == [183]


@pytest.mark.parametrize(
    ("mode", "headers", "onward"),
    [
        ("yes", (), True),
        ("app-param", (), False),
        ("app-param", (("P-App-Param", "B2B=yes"),), True),
        ("app-param", (("P-B2B", "yes"),), True),
        ("no", (("P-App-Param", "B2B=yes"),), False),
    ],
)
def test_the_way_on(tmp_path: Path, mode: str, headers: tuple[tuple[str, str], ...], onward: bool) -> None:
    playbook = book(tmp_path, f"continue_b2b={mode}\nnext_hop=sip:127.0.0.1:5070\n")
    call = early(playbook, *headers)
    over(playbook, call)
    dials = [c for c in playbook.sip.commands if isinstance(c, sip.Dial)]
    assert (len(dials), playbook.answers(call)) == ((1, [183]) if onward else (0, [183, 404]))
    if onward:
        dial = dials[0]
        assert (dial.request_uri, dial.next_hop) == ("sip:nobody@here.example", "sip:127.0.0.1:5070")
        assert "X-Announced: sip:nobody@here.example" in dial.headers and not any("P-App" in line for line in dial.headers)
        playbook.fail(dial.call, 486, "Busy Here")
        assert playbook.answers(call) == [183, 486], "the caller hears what the callee said"


def test_the_way_on_is_answered(tmp_path: Path) -> None:
    playbook = book(tmp_path, "continue_b2b=yes\n")
    call = early(playbook)
    over(playbook, call)
    dial = next(c for c in playbook.sip.commands if isinstance(c, sip.Dial))
    second = playbook.confirm(dial.call)
    assert playbook.answers(call) == [183, 200]
    assert playbook.media.current(second.leg) == play_items.PlayBridge(playbook.session(call).leg)


def test_a_call_that_comes_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    playbook = book(tmp_path, "continue_b2b=yes\n")
    assert playbook.answers(playbook.offer("nobody", (("X-Announced", "sip:nobody@here.example"),))) == [482]
