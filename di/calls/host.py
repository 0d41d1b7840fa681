# SPDX-License-Identifier: GPL-2.0-or-later
"""The server as a session sees it, so that a session can be made without one."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Protocol

from di.calls.call_info import CallInfo, CallOut, DialPlan
from di.kernel.interfaces import NetInterfaces
from di.kernel.ports import Clock, MonitoringHooks
from di.media_control.port import MediaPort
from di.sip.port import SipPort
from di.sip.records import CallEnded

if TYPE_CHECKING:
    from di.calls.application import Factory
    from di.calls.recording_ends import RecordingEnds
    from di.calls.rooms import RoomRegistry
    from di.calls.session import Session
    from di.calls.side_leg import SideLegs
    from di.calls.ways import Ways


class SessionHost(Protocol):
    """What a session needs from its container (`di.calls.sessions.Sessions`)."""

    @property
    def sip(self) -> SipPort:
        """The way to the SIP process."""

    @property
    def media(self) -> MediaPort:
        """The way to the media process."""

    @property
    def clock(self) -> Clock:
        """Time."""

    @property
    def callback_timeout_ms(self) -> int:
        """How long a callback may hold up its call; 0: for ever."""

    @property
    def answer_timeout_ms(self) -> int:
        """How long a call out may wait for its answer after each provisional reply; 0: for ever."""

    @property
    def sip_is_up(self) -> bool:
        """Whether there is a SIP process to send to."""

    @property
    def ways(self) -> Ways:
        """Where calls out can be sent."""

    @property
    def way_timeout_ms(self) -> int:
        """How long an address may take for its first reply, while there is another one."""

    @property
    def interfaces(self) -> NetInterfaces:
        """Where SIP and audio may be."""

    def lead(self, info: CallInfo, plan: DialPlan, host: str) -> None:
        """Let a call out to a host leave from the interface that leads there, or the one that it must leave from."""

    def place_of(self, info: CallInfo) -> int:
        """Number of the SIP address that a call out leaves from; -1: there is no choice."""

    def renumber(self, call: int) -> int:
        """A call out is sent anew: its events are those of a new call of the SIP process from now on; that one's number."""

    def admit_redirect(self, id: str, uri: str) -> None:
        """Ask the dial control whether a redirection may be followed. Raises CallFailed when not."""

    @property
    def monitoring(self) -> MonitoringHooks:
        """The store's hooks."""

    @property
    def rooms(self) -> RoomRegistry:
        """Who is in which room."""

    @property
    def recording_ends(self) -> RecordingEnds:
        """Who waits for recordings."""

    def find(self, id: str) -> Session | None:
        """The call with that id, or None."""

    @property
    def side_legs(self) -> SideLegs:
        """Legs of calls that no SIP is behind."""

    def dial(self, order: CallOut, factory: Factory | None = None) -> Session | None:
        """Place a call; None, with a warning in the log, when it cannot be placed. `factory` instead of the application's own."""

    def find_dialog(self, call_id: str, local_tag: str, remote_tag: str) -> Session | None:
        """The call whose dialog it is (RFC 3891 §3: to-tag is ours, from-tag the peer's)."""

    def spawn(self, work: Awaitable[None]) -> None:
        """Run something that waits; its task is kept until it is done."""

    def call_over(self, session: Session, ended: CallEnded) -> None:
        """A call has ended; its leg is still open."""

    def forget(self, session: Session, ended: CallEnded) -> None:
        """The session is over: take it out of every table, its record is finished."""

    def call_answered(self, session: Session) -> None:
        """The dialog is up."""

    def call_muted(self, session: Session) -> None:
        """`session.audio.muted` has changed."""

    def digit_pressed(self, session: Session, event: int, duration_ms: int, source: str) -> None:
        """A key was pressed in a call."""

    def next_token(self) -> int:
        """A number for SendRequest."""
