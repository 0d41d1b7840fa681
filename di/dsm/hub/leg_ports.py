# SPDX-License-Identifier: GPL-2.0-or-later
"""What a script in an sbc leg may do with audio, SIP and the other leg (spec dsm.md §9.2); all else throws `core`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from di.calls.session import Session
from di.dsm.hub.call_media import CallMedia
from di.dsm.language.errors import DsmException
from di.dsm.run.ports import Unsupported

if TYPE_CHECKING:
    from di.dsm.hub.script_host import ScriptedCall, ScriptHost

WHERE = "an SBC leg"


class LegMedia(Unsupported):
    """While the legs are bridged what is queued waits for `connectMedia`, which pauses the relay; `disconnectMedia` resumes it."""

    def __init__(self, call: ScriptedCall) -> None:
        super().__init__(WHERE)
        self._call = call
        self._media = CallMedia(call, detached=False)
        self._later: list[Callable[[], None]] = []

    def _queue(self, work: Callable[[], None]) -> None:
        if self._media.bridged:
            self._later.append(work)
        else:
            work()

    def play_file(self, path: str, *, front: bool = False, loop: bool = False) -> None:
        """Queue a file."""
        self._queue(lambda: self._media.play_file(path, front=front, loop=loop))

    def play_silence(self, length_ms: int, *, front: bool = False) -> None:
        """Queue silence."""
        self._queue(lambda: self._media.play_silence(length_ms, front=front))

    def play_tone(self, length_ms: int, on_ms: int, off_ms: int, hz: int, hz2: int, *, front: bool = False) -> None:
        """Queue a ring tone."""
        self._queue(lambda: self._media.play_tone(length_ms, on_ms, off_ms, hz, hz2, front=front))

    def add_separator(self, number: int, *, front: bool = False) -> None:
        """Queue a marker."""
        self._queue(lambda: self._media.add_separator(number, front=front))

    def flush(self) -> None:
        """Drop what is queued; what the legs say to each other goes on."""
        self._later.clear()
        if not self._media.bridged:
            self._media.flush()

    def wire(self, *, input: bool, output: bool) -> None:
        """Make the playlist input and output."""
        self._queue(lambda: self._media.wire(input=input, output=output))

    def connect(self) -> None:
        """The leg hears its playlist instead of the other leg."""
        pair = self._call.session.pair
        if pair is not None and pair.bridged:
            pair.unbridge()
        later, self._later = self._later, []
        for work in later:
            work()
        self._media.connect()

    def disconnect(self) -> None:
        """The legs hear each other again."""
        pair = self._call.session.pair
        if pair is not None and pair.second is not None:
            self._media.flush()
            pair.bridge()
        else:
            self._media.disconnect()


class LegDialog(Unsupported):
    """A BYE, the other leg's name, and calls of its own."""

    def __init__(self, session: Session, host: ScriptHost) -> None:
        super().__init__(WHERE)
        self._session, self._host = session, host

    def bye(self, headers: tuple[str, ...]) -> bool:
        """End the dialog."""
        self._session.stop(487, "", headers)
        return True

    def other_id(self) -> str:
        """Session id of the other leg."""
        other = other_leg(self._session)
        return other.id if other is not None else ""

    def dial(self, fields: dict[str, str], variables: dict[str, str]) -> str:
        """As in a call."""
        return self._host.dial(fields, variables, self._session.id)


class LegB2B(Unsupported):
    """Events to the other leg."""

    def __init__(self, session: Session) -> None:
        super().__init__(WHERE)
        self._session = session

    def relay_event(self, params: dict[str, str]) -> None:
        """It arrives as `B2Bevent`."""
        other = other_leg(self._session)
        if other is None:
            raise DsmException("script", cause="there is no other leg")
        other.post_event(params, "b2b")


def other_leg(session: Session) -> Session | None:
    """The leg that it is connected with, or that is being called for it."""
    pair = session.pair
    if pair is None:
        return None
    return pair.other(session) or (next(iter(pair.trying), None) if session is pair.first else pair.first)
