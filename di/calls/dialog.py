# SPDX-License-Identifier: GPL-2.0-or-later
"""The SIP side of one call: its phase, its replies, its end, requests inside the dialog.

Commands return at once; what comes of them arrives as a callback of the application. A command that the phase does not allow has no
effect: whoever ends a call need not know how far it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from di.calls.call_info import CallInfo, DialPlan, HoldStyle
from di.calls.events import Outcome, SipReply
from di.calls.state import ENDING, PHASES, UNANSWERED, UP, Phase
from di.kernel.ports import Clock
from di.sip.credentials import Credential
from di.sip.port import SipPort
from di.sip.records import (
    Answer,
    Appearance,
    CallEnded,
    Dial,
    Hangup,
    LogIn,
    Present,
    Reinvite,
    ReplyReceived,
    RequestReceived,
    SendReply,
    SendRequest,
)

OnReply = Callable[[SipReply], Outcome]
HOLDS = ("sendonly", "inactive")
"""Directions of an offer that lets the peer send nothing."""
_PLAIN_HOLD = HoldStyle()
Headers = tuple[str, ...]
"""Complete header lines without line end."""


class DialogHost(Protocol):
    """What the SIP side of a call needs from the server."""

    @property
    def sip(self) -> SipPort:
        """The way to the SIP process."""

    @property
    def clock(self) -> Clock:
        """Time."""

    def next_token(self) -> int:
        """A number for a request."""

    def place_of(self, info: CallInfo) -> int:
        """Number of the SIP address that a call out leaves from; -1: there is no choice."""


class Opened(Protocol):
    """The call's audio: where it can be reached."""

    address: tuple[str, int] | None

    def open(self) -> None:
        """Ask for an address; `Dialog.audio_opened` follows."""


class DialogOwner(Protocol):
    """The call that the dialog is of (`di.calls.session.Session`)."""

    @property
    def host(self) -> DialogHost:
        """The server."""

    @property
    def audio(self) -> Opened:
        """Its audio."""

    def post(self, event: CallEnded) -> object:
        """Queue an event."""


class Dialog:
    """`call` is the SIP process's number. `payloads`: codecs that the answer may name, as NAME/clock; empty: all."""

    def __init__(self, owner: DialogOwner, call: int, info: CallInfo) -> None:
        self.call = call
        self.info = info
        self.phase = Phase.IDLE
        self._plan: DialPlan | None = None
        self.payloads: tuple[str, ...] = ()
        self.later: tuple[str, ...] | None = None
        """Codecs that offers after the first one may bring, either way; None: as the first one, empty: all."""
        self.allow: Headers = ()
        """Allow, with what the application takes beyond the methods of every call, which the SIP process names."""
        self.answer_deferred = False
        self.peer_offered = False
        """The peer has sent an offer of its own whose outcome is still to come."""
        self.peer_direction = "sendrecv"
        """What the peer last offered of its own accord: `sendonly` and `inactive` are a hold."""
        self.told_direction = "sendrecv"
        """What we last offered, whatever `hold_style` made of it."""
        self.hold_style = _PLAIN_HOLD
        self.in_requests: Headers = ()
        """Lines for every request of ours inside the dialog but ACK and PRACK, which the SIP stack makes."""
        self._owner = owner
        self.why = ""
        """The reason that `end` was given."""
        self.ended_by = ""
        """On whose behalf `end` was called: `app`, `limit`, `operator`, `media`, `timeout`; empty while the end is not ours."""
        self.proceeding_s = self.early_s = 0.0
        """Wall-clock times of the first provisional reply and of the first media before the answer; 0 without them."""
        self._pending: tuple[int, str, Headers] | None = None
        self._sent: dict[int, tuple[str, OnReply | None]] = {}

    @property
    def plan(self) -> DialPlan:
        """What is sent if it is a call out."""
        if self._plan is None:
            self._plan = DialPlan()
        return self._plan

    # ------------------------------------------------------------------------------------------------------------- phases
    @property
    def incoming(self) -> bool:
        """Whether the peer called us."""
        return self.info.incoming

    @property
    def answered(self) -> bool:
        """Whether a final reply was given or got."""
        return self.phase not in UNANSWERED

    @property
    def ending(self) -> bool:
        """Whether it is over or will be."""
        return self.phase in ENDING

    @property
    def decided(self) -> bool:
        """Whether the application has said, or will say, how the INVITE is answered."""
        return self.answered or self.answer_deferred or self._pending is not None

    def enter(self, phase: Phase) -> bool:
        """Go on to a phase. False, and nothing changes, when the table has no such step."""
        if phase not in PHASES[self.phase]:
            return False
        self.phase = phase
        if phase is Phase.PROCEEDING and not self.proceeding_s:
            self.proceeding_s = self._owner.host.clock.epoch_s()
        elif phase is Phase.EARLY and not self.early_s:
            self.early_s = self._owner.host.clock.epoch_s()
        return True

    # ------------------------------------------------------------------------------------------------------------ the INVITE
    def ringing(self, code: int = 180, reason: str = "Ringing", headers: Headers = ()) -> None:
        """Send a provisional reply without media."""
        if self.phase in UNANSWERED:
            self._owner.host.sip.send(Answer(self.call, code, reason, headers))
            self.enter(Phase.PROCEEDING)

    def early_media(self, code: int = 183, reason: str = "Session Progress", headers: Headers = ()) -> None:
        """Open media before the answer: 183 with SDP."""
        if self.phase in UNANSWERED:
            self._answer(code, reason, headers)

    def present(self, appearance: Appearance) -> None:
        """How the call looks to its peer from now on; best before anything has been said. A call out has it in its plan."""
        if not self.ending and self.phase is not Phase.IDLE:
            self._owner.host.sip.send(Present(self.call, appearance))

    def log_in(self, credential: Credential) -> None:
        """Answer challenges of the peer of a call that came in with these, before it is answered. A call out has them in its plan."""
        if not self.ending and self.phase is not Phase.IDLE:
            self._owner.host.sip.send(LogIn(self.call, credential.realm, credential.user, credential.password))

    def accept(self, code: int = 200, reason: str = "OK", headers: Headers = ()) -> None:
        """Answer the call with media."""
        if self.enter(Phase.ANSWERED):
            self._answer(code, reason, headers)

    def reject(self, code: int, reason: str, headers: Headers = ()) -> None:
        """Refuse the call with a final reply."""
        if self.phase in UNANSWERED and self.enter(Phase.REFUSED):
            self._owner.host.sip.send(Hangup(self.call, code, reason, headers))

    def defer_answer(self) -> None:
        """Keep the core from accepting when `on_invite` returns; the application answers later."""
        self.answer_deferred = True

    def _answer(self, code: int, reason: str, headers: Headers) -> None:
        address = self._owner.audio.address
        if address is None:
            self._pending = (code, reason, headers)
            self._owner.audio.open()
            return
        self._owner.host.sip.send(Answer(self.call, code, reason, headers + self.allow, *address, self.payloads, self.later))

    def audio_opened(self) -> None:
        """The leg has its address: what waited for it is sent."""
        pending, self._pending = self._pending, None
        if self.ending:
            return
        if pending is not None:
            self._answer(*pending)
        elif not self.incoming and self.phase is Phase.IDLE:
            self._dial()

    def dial_again(self, call: int) -> None:
        """Send the INVITE anew, as the SIP process's call of that number; the one before is nothing to us any more."""
        self.call = call
        self.plan.heard = False
        self._dial()

    def _dial(self) -> None:
        info, plan, address = self.info, self.plan, self._owner.audio.address
        self.enter(Phase.TRYING)
        ip, port = address or ("", 0)
        self._owner.host.sip.send(
            Dial(
                self.call,
                info.from_header,
                info.to_header,
                info.request_uri,
                (*plan.headers, *self.allow),
                ip,
                port,
                plan.next_hop,
                plan.realm,
                plan.username,
                plan.password,
                plan.prefer,
                plan.ways[0].uri if plan.ways else "",
                plan.timer,
                plan.codecs,
                plan.appearance,
                plan.log_messages,
                plan.call_id,
                self._owner.host.place_of(info),
                self.later,
            )
        )

    # --------------------------------------------------------------------------------------------------------------- the end
    def end(self, code: int = 480, reason: str = "", headers: Headers = (), by: str = "app") -> None:
        """End the call in whatever phase: `code` if not answered, CANCEL if dialled, BYE if connected. `by`: see `ended_by`."""
        if self.ending:
            return
        self.why, self.ended_by = reason, by
        was = self.phase
        if was in UP:
            self.enter(Phase.DISCONNECTING)
        else:
            self.enter(Phase.REFUSED if self.incoming else Phase.CANCELLING)
        if not self.incoming and (was is Phase.IDLE or not self.plan.is_out):
            self._owner.post(CallEnded(self.call, code, reason, "local"))
        else:
            self._owner.host.sip.send(Hangup(self.call, code, reason, self._with_own(headers) if was in UP else headers))

    # ---------------------------------------------------------------------------------------------------- inside the dialog
    def offer(
        self,
        direction: str = "sendrecv",
        *,
        headers: Headers = (),
        payloads: tuple[str, ...] = (),
        sdp: bool = True,
        on_reply: OnReply | None = None,
    ) -> int:
        """Offer again by re-INVITE, e.g. to hold (`sendonly`) and resume. `payloads`: codecs, most wanted first, empty: as before.

        `sdp` False: without an offer, the peer makes it. Returns the token of the reply; 0 when the call is not connected.
        """
        if self.phase is not Phase.CONNECTED:
            return 0
        ip, port = self._owner.audio.address or ("", 0)
        if sdp:
            self.told_direction = direction
        style = self.hold_style if direction in HOLDS else _PLAIN_HOLD
        token = self._note("INVITE", on_reply)
        headers = self._with_own(headers)
        said = style.direction or direction
        self._owner.host.sip.send(Reinvite(self.call, said, ip, port, token, headers, payloads, sdp, style.nowhere))
        return token

    def send(
        self,
        method: str,
        headers: Headers = (),
        content_type: str = "",
        body: bytes = b"",
        on_reply: OnReply | None = None,
    ) -> int:
        """Send a request in the dialog. Its final reply goes to `on_reply`, run as an event of this call, else to the application.

        Returns the token that the reply carries; 0, and nothing is sent, when the call is being ended.
        """
        if self.ending:
            return 0
        token = self._note(method, on_reply)
        self._owner.host.sip.send(SendRequest(self.call, method, token, self._with_own(headers), content_type, body))
        return token

    def reply(
        self,
        request: RequestReceived,
        code: int,
        reason: str,
        headers: Headers = (),
        content_type: str = "",
        body: bytes = b"",
    ) -> None:
        """Answer a request that came by `on_request` or `on_sip_request`; without effect where none is wanted."""
        if request.reply_wanted:
            self._owner.host.sip.send(SendReply(self.call, request.token, code, reason, headers, content_type, body))

    def _with_own(self, headers: Headers) -> Headers:
        return headers + tuple(line for line in self.in_requests if line not in headers)

    def _note(self, method: str, on_reply: OnReply | None) -> int:
        token = self._owner.host.next_token()
        self._sent[token] = method, on_reply
        return token

    def replied(self, record: ReplyReceived) -> tuple[SipReply, OnReply | None]:
        """What a reply answers, and who waits for it."""
        method, on_reply = self._sent.pop(record.token, ("", None))
        return SipReply(method, record.code, record.reason, record.headers, record.body, record.token), on_reply
