# SPDX-License-Identifier: GPL-2.0-or-later
"""A server with the sbc in front of phones: each call names its profile, and whom it is for.

border = Border(server)
one, two = await border.pair(anna, ben, "transparent")
"""

from __future__ import annotations

from tests.support.sip_peer import PeerCall
from tests.support.switchboard import Switchboard, Talker

MAPPING = "^sip:=>sbc\n"
PLUGINS = "monitoring;cc_call_timer;cc_pcalls;cc_prepaid;cc_ctl;call_control;sbc;xmlrpc2di;web"


class Border(Switchboard):
    """`through` calls; the profile's RURI is `$H(X-To)` where it does not say otherwise."""

    async def through(
        self, caller: Talker, callee: Talker, profile: str, headers: str = "", offer: bool = True
    ) -> tuple[PeerCall, PeerCall]:
        """The caller's INVITE has reached the callee."""
        call = self.call(caller, callee, profile, headers, offer)
        return call, await callee.called()

    def call(self, caller: Talker, callee: Talker, profile: str, headers: str = "", offer: bool = True) -> PeerCall:
        """Send the caller's INVITE."""
        return caller.invite(f"P-App-Param: profile={profile}\r\nX-To: {callee.uri}\r\n{headers}", "someone", offer)

    async def up(self, caller: Talker, callee: Talker, profile: str, headers: str = "") -> tuple[PeerCall, PeerCall]:
        """Both up and connected."""
        one, two = await self.through(caller, callee, profile, headers)
        await callee.accept(two)
        await caller.answered(one)
        return one, two
