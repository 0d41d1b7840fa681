# SPDX-License-Identifier: GPL-2.0-or-later
"""A leg of a call that no SIP is behind: a program takes the call's audio and gives it some, as RTP at a UDP port.

open ─► `on_open` with our address ─► connect with theirs ─► the call and the program hear each other ─► close
  └ it cannot be opened, or its media process is gone ─► `on_lost` with the cause, once
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

from di.calls.audio import Audio
from di.media_control.port import MediaPort
from media.control.play_items import PlayBridge
from media.control.records import CloseLeg, ConnectLeg, Enqueue, Event, LegDropped, LegFailed, LegOpened, OpenLeg

PAYLOAD_TYPE = 96
"""Of the RTP both ways: dynamic, for the rates are not those of RFC 3551 §6."""


class SideHost(Protocol):
    """What a side leg needs from the server."""

    @property
    def media(self) -> MediaPort:
        """The way to the media process."""

    @property
    def side_legs(self) -> SideLegs:
        """All of them."""


class SideOwner(Protocol):
    """The call (`di.calls.session.Session`)."""

    @property
    def host(self) -> SideHost:
        """The server."""

    @property
    def leg(self) -> int:
        """The number of its own leg."""

    @property
    def audio(self) -> Audio:
        """Its audio."""


class SideLeg:
    """`session`: whose audio it is. Its callbacks come from outside of the call's events."""

    def __init__(self, session: SideOwner, on_open: Callable[[str, int], None], on_lost: Callable[[str], None]) -> None:
        self.session = session
        self.connected = False
        self._on_open, self._on_lost = on_open, on_lost
        self.leg = session.host.side_legs.add(self)
        session.host.media.send(OpenLeg(self.leg, near=session.leg))

    def take(self, event: Event) -> None:
        """A record of the media process about it."""
        if isinstance(event, LegOpened):
            self._on_open(event.ip, event.port)
        elif isinstance(event, (LegFailed, LegDropped)):
            self.lost(event.reason)

    def connect(self, ip: str, port: int, codec: str, clock_hz: int, symmetric: bool) -> None:
        """The program's address: it and the call hear each other from now on, and the call nothing else."""
        session, media = self.session, self.session.host.media
        media.send(ConnectLeg(self.leg, ip, port, codec, clock_hz, PAYLOAD_TYPE, PAYLOAD_TYPE, symmetric=symmetric))
        session.audio.flush()
        session.audio.play(PlayBridge(self.leg))
        media.send(Enqueue(self.leg, (PlayBridge(session.leg),), False))
        self.connected = True

    def lost(self, why: str) -> None:
        """It is no more."""
        if self.session.host.side_legs.remove(self):
            self._on_lost(why)

    def close(self) -> None:
        """End it; the call's playlist is empty then."""
        if self.session.host.side_legs.remove(self):
            self.session.host.media.send(CloseLeg(self.leg))
            if self.connected:
                self.session.audio.flush()


class SideLegs:
    """All of them, by number. `next_leg` gives a number that no leg has."""

    def __init__(self, next_leg: Callable[[], int]) -> None:
        self._next_leg = next_leg
        self._by_leg: dict[int, SideLeg] = {}

    def add(self, side: SideLeg) -> int:
        """Keep one; returns its number."""
        leg = self._next_leg()
        self._by_leg[leg] = side
        return leg

    def remove(self, side: SideLeg) -> bool:
        """Forget one; false when it is gone already."""
        return self._by_leg.pop(side.leg, None) is not None

    def find(self, leg: int) -> SideLeg | None:
        """The one of that number."""
        return self._by_leg.get(leg)

    def media_lost(self, reason: str, legs: Collection[int] | None) -> None:
        """A media process is gone with these legs; None: with all."""
        for side in list(self._by_leg.values()):
            if legs is None or side.leg in legs:
                side.lost(reason)
