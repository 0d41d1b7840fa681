# SPDX-License-Identifier: GPL-2.0-or-later
"""The rules of a profile where two legs meet (`di.calls.passing`): every rule stands in `di.apps.sbc.filters`."""

from __future__ import annotations

from di.apps.api import CallInfo, PassedReply, RequestReceived, SipReply, long_name, redirection
from di.apps.sbc import filters
from di.apps.sbc.filters import Pairs, Side
from di.apps.sbc.hops import credential_lines, foreign
from di.apps.sbc.keys import is_yes
from di.apps.sbc.profile import Profile
from di.apps.sbc.replaces import OtherDialog, fixed_refer_to


class ProfilePassing:
    """`profile`: filled in. `caller`: of the A leg. `other_dialog`: see `di.apps.sbc.replaces`."""

    def __init__(self, profile: Profile, caller: CallInfo, other_dialog: OtherDialog) -> None:
        self.profile = profile
        self._caller, self._other_dialog = caller, other_dialog

    def request(self, to_first: bool, request: RequestReceived) -> tuple[str, ...]:
        """header_filter, append_headers_req, fix_replaces_ref."""
        side: Side = "a" if to_first else "b"
        named = self._named(request.headers)
        passed = (*filters.pass_headers(self.profile, foreign(named)), *filters.add_headers(self.profile, side, initial=False))
        ours = self._answers(to_first) or (to_first and is_yes(self.profile.enable_bleg_uas_auth))
        return (*passed, *credential_lines(self.profile, request.headers, ours))

    def _answers(self, to_first: bool) -> bool:
        """Whether challenges of a side are answered here, so that credentials are nothing to it."""
        return is_yes(self.profile.enable_aleg_auth if to_first else self.profile.enable_auth)

    def reply(self, to_first: bool, reply: SipReply) -> PassedReply:
        """header_filter, and towards the caller reply_translations."""
        ours = is_yes(self.profile.enable_auth if to_first else self.profile.enable_aleg_auth)
        passed = filters.pass_headers(self.profile, foreign(reply.headers))
        headers = (*passed, *credential_lines(self.profile, reply.headers, ours), *redirection(reply))
        if not to_first:
            return PassedReply(reply.code, reply.reason, headers)
        code, reason = filters.translate_reply(self.profile, reply.code, reply.reason)
        return PassedReply(code, reason, headers)

    def direction(self, to_first: bool, direction: str) -> str:
        """hold_activity."""
        return filters.hold_direction(self.profile, "a" if to_first else "b", direction)

    def answer_codecs(self, second: tuple[str, ...]) -> tuple[str, ...]:
        """The caller is answered with the called one's codec where it has it. One that may have none of its codecs gets 488."""
        return filters.codecs_for_a(self.profile, self._caller, second)

    def _named(self, headers: Pairs) -> list[tuple[str, str]]:
        """With the dialog that a transfer names as the other side knows it."""
        if not self.profile.fix_replaces_ref:
            return list(headers)
        return [
            (name, fixed_refer_to(value, self._other_dialog) if long_name(name).lower() == "refer-to" else value)
            for name, value in headers
        ]
