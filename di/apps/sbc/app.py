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
    EventPosted,
    Outcome,
    Pair,
    PairOptions,
    PatternValues,
    Refused,
    RequestReceived,
    SecondLeg,
    Session,
    SipReply,
    Target,
    Value,
    first_header,
    pattern_values,
)
from di.apps.sbc import filters
from di.apps.sbc.changes import changed
from di.apps.sbc.desk import SbcDesk
from di.apps.sbc.hops import credential_lines, hop_line, without_hops
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
        session.log(profile=loaded.name)

    def _pattern_values(self) -> PatternValues:
        variables = {name: str(value) for name, value in self.session.attributes.items()}
        return self._desk.complete(pattern_values(self.session.info, variables))

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
        self._values = self._pattern_values()  # a control may have set variables
        profile = self.profile.filled(self._values)
        if session.admission is not None:
            profile = changed(profile, session.admission.take_changes())
        self.profile = profile
        if refused := self._refusal(profile):
            raise refused
        session.audio.symmetric_rtp = session.audio.symmetric_rtp or self.symmetric
        passing = ProfilePassing(profile, session.info.body if session.info.has_offer else b"")
        options = PairOptions(relay_invite=True, early_media=True, application="sbc", passing=passing)
        self._pair = Pair(session, options)
        self._pair.connect([self._target(profile)], lambda second: SbcOtherLeg(second, self))

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
        passed = (*filters.pass_headers(profile, info.headers), *filters.add_headers(profile, "b", initial=True))
        own = credential_lines(profile, info.headers, is_yes(profile.enable_auth))
        headers = (*without_hops(passed), *own, self._hops)
        return Target(
            request_uri_of(profile, info.request_uri),
            to_header=to_of(profile, info.to_header),
            from_header=from_of(profile, info.from_header),
            headers=headers,
            next_hop=next_hop_of(profile),
            credential=filters.credential_for(profile, "b"),
        )

    def prepare(self, second: Session) -> None:
        """What else of the B leg's INVITE the profile decides. Raises Refused."""
        profile, plan = self.profile, second.dialog.plan
        info = self.session.info
        plan.call_id = profile.call_id
        plan.codecs = filters.codecs_for_b(profile, info.body if info.has_offer else b"")
        plan.timer = timer_of_b(profile, self._desk.timer)
        plan.places = places_of(profile) or plan.places
        second.audio.symmetric_rtp = second.audio.symmetric_rtp or self.symmetric

    # ----------------------------------------------------------------------------------------------------------- in the call
    def on_sip_request(self, request: RequestReceived) -> bool:
        """message_filter."""
        return _blocked(self.profile, self.session, request)

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

    def on_sip_request(self, request: RequestReceived) -> bool:
        """message_filter, and who must show credentials."""
        if _blocked(self._call.profile, self.session, request):
            return True
        answer = filters.challenge_b(self._call.profile, request) if request.reply_wanted else None
        if answer is not None:
            self.session.dialog.reply(request, answer.code, answer.reason, answer.headers)
        return answer is not None

    def on_event(self, event: EventPosted) -> None:
        """postControlCmd: the A leg does it."""
        if event.kind == "sbc":
            self._call.session.post(event)


def _blocked(profile: Profile, session: Session, request: RequestReceived) -> bool:
    if not request.reply_wanted or filters.passes_method(profile, request.method):
        return False
    log.info("call %s: %s is filtered: 405", session.id, request.method)
    session.dialog.reply(request, 405, "Method Not Allowed")
    return True


def _flags(text: str) -> int:
    try:
        return int(text.strip(), 0)
    except ValueError:
        return 0
