# SPDX-License-Identifier: GPL-2.0-or-later
"""What became of a call that we placed, in one word: for functions, events, records and counters alike (docs/dialling.md)."""

from __future__ import annotations

from enum import StrEnum

from di.sip.records import CallEnded


class DialResult(StrEnum):
    """How a call out ended, or that it was answered."""

    ANSWERED = "answered"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    """It rang as long as it may, or nobody was there to take it."""
    REJECTED = "rejected"
    """The called side does not want it: refused, forbidden, not acceptable."""
    REDIRECTED = "redirected"
    """3xx that was not followed."""
    UNREACHABLE = "unreachable"
    """No such number, no way there, no reply, the network or a server failed."""
    CANCELLED = "cancelled"
    """We gave up before the answer."""


_BY_CODE = {
    **dict.fromkeys((486, 600), DialResult.BUSY),
    **dict.fromkeys((408, 480), DialResult.NO_ANSWER),
    **dict.fromkeys((404, 410, 416, 482, 483, 484, 485, 604), DialResult.UNREACHABLE),
}


def result_of(ended: CallEnded, heard: bool) -> DialResult:
    """The result of a call out that ended without an answer. `heard`: a provisional reply had come, be it 100."""
    if ended.by == "local" and ended.code != 408:
        return DialResult.CANCELLED
    if ended.by in ("local", "timeout"):
        return DialResult.NO_ANSWER if heard else DialResult.UNREACHABLE
    if ended.by == "error":
        return DialResult.UNREACHABLE
    return result_of_code(ended.code)


def result_of_code(code: int) -> DialResult:
    """What a final reply to an INVITE means."""
    known = _BY_CODE.get(code)
    if known is not None:
        return known
    if code < 400:
        return DialResult.REDIRECTED if code >= 300 else DialResult.ANSWERED
    return DialResult.UNREACHABLE if 500 <= code < 600 else DialResult.REJECTED
