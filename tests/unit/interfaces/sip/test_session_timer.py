# SPDX-License-Identifier: GPL-2.0-or-later
"""Who refreshes a call, how long it is waited for, and whose timer counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from di.sip.records import Listen, SessionTimer
from interfaces.sip.session_timer import (
    NO_INTERVAL,
    ChosenTimers,
    Interval,
    SessionTimers,
    allows_update,
    interval_of,
    least_s,
    patience_s,
)

S = 1_000_000_000
THEIRS, OURS = Interval(90, ours=False), Interval(90, ours=True)


@pytest.mark.parametrize(
    ("header", "we_asked", "interval_s"),
    # what the peer has to keep; below 0: what we have to
    [
        ("Session-Expires: 90;refresher=uac", False, 90), ("Session-Expires: 90;refresher=uac", True, -90), ("x:90;refresher=uas", True, 90),
        ("X : 90 ; Refresher = UAS", False, -90), ("Session-Expires: 90", False, 90), ("Session-Expires: 90", True, -90),
        ("Session-Expires: 1800 ;a=b;refresher=uas", True, 1800), ("Session-Expires: soon", False, 0), ("Subject: none", False, 0),
        ("Session-Expires: 0;refresher=uac", False, 0), ("X-Session-Expires: 90;refresher=uac", False, 0),
    ],
)  # fmt: skip
def test_interval_that_the_peer_keeps(header: str, we_asked: bool, interval_s: int) -> None:
    text = f"SIP/2.0 200 OK\r\nVia: v\r\n{header}\r\nCSeq: 1 INVITE\r\n\r\nSession-Expires: 7\r\n"
    assert interval_of(text, we_asked) == (Interval(abs(interval_s), interval_s < 0) if interval_s else NO_INTERVAL)


@given(st.text(max_size=300), st.booleans())
def test_any_text_gives_an_interval(text: str, we_asked: bool) -> None:
    """Never raises, never negative."""
    assert interval_of(text, we_asked).seconds >= 0 and least_s(text) >= 0


def test_patience() -> None:
    """RFC 4028 §10."""
    assert [patience_s(seconds) for seconds in (90, 96, 100, 1800)] == [60, 64, 68, 1768]


def test_only_what_was_taken_over_expires_and_once() -> None:
    timers = SessionTimers()
    for call in (1, 3, 5):
        timers.refreshed(call, THEIRS, 0)
    assert timers.fresh() == [1, 3, 5] and timers.expired(100 * S) == []
    timers.take_over(1, True)
    timers.take_over(3, False)
    timers.take_over(5, True)
    timers.forget(5)
    assert timers.fresh() == [] and timers.expired(60 * S - 1) == []
    assert timers.expired(60 * S) == [1] and timers.expired(900 * S) == []


def test_refresh_begins_anew_and_may_end_it() -> None:
    timers = SessionTimers()
    timers.refreshed(1, THEIRS, 0)
    timers.take_over(1, True)
    timers.refreshed(1, THEIRS, 50 * S)
    timers.take_over(1, True)
    assert timers.expired(109 * S) == [] and timers.expired(110 * S) == [1]
    timers.refreshed(1, THEIRS, 0)
    timers.take_over(1, True)
    timers.refreshed(1, NO_INTERVAL, 10 * S)
    assert timers.fresh() == [] and timers.expired(900 * S) == []


def test_what_is_ours_is_refreshed_at_half_time_and_ends_with_its_interval() -> None:
    timers = SessionTimers()
    timers.refreshed(1, OURS, 0)
    timers.take_over(1, True)
    assert timers.due(45 * S - 1) == [] and timers.due(45 * S) == [1] and timers.due(46 * S) == [], "once"
    timers.in_the_way(1, 46 * S)
    assert timers.due(48 * S - 1) == [] and timers.due(48 * S) == [1]
    assert timers.expired(90 * S - 1) == [] and timers.expired(90 * S) == [1]


@pytest.mark.parametrize(
    ("code", "accept_501", "again_s", "ends_s"),
    [(501, True, 95, 140), (501, False, 70, 90), (500, True, 70, 90), (481, True, 0, 50)],
)
def test_a_refresh_that_is_refused(code: int, accept_501: bool, again_s: int, ends_s: int) -> None:
    timers = SessionTimers()
    timers.refreshed(1, OURS, 0)
    timers.take_over(1, True)
    timers.due(45 * S)
    timers.answered(1, code, accept_501, 50 * S)
    if again_s:
        assert timers.due(again_s * S - 1) == [] and timers.due(again_s * S) == [1]
    assert timers.expired(ends_s * S - 1) == [] and timers.expired(ends_s * S) == [1]


def test_what_replies_say_of_min_se_and_update() -> None:
    assert least_s("SIP/2.0 422 x\r\nmin-se: 200;a\r\n\r\nMin-SE: 7") == 200 and least_s("SIP/2.0 422 x\r\n\r\nMin-SE: 7") == 0
    assert allows_update([("Allow", "INVITE"), ("allow", "ACK , UPDATE")]) and not allows_update(
        [("Allow", "UPDATES"), ("X", "UPDATE")]
    )


def test_which_interval_a_call_has() -> None:
    listen = Listen(
        "", 0, timers=(("tea", SessionTimer(120, 90)),), selection="$(mapping)", mapping="^sip:tea@=>tea\n^sip:=>other"
    )
    chosen = ChosenTimers(listen)

    def of(user: str, method: str = "INVITE") -> SessionTimer | None:
        return chosen.of(f"{method} sip:{user}@h SIP/2.0\r\nVia: x\r\n\r\n")

    assert of("tea") == SessionTimer(120, 90) and of("tea", "OPTIONS") is None and of("cup") is None
    chosen.select("tea", "")
    assert of("cup") == SessionTimer(120, 90)
    assert chosen.of("") is None and chosen.of("INVITE") is None and chosen.of("INVITE  ") is not None
