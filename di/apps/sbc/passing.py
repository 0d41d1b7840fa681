# SPDX-License-Identifier: GPL-2.0-or-later
"""The rules of a profile where two legs meet (`di.calls.passing`): every rule stands in `di.apps.sbc.filters`."""

from __future__ import annotations

from di.apps.api import PassedReply, RequestReceived, SipReply
from di.apps.sbc import filters
from di.apps.sbc.filters import Side
from di.apps.sbc.hops import credential_lines, without_hops
from di.apps.sbc.keys import is_yes
from di.apps.sbc.profile import Profile


class ProfilePassing:
    """`profile`: filled in. `offer`: the caller's description, empty for none."""

    def __init__(self, profile: Profile, offer: bytes) -> None:
        self.profile = profile
        self._offer = offer

    def request(self, to_first: bool, request: RequestReceived) -> tuple[str, ...]:
        """header_filter and append_headers_req."""
        side: Side = "a" if to_first else "b"
        passed = (*filters.pass_headers(self.profile, request.headers), *filters.add_headers(self.profile, side, initial=False))
        ours = is_yes(self.profile.enable_aleg_auth if to_first else self.profile.enable_auth)
        return (*without_hops(passed), *credential_lines(self.profile, request.headers, ours))

    def reply(self, to_first: bool, reply: SipReply) -> PassedReply:
        """header_filter, and towards the caller reply_translations."""
        ours = is_yes(self.profile.enable_auth if to_first else self.profile.enable_aleg_auth)
        passed = filters.pass_headers(self.profile, reply.headers)
        headers = (*without_hops(passed), *credential_lines(self.profile, reply.headers, ours))
        if not to_first:
            return PassedReply(reply.code, reply.reason, headers)
        code, reason = filters.translate_reply(self.profile, reply.code, reply.reason)
        return PassedReply(code, reason, headers)

    def direction(self, to_first: bool, direction: str) -> str:
        """hold_activity."""
        return filters.hold_direction(self.profile, "a" if to_first else "b", direction)

    def answer_codecs(self, second: tuple[str, ...]) -> tuple[str, ...]:
        """The caller is answered with the called one's codec where it has it."""
        return filters.codecs_for_a(self.profile, self._offer, second)
