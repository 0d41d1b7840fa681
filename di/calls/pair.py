# SPDX-License-Identifier: GPL-2.0-or-later
"""Two calls that are connected: the second leg of a call, and what passes between the two.

    connect ─► one or several INVITEs ─► first answer wins, the others are cancelled ─► bridged ─► … ─► part, or both end
                   └ each reply ─► `on_other_reply` of the first leg; early media is heard where `early_media` says so

    audio      each hears the other; the media process passes it on undecoded where both have one codec
    requests   with `relaying`, what one side's application does not take goes to the other side, and its reply comes back
    hold       a new offer of one side is answered at once and told to the other by an offer of ours with the same direction
    the end    of one side is `on_other_bye` of the other, which by default ends too
    transfer   REFER goes to the other side, or is served here (`di.calls.transfer`); a call with Replaces takes a leg's place

Everything that happens to one leg reaches the other as an event of its own queue, so that no two callbacks of a call ever overlap.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Literal

from di.calls import transfer
from di.calls.application import Factory
from di.calls.call_info import Target
from di.calls.events import Outcome, SipReply
from di.calls.hunt import Hunt
from di.calls.passing import PassEndToEnd, Passing
from di.calls.relayed_requests import RelayedRequests
from di.calls.second_leg import SecondLeg
from di.calls.state import UNANSWERED, Phase
from di.kernel.errors import Refused
from di.sip.records import CallEnded, RequestReceived
from media.control.play_items import PlayBridge

if TYPE_CHECKING:
    from di.calls.session import Session

log = logging.getLogger(__name__)


@dataclass
class PairOptions:
    """How two legs are connected; all may be changed while they are.

    `relay_invite`: the second leg's replies go to the caller, who is answered when it is, and refused when nobody answers.
    `early_media`: bridged from the first reply with a session on · `relaying`: requests inside the dialog pass, from the answer on ·
    `transfers`: REFER is passed on (`relay`), carried out here (`serve`), or left to the application (`refuse`: 603).
    `in_turn`: targets are called one after the other, not all at once · `application`: name under which the second leg is logged ·
    `passing`: what becomes of headers, replies, hold and codecs on their way · `bridge`: the two hear each other as soon as the second
    is up, else when `Pair.bridge` is called.
    """

    relay_invite: bool = False
    early_media: bool = False
    relaying: bool = True
    transfers: Literal["relay", "serve", "refuse"] = "relay"
    in_turn: bool = False
    application: str = "second_leg"
    passing: Passing = field(default_factory=PassEndToEnd)
    bridge: bool = True


class Pair:
    """`first` asked for it, and leaves the pair that it was in; `second` is None until somebody has answered (`connect`, `join`)."""

    def __init__(self, first: Session, options: PairOptions | None = None) -> None:
        self.first = first
        self.second: Session | None = None
        self.options = options or PairOptions()
        self.hunt: Hunt | None = None
        """Who is being called for the first leg."""
        self.transfer: transfer.Transfer | None = None
        """A blind transfer under way."""
        self._bridged_with: Session | None = None
        self._relays = RelayedRequests()
        if first.pair is not None:
            first.pair.leave(first)
        first.pair = self

    # ------------------------------------------------------------------------------------------------------------- begin
    def connect(self, targets: list[Target], factory: Factory = SecondLeg) -> None:
        """Call the targets, all at once or in turn. Nobody reached: `on_other_reply` of the first leg with the best failure.

        `factory` makes the application of each second leg. Who is being called already is let go, and who is there is hung up. A first
        leg that is ending calls nobody.
        """
        options = self.options
        if self.first.dialog.ending:
            log.info("call %s: it is being ended and calls no second leg", self.first.id)
            return
        self._stop_hunt()
        if self.second is not None:
            self._drop(self.second)
        self.hunt = Hunt(self.first, self, options.application, options.in_turn, factory)
        self.hunt.start(targets)

    @property
    def trying(self) -> list[Session]:
        """Second legs that have not answered yet."""
        return self.hunt.trying if self.hunt is not None else []

    @property
    def bridged(self) -> bool:
        """Whether the first leg hears another one instead of its playlist."""
        return self._bridged_with is not None

    def join(self, second: Session) -> None:
        """Connect the first leg with a call that is there already, and let them hear each other."""
        if second.pair is not None:
            second.pair.leave(second)
        self.second = second
        second.pair = self
        self.bridge()

    # ------------------------------------------------------------------------- news of the second legs, told to the first leg
    def on_progress(self, session: Session, reply: SipReply, has_body: bool) -> None:
        """A provisional reply of a second leg."""
        self._in_first(lambda: self._pass_progress(session, reply, has_body))

    def _pass_progress(self, session: Session, reply: SipReply, has_body: bool) -> Outcome:
        dialog = self.first.dialog
        if self.options.relay_invite and dialog.phase in UNANSWERED and 100 < reply.code < 200:
            passed = self.options.passing.reply(True, reply)
            if has_body:
                self._fit_answer(session)
                dialog.early_media(passed.code, passed.reason, passed.headers)
            else:
                dialog.ringing(passed.code, passed.reason, passed.headers)
        return self.first.app.on_other_reply(reply)

    def on_early_media(self, session: Session) -> None:
        """A second leg has early media."""
        if self.options.early_media or self.options.relay_invite:
            self._in_first(lambda: self._bridge_with(session) if session in self.trying and not self.bridged else None)

    def on_early_media_gone(self, session: Session) -> None:
        """That leg was not answered."""
        self._in_first(lambda: self.unbridge() if self._bridged_with is session else None)

    def on_answer(self, session: Session, reply: SipReply) -> None:
        """A second leg is up."""
        self.second = session
        self._in_first(lambda: self._pass_answer(reply))

    def _pass_answer(self, reply: SipReply) -> Outcome:
        if self.second is None:
            return None  # it hung up in the meantime, which is told next
        dialog = self.first.dialog
        if self.options.relay_invite and not dialog.answered:
            passed = self.options.passing.reply(True, reply)
            self._fit_answer(self.second)
            dialog.accept(passed.code, passed.reason or "OK", passed.headers)
        if self.options.bridge:
            self.bridge()
        return self.first.app.on_other_reply(reply)

    def _fit_answer(self, second: Session) -> None:
        """What the first leg is answered with may depend on the codec of the second one, and its media go where that one's are."""
        self._open_beside(second)
        codecs = self.options.passing.answer_codecs(second.audio.codec_in_use)
        self.first.dialog.payloads = codecs or self.first.dialog.payloads

    def on_nobody(self, reply: SipReply) -> None:
        """Nobody could be reached: the first leg is by itself again."""
        self._in_first(lambda: self._pass_failure(reply))

    def _pass_failure(self, reply: SipReply) -> Outcome:
        first = self.first
        self.part()
        if self.options.relay_invite and not first.dialog.answered:
            passed = self.options.passing.reply(True, reply)
            first.dialog.reject(passed.code, passed.reason, passed.headers)
        return first.app.on_other_reply(reply)

    # ------------------------------------------------------------------------------------ what a leg's flow tells (di.calls.flow)
    def progressed(self, session: Session, reply: SipReply, has_body: bool) -> None:
        """A leg has a provisional reply."""
        if self.hunt is not None:
            self.hunt.progressed(session, reply, has_body)

    def early(self, session: Session) -> None:
        """A leg has early media."""
        if self.hunt is not None:
            self.hunt.early(session)

    def answered(self, session: Session, reply: SipReply) -> None:
        """A leg is up."""
        if self.hunt is not None and session is not self.first and session is not self.second:
            self.hunt.answered(session, reply)

    def rung_out(self, session: Session) -> None:
        """A leg's ringing time is over."""
        if self.hunt is not None:
            self.hunt.rung_out(session)

    # ------------------------------------------------------------------------------------------------------------- audio
    def bridge(self) -> None:
        """The two hear each other, and nothing else."""
        if self.second is not None and self._bridged_with is not self.second:
            self._bridge_with(self.second)
            if self.options.relaying:
                self._tell_of_holds()

    def _open_beside(self, second: Session) -> None:
        """The first leg, where it is not open yet, belongs into the second one's media process: between two all is decoded and mixed."""
        if not self.first.audio.asked:
            self.first.audio.near_leg = second.leg

    def _bridge_with(self, second: Session) -> None:
        self._bridged_with = second
        self._open_beside(second)
        for one, other in ((self.first, second), (second, self.first)):
            one.audio.open()
            one.audio.flush()
            one.audio.set(attached_input=True, attached_output=True)
            one.audio.play(PlayBridge(other.leg))

    def unbridge(self) -> None:
        """Each has its playlist back, empty and attached as it was."""
        second, self._bridged_with = self._bridged_with, None
        for session in (self.first, second) if second is not None else ():
            if not session.dialog.ending:
                session.audio.flush()
                playlist = session.audio.playlist
                playlist.attach(input=playlist.input, output=playlist.output)
                if session.dialog.told_direction != "sendrecv":
                    session.dialog.offer(on_reply=partial(self._mirrored, session))  # who held it is not there any more

    def media_changed(self, session: Session) -> None:
        """A side has made a new offer: the other hears of hold, resume and codec by an offer of ours."""
        other = self.other(session)
        if self.options.relaying and other is not None:
            self._tell(other, session)

    def _tell(self, other: Session, session: Session) -> None:
        """Offer a side what the other one has come to: its direction, and a codec that they do not share."""
        if other.dialog.phase is not Phase.CONNECTED or session.audio.negotiated is None:
            return
        direction = self._direction_from(session)
        codec, present = session.audio.codec_in_use, other.audio.codec_in_use
        payloads = codec + present if present and codec != present else ()
        if direction != other.dialog.told_direction or payloads:
            other.dialog.offer(direction, payloads=payloads, on_reply=partial(self._mirrored, other))

    def _tell_of_holds(self) -> None:
        """Two sides that have just come together: what the one had been told of another is so no more, and a hold goes on."""
        first, second = self.first, self.second
        for one, other in ((first, second), (second, first)) if second is not None else ():
            if one is not None and other is not None and one.dialog.told_direction != self._direction_from(other):
                one.dialog.offer(self._direction_from(other), on_reply=partial(self._mirrored, one))

    def _direction_from(self, session: Session) -> str:
        """What the other side is to be offered for what this one has offered."""
        return self.options.passing.direction(session is not self.first, session.dialog.peer_direction)

    @staticmethod
    def _mirrored(other: Session, reply: SipReply) -> None:
        if reply.code >= 300:
            log.info("call %s: the peer did not take the other side's offer: %d %s", other.id, reply.code, reply.reason)

    # ----------------------------------------------------------------------------------------------------------- requests
    def other(self, session: Session) -> Session | None:
        """The side that a call talks to; None while there is none."""
        return self.second if session is self.first else self.first if session is self.second else None

    def relay(self, session: Session, request: RequestReceived) -> bool:
        """Pass a request on. False when it stays here: not relaying, no other side, or it was answered already."""
        if request.method == "REFER" and self.options.transfers != "relay":
            return transfer.refer(self, session, request, serve=self.options.transfers == "serve")
        other = self.other(session)
        if not self.options.relaying or other is None or other.dialog.phase is not Phase.CONNECTED:
            return False
        self._relays.pass_on(session, other, request, self.options.passing, to_first=other is self.first)
        return True

    # ------------------------------------------------------------------------------------------------------------ the end
    def ended(self, session: Session, event: CallEnded) -> None:
        """A side is gone: the other is told, and what it asked the gone one is answered."""
        self._answer_open(session)
        session.pair = None
        if self.hunt is not None and session in self.trying:
            self.hunt.failed(session, event)
            return
        if session is self.first:
            self._stop_hunt()
        if self.transfer is not None and self.transfer.referrer is session:
            self.transfer.referrer_gone(event.headers)
        else:
            if self.transfer is not None:
                self.transfer.cancel()
            self.side_gone(session, event.headers)

    def side_gone(self, session: Session, headers: tuple[tuple[str, str], ...]) -> None:
        """Nobody comes in a gone side's place: the other one is told."""
        other = self.other(session)
        self.second = None if session is self.second else self.second
        if other is None or other.dialog.ending:
            self._let_go(other)
        else:
            other.run(lambda: self._other_gone(other, headers))

    def _other_gone(self, other: Session, headers: tuple[tuple[str, str], ...]) -> Outcome:
        if other.pair is not self:
            return None
        self.unbridge()
        self._let_go(other)
        if other is self.first and self.options.relay_invite:
            other.dialog.reject(480, "Temporarily Unavailable")  # the answer's news were overtaken; without effect once answered
        return other.app.on_other_bye(headers)

    def _drop(self, second: Session) -> None:
        """Hang up a second leg that another is to follow."""
        self._answer_open(second)
        self.unbridge()
        self._let_go(second)
        self.second = None
        second.stop(487)

    def _let_go(self, session: Session | None) -> None:
        if session is not None and session.pair is self:
            session.pair = None

    def _answer_open(self, gone: Session) -> None:
        """A side goes: requests that were relayed to it get a 481, and so do its own if its dialog goes on."""
        self._relays.abandon(lambda asker: asker is gone or self.other(asker) is gone)

    def part(self) -> None:
        """Both sides go their own ways: no longer bridged, nothing relayed, the end of one is nothing to the other."""
        self._stop_calling()
        self.unbridge()
        for session in (self.first, self.second):
            if session is not None:
                self._answer_open(session)
                self._let_go(session)
        self.second = None

    def leave(self, session: Session) -> None:
        """One side goes its own way; to the other it is as if it had hung up."""
        self._answer_open(session)
        self._stop_calling()
        self.unbridge()
        self._let_go(session)
        self.side_gone(session, ())

    def end_other(self, session: Session, code: int = 487, headers: tuple[str, ...] = ()) -> None:
        """Hang up the other side; its end is nothing to this one any more."""
        other = self.other(session)
        self.part()
        if other is not None:
            other.stop(code, "", headers)

    def _stop_calling(self) -> None:
        """Nobody is called for a side any more."""
        if self.transfer is not None:
            self.transfer.cancel()
        self._stop_hunt()

    def _stop_hunt(self) -> None:
        if self.hunt is not None:
            self.hunt.stop()

    # -------------------------------------------------------------------------------------------------------- replacement
    def replace(self, old: Session, new: Session, reason: str = "") -> None:
        """Put a call in a leg's place: the side that stays hears the new one, the old leg gets a BYE. Both must be up.

        The new one leaves the pair that it was in. Raises Refused when there is no side that stays.
        """
        if self.other(old) is None:
            raise Refused(481, "Call/Transaction Does Not Exist")
        self._answer_open(old)
        self._stop_calling()
        if new.pair is not None:
            new.pair.leave(new)
        old.pair = None
        new.pair = self
        if old is self.first:
            self.first = new
        else:
            self.second = new
        self._bridged_with = None
        self.bridge()
        if not old.dialog.ending:
            old.stop(487, "", (f'Reason: SIP;cause=200;text="{reason or "Replaced"}"',))

    def _in_first(self, news: Callable[[], Outcome]) -> None:
        first = self.first
        first.run(lambda: news() if first.pair is self else None)
