# SPDX-License-Identifier: GPL-2.0-or-later
"""A call through the border: two legs by one profile.

INVITE ─► profile ─► controls ─► profile filled in ─► refused, or INVITE of the B leg ─► replies, media, requests pass ─► the end
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable

from di.apps.api import (
    PASSED_ON,
    Application,
    CallConfirmed,
    CallProgressed,
    EventPosted,
    Outcome,
    OutsideReply,
    Pair,
    PairOptions,
    PatternValues,
    Refused,
    RequestReceived,
    SecondLeg,
    Session,
    SipPlace,
    SipReply,
    Target,
    Value,
    first_header,
    parse_places,
    pattern_values,
)
from di.apps.sbc import filters, leg_rules
from di.apps.sbc.asked_sides import AskedSides
from di.apps.sbc.changes import changed
from di.apps.sbc.codec_choice import later_of_b
from di.apps.sbc.desk import SbcDesk
from di.apps.sbc.filters import Side
from di.apps.sbc.hops import credential_lines, foreign, hop_line
from di.apps.sbc.identity import from_of, next_hop_of, places_of, request_uri_of, to_of
from di.apps.sbc.keys import is_yes
from di.apps.sbc.passing import ProfilePassing
from di.apps.sbc.profile import Profile
from di.apps.sbc.refusal import parse_refusal
from di.apps.sbc.timers import timer_of_b

log = logging.getLogger(__name__)
TEARDOWN = "teardown"
_SYMMETRIC = 2
"""Bit of P-MsgFlags."""


class SbcCall(Application):
    """The caller's leg."""

    further_methods = PASSED_ON

    def __init__(self, session: Session, desk: SbcDesk) -> None:
        """Raises Refused: 403 for a stranger, 483, 500 where no profile is found."""
        super().__init__(session)
        self._desk = desk
        self._values = self._pattern_values()
        desk.check_source(session.info.trusted, session.info.source_ip, session.info.request_uri)
        self._hops = hop_line(session.info.headers)
        loaded = desk.profile_of(self._values)
        self.profile_name = loaded.name
        self.profile = loaded.profile
        self._loaded = loaded
        self._pair: Pair | None = None
        self._asked = AskedSides(subless=loaded.profile.allow_subless_notify)
        session.log(profile=loaded.name)

    def _pattern_values(self) -> PatternValues:
        variables = {name: str(value) for name, value in self.session.attributes.items()}
        return self._desk.complete(pattern_values(self.session.info, variables), self.session.info.interface)

    # ------------------------------------------------------------------------------------------------------------- the way
    def on_invite(self, session: Session) -> Outcome:
        """The profile's controls are asked, then it counts. Raises Refused."""
        controls = self._desk.controls_of(self._loaded, self._values)
        session.dialog.defer_answer()
        asked = session.admission.add(controls) if session.admission is not None and controls else None
        if asked is not None:
            return self._once_asked(asked)
        self._go(session)
        return None

    async def _once_asked(self, asked: Awaitable[None]) -> None:
        await asked
        if not self.session.dialog.ending:
            self._go(self.session)

    def _go(self, session: Session) -> None:
        """Refuse, or call the other side. Raises Refused."""
        self._values = self._desk.reach.arrived(self.profile, self._pattern_values())  # a control may have set variables
        profile = self.profile.filled(self._values)
        if session.admission is not None:
            profile = changed(profile, session.admission.take_changes())
        self.profile = profile
        if refused := self._refusal(profile):
            raise refused
        session.audio.symmetric_rtp = session.audio.symmetric_rtp or self.symmetric
        session.info.media_interface = self._media_interface(profile.aleg_rtprelay_interface)
        leg_rules.begin_leg(session, profile, "a")
        self._follow_messages(session)
        self.looks(())
        passing = ProfilePassing(profile, session.info, self._desk.reach.other_dialog)
        options = PairOptions(relay_invite=True, early_media=True, application="sbc", passing=passing)
        self._pair = Pair(session, options)
        self._pair.connect([self._target(profile)], lambda second: SbcOtherLeg(second, self))

    def looks(self, lines: tuple[str, ...]) -> None:
        """How this leg looks to the caller from now on, with what of the other side's description is for him."""
        leg_rules.show(self.session, self.profile, "a", lines, self._desk.local)

    def _follow_messages(self, session: Session) -> None:
        """msg_logger_path: the leg's messages are written down."""
        if self.profile.log_sip:
            self._desk.reach.follow_messages(session, self._loaded.profile.msg_logger_path, self.profile.msg_logger_path)

    def _media_interface(self, name: str) -> int:
        """Number of the interface of this leg's audio; -1: that of its signalling. Raises Refused(500) for one that is not there."""
        number = self._desk.interfaces.named(name, with_sip=False) if name else -1
        if number is None:
            log.error("call %s: profile %s: there is no interface %r: 500", self.session.id, self.profile_name, name)
            raise Refused(500, "Server Internal Error")
        return number

    def _refusal(self, profile: Profile) -> Refused | None:
        try:
            return parse_refusal(profile.refuse_with, ValueError)
        except ValueError as error:
            log.error("call %s: refuse_with of profile %s: %s", self.session.id, self.profile_name, error)
            return Refused(500, "Server Internal Error")

    @property
    def symmetric(self) -> bool:
        """Whether audio goes to where a peer's comes from."""
        profile = self.profile
        flags = first_header(self.session.info.headers, "P-MsgFlags") or ""
        asked = is_yes(profile.rtprelay_msgflags_symmetric_rtp) and _flags(flags) & _SYMMETRIC
        return is_yes(profile.rtprelay_force_symmetric_rtp) or bool(asked)

    def _target(self, profile: Profile) -> Target:
        info = self.session.info
        passed = (*filters.pass_headers(profile, foreign(info.headers)), *filters.add_headers(profile, "b", initial=True))
        own = credential_lines(profile, info.headers, is_yes(profile.enable_auth))
        headers = (*passed, *own, self._hops)
        return Target(
            request_uri_of(profile, self._values.request_uri),
            to_header=to_of(profile, info.to_header),
            from_header=from_of(profile, info.from_header),
            headers=headers,
            next_hop=next_hop_of(profile),
            credential=filters.credential_for(profile, "b"),
            interface=profile.outbound_interface,
            media_interface=profile.rtprelay_interface,
        )

    def prepare(self, second: Session) -> None:
        """What else of the B leg's INVITE the profile decides. Raises Refused."""
        profile, plan = self.profile, second.dialog.plan
        info = self.session.info
        plan.call_id = profile.call_id
        leg_rules.begin_leg(second, profile, "b")
        leg_rules.show(second, profile, "b", info.lines, self._desk.local)
        self._follow_messages(second)
        plan.codecs = filters.codecs_for_b(profile, info)
        second.dialog.later = later_of_b(profile, plan.codecs)
        plan.timer = timer_of_b(profile, self._desk.timer)
        plan.places = places_of(profile) or self._way() or plan.places
        second.audio.symmetric_rtp = second.audio.symmetric_rtp or self.symmetric

    def _way(self) -> tuple[SipPlace, ...]:
        """Where a phone is reached that has registered through us."""
        way = self._desk.reach.way(self._values)
        return parse_places(way) if way else ()

    # ----------------------------------------------------------------------------------------------------------- in the call
    @property
    def other(self) -> Session | None:
        """The leg to the called one, once it is up."""
        return self._pair.second if self._pair is not None else None

    def challenge_b(self, request: RequestReceived) -> OutsideReply | None:
        """What a request of the called one gets instead of passing; None: it passes."""
        return self._desk.reach.challenge(self.profile, request)

    def on_session_start(self) -> None:
        """Both codecs are known."""
        self.look_for_keys()

    def look_for_keys(self) -> None:
        """Of each leg for the other one."""
        other = self.other
        leg_rules.look_for_keys(self.session, other, self.profile)
        if other is not None:
            leg_rules.look_for_keys(other, self.session, self.profile)

    def on_digit(self, event: int, duration_ms: int) -> None:
        """The called one gets it."""
        leg_rules.pass_key(self.session, self.other, self.profile, event, duration_ms)

    def on_sip_request(self, request: RequestReceived) -> bool:
        """message_filter, allow_subless_notify."""
        return self.blocks(self.session, "a", request)

    def blocks(self, session: Session, side: Side, request: RequestReceived) -> bool:
        """Whether a request of a side does not pass; then it is answered."""
        if not request.reply_wanted:
            return False
        if not filters.passes_method(self.profile, request.method):
            code, reason = 405, "Method Not Allowed"
        elif not self._asked.passes(side, request.method):
            code, reason = 481, "Subscription Does Not Exist"
        else:
            return False
        log.info("call %s: %s is filtered: %d", session.id, request.method, code)
        session.dialog.reply(request, code, reason)
        return True

    def on_other_reply(self, reply: SipReply) -> None:
        """The pair has passed it on."""
        if reply.code >= 300:
            log.info("call %s: sbc: %d %s", self.session.id, reply.code, reply.reason)

    def on_event(self, event: EventPosted) -> None:
        """postControlCmd (spec applications.md §22.2)."""
        if event.kind != "sbc":
            return
        if event.params.get("cmd") == TEARDOWN:
            self.session.stop(by="operator")
        else:
            log.info("call %s: sbc knows no command %r", self.session.id, event.params.get("cmd", ""))

    def snapshot(self) -> Value:
        """The profile's name."""
        return {"profile": self.profile_name}


class SbcOtherLeg(SecondLeg):
    """The leg to the called one."""

    def __init__(self, session: Session, call: SbcCall) -> None:
        super().__init__(session)
        self._call = call
        session.log(profile=call.profile_name)

    def on_outgoing_invite(self) -> None:
        """The rest of what the profile says of the INVITE."""
        self._call.prepare(self.session)

    def on_ringing(self, progress: CallProgressed) -> None:
        """What the caller sees of early media."""
        if progress.has_body:
            self._tell_lines()

    def on_connected(self, confirmed: CallConfirmed) -> None:
        """What the caller sees of the answer, which follows."""
        self._tell_lines()

    def _tell_lines(self) -> None:
        negotiated, call = self.session.audio.negotiated, self._call
        lines = negotiated.lines if negotiated is not None else ()
        if lines:
            call.session.run(lambda: call.looks(lines))

    def on_digit(self, event: int, duration_ms: int) -> None:
        """The caller gets it."""
        leg_rules.pass_key(self.session, self._call.session, self._call.profile, event, duration_ms)

    def on_sip_request(self, request: RequestReceived) -> bool:
        """message_filter, and who must show credentials."""
        if self._call.blocks(self.session, "b", request):
            return True
        answer = self._call.challenge_b(request) if request.reply_wanted else None
        if answer is not None:
            self.session.dialog.reply(request, answer.code, answer.reason, answer.headers)
        return answer is not None

    def on_event(self, event: EventPosted) -> None:
        """postControlCmd: the A leg does it."""
        if event.kind == "sbc":
            self._call.session.post(event)


def _flags(text: str) -> int:
    try:
        return int(text.strip(), 0)
    except ValueError:
        return 0
