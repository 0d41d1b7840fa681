# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls as arrows: one line a message, times from the call's beginning, nothing that steers a terminal."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from clients.app.arrows import Arrows

CALL = {"k": "call", "call": "c1", "direction": "in", "ruri": "sip:card@x", "from": "<sip:anna@x>"}


def op(number: int, what: str, **values: object) -> dict[str, Any]:
    return {"k": "op", "call": "c1", "op": number, "do": what, "with": values}


def test_a_call_reads_from_top_to_bottom() -> None:
    arrows = Arrows()
    arrows.told(CALL, 100.0)
    arrows.said(op(1, "answer", code=200, reason="OK", headers=[]), 100.0)
    arrows.told({"k": "event", "call": "c1", "name": "started"}, 100.1)
    arrows.said(op(2, "play", path="pin.wav", loop=False), 100.1)
    arrows.told({"k": "event", "call": "c1", "name": "digit", "key": "1", "duration_ms": 90}, 101.35)
    arrows.told({"k": "done", "call": "c1", "op": 2}, 101.4)
    arrows.said(op(3, "connect", targets=["sip:a@b", "sip:c@d"]), 102)
    arrows.told({"k": "failed", "call": "c1", "op": 3, "code": 486, "reason": "Busy Here"}, 103)
    arrows.said(op(0, "log", account="acme"), 103)
    arrows.said(op(0, "other_ended", leg="x"), 103)
    arrows.told({"k": "ended", "call": "c1", "code": 200, "reason": "BYE", "by": "remote"}, 104)
    assert arrows.of("c1") == [
        "    0.00  caller ──► INVITE sip:card@x from <sip:anna@x>",
        "    0.00         ◄── answer 200 OK",
        "    0.10         ──► the call is up",
        "    0.10         ◄── play pin.wav",
        "    1.35         ──► key 1",
        "    1.40               play pin.wav is over",
        "    2.00         ◄── connect sip:a@b sip:c@d",
        "    3.00         ──► connect sip:a@b sip:c@d failed: 486 Busy Here",
        "    3.00         ◄── log account=acme",
        "    4.00         ──► the end, remote: 200 BYE",
    ]
    arrows.forget("c1")
    assert arrows.of("c1") == []


def test_what_is_no_matter_of_a_call_has_no_line() -> None:
    arrows = Arrows()
    assert arrows.told({"k": "ping", "n": 1}, 0) == "" and arrows.said({"k": "di", "n": 1, "module": "m"}, 0) == ""


values = st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.lists(st.text(max_size=5), max_size=3)
messages = st.fixed_dictionaries(
    {"k": st.sampled_from("call op done failed event ended ping".split())},
    optional=dict.fromkeys("call op do name key code reason by params method ruri from path targets".split(), values)
    | {"with": st.dictionaries(st.sampled_from("path loop targets code reason why".split()), values, max_size=4)},
)


@given(st.lists(messages, max_size=8))
def test_any_message_is_a_line_that_a_terminal_may_have(several: list[dict[str, object]]) -> None:
    arrows = Arrows()
    for message in several:
        for line in (arrows.told(message, 0), arrows.said(message, 0)):
            assert line.isprintable()
