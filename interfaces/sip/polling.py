# SPDX-License-Identifier: GPL-2.0-or-later
"""When pjsip's descriptor is waited for, and when it is looked at from time to time instead, as network drivers do under load. Pure.

little comes          → is waited for: what a single call sends is read at once
much comes            → `rests`: is looked at every 20 ms, and all that has come goes through the processes together
readable, for nothing → is looked at every 20 ms, until something comes

What comes one by one wakes each process of the server for each message, and a turn costs more than what it does for the message: caches
are cold, others are woken, records go out one by one. So messages are gathered where they come in. Behind that nobody holds anything up:
media process, hub and what programs ask of them never wait.
"""

from __future__ import annotations

EVERY_NS = 20_000_000
"""The longest that a message waits: a 25th of the time after which a phone sends it again (T1, RFC 3261 §17.1.1.1), one packet of audio.

Messages of 200 calls/s are 1 to 2 ms apart, so a short pause gathers few: with 10 ms a call costs a fifth more, and its INVITE is
answered 3 ms sooner; with 5 ms half as much is gained as with 10 (docs/performance.md)."""

CALM_A_SECOND = 60
"""So many turns with something in them are not much: some 20 calls/s, for which a tenth of a core is enough anyway."""

BURST = 8
"""Nor are so many at once: two calls that come in one moment, from INVITE to BYE."""

IN_VAIN = 3
"""A connection that was reset stays readable in pjsip's epoll set until the last transaction has let go of it, which takes up to 32 s:
after so many turns in which a readable descriptor brought nothing it is not waited for."""

_SECOND_NS = 1_000_000_000


class Polling:
    """Of one descriptor. Times are monotonic."""

    def __init__(self) -> None:
        self.rests = False
        """Much comes: what has come since is to wait."""
        self._in_vain = 0
        self._recent, self._at_ns = 0.0, 0

    def pause_ns(self, handled: int, begun_ns: int, now_ns: int) -> int:
        """A look that began then brought so much: how long until the next. 0: the descriptor is to be waited for.

        A turn that took as long as the pause has gathered enough: who has more to do than there is time for never rests.
        """
        if not handled:
            self.rests = False
            self._in_vain = (self._in_vain + 1) % IN_VAIN
            return 0 if self._in_vain else EVERY_NS
        self._in_vain = 0
        quiet_ns = now_ns - self._at_ns - (EVERY_NS if self.rests else 0)  # in a pause nobody looks: it was not quiet
        faded = max(quiet_ns, 0) * CALM_A_SECOND / _SECOND_NS
        self._recent = min(max(self._recent - faded, 0.0) + 1, 2 * BURST)
        self._at_ns = now_ns
        pause_ns = begun_ns + EVERY_NS - now_ns
        self.rests = self._recent > BURST and pause_ns > 0
        return pause_ns if self.rests else 0
