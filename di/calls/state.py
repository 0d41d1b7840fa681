# SPDX-License-Identifier: GPL-2.0-or-later
"""The phases of a call and which may follow which: one table for the dialog, one for the audio. `docs/calls.md` draws them from here.

Integers, because sets of them are asked several times a call, and hashing another enum costs a call into Python.

Whatever asks "is it answered, is it over?" asks a phase; there are no flags beside it. A step that the table does not have is not
taken: an event that comes too late (a ringing after the answer, a second end) changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, auto


class Phase(IntEnum):
    """Where a call's dialog stands, seen from the hub (RFC 3261 §12, §13)."""

    IDLE = auto()
    """Made; no INVITE has been taken or sent."""
    TRYING = auto()
    """The INVITE came, or is on its way."""
    PROCEEDING = auto()
    """A provisional reply without a session."""
    EARLY = auto()
    """A provisional reply with a session (183)."""
    ANSWERED = auto()
    """Incoming: the application accepted; the ACK is still to come."""
    CONNECTED = auto()
    """2xx and ACK: the dialog is confirmed."""
    REFUSED = auto()
    """Incoming: a final reply of 300 and above was given."""
    CANCELLING = auto()
    """It is being ended before it was connected."""
    DISCONNECTING = auto()
    """It is being ended by a BYE."""
    ENDED = auto()
    """The dialog is over; the application's last callbacks run."""
    GONE = auto()
    """Everything has been given back; nothing more happens."""


_P = Phase
PHASES: Mapping[Phase, frozenset[Phase]] = {
    _P.IDLE: frozenset({_P.TRYING, _P.CANCELLING, _P.REFUSED, _P.ENDED}),
    _P.TRYING: frozenset({_P.PROCEEDING, _P.EARLY, _P.ANSWERED, _P.CONNECTED, _P.REFUSED, _P.CANCELLING, _P.ENDED}),
    _P.PROCEEDING: frozenset({_P.EARLY, _P.ANSWERED, _P.CONNECTED, _P.REFUSED, _P.CANCELLING, _P.ENDED}),
    _P.EARLY: frozenset({_P.ANSWERED, _P.CONNECTED, _P.REFUSED, _P.CANCELLING, _P.ENDED}),
    _P.ANSWERED: frozenset({_P.CONNECTED, _P.DISCONNECTING, _P.ENDED}),
    _P.CONNECTED: frozenset({_P.DISCONNECTING, _P.ENDED}),
    _P.REFUSED: frozenset({_P.ENDED}),
    _P.CANCELLING: frozenset({_P.ENDED}),
    _P.DISCONNECTING: frozenset({_P.ENDED}),
    _P.ENDED: frozenset({_P.GONE}),
    _P.GONE: frozenset(),
}
"""Phase → those that may follow. A 2xx that crosses our CANCEL is ended by the SIP process and never becomes CONNECTED here."""

UNANSWERED = frozenset({_P.IDLE, _P.TRYING, _P.PROCEEDING, _P.EARLY})
"""No final reply has been given or got."""
ENDING = frozenset({_P.REFUSED, _P.CANCELLING, _P.DISCONNECTING, _P.ENDED, _P.GONE})
"""It is over or will be: nothing new begins."""
OVER = frozenset({_P.ENDED, _P.GONE})
"""The SIP process has given the dialog up: nothing can be sent in it."""
UP = frozenset({_P.ANSWERED, _P.CONNECTED})
"""Answered and not being ended."""

_WORDS: Mapping[Phase, str] = {
    _P.IDLE: "Disconnected",
    _P.TRYING: "Trying",
    _P.PROCEEDING: "Proceeding",
    _P.EARLY: "Early",
    _P.ANSWERED: "Connected",
    _P.CONNECTED: "Connected",
    _P.REFUSED: "Disconnected",
    _P.CANCELLING: "Cancelling",
    _P.DISCONNECTING: "Disconnecting",
    _P.ENDED: "Disconnected",
    _P.GONE: "Disconnected",
}


def dialog_word(phase: Phase) -> str:
    """SEMS's word for a phase: `#dlg_status` of scripts, session snapshots (spec core.md §7.3)."""
    return _WORDS[phase]


class AudioPhase(IntEnum):
    """How far a call's audio is. Each phase may follow every earlier one."""

    CLOSED = 0
    """No leg was asked for."""
    OPENING = 1
    """OpenLeg has been sent."""
    OPEN = 2
    """The leg has an RTP address."""
    EARLY = 3
    """The application has been told of early media."""
    STARTED = 4
    """The application has been told that the session has begun."""
