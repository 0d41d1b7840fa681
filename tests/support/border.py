# SPDX-License-Identifier: GPL-2.0-or-later
"""A server with the sbc in front of phones: each call names its profile, and whom it is for.

border = Border(server)
one, two = await border.pair(anna, ben, "transparent")
"""

from __future__ import annotations

from collections.abc import Mapping

from interfaces.sip.message import Message
from tests.support.sip_peer import PeerCall, description
from tests.support.switchboard import Switchboard, Talker

MAPPING = "^sip:=>sbc\n"
PLUGINS = "monitoring;cc_call_timer;cc_pcalls;cc_prepaid;cc_ctl;call_control;sbc;xmlrpc2di;web"


def border_files(profiles: Mapping[str, str], more: str = "", active: str = "$(paramhdr)") -> dict[str, str]:
    """Configuration of a server with these profiles, of which a call names its own. `more`: further lines of sbc.conf."""
    return {
        "app_mapping.conf": MAPPING,
        "sbc.conf": f"profiles={','.join(profiles)}\nactive_profile={active}\n{more}",
        "call_control.conf": "",
        **{f"{name}.sbcprofile.conf": text for name, text in profiles.items()},
    }


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

    async def with_offer(self, caller: Talker, callee: Talker, profile: str, body: str) -> tuple[PeerCall, PeerCall]:
        """A call with an offer by hand has reached the callee."""
        call = PeerCall(caller.sip, f"{profile}-{caller.sip.port}-{len(caller.calls)}@talker", "someone")
        caller.sip.calls[call.call_id] = call
        caller.calls.append(call)
        call.send_request("INVITE", body, headers=f"P-App-Param: profile={profile}\r\nX-To: {callee.uri}\r\n")
        return call, await callee.called()


def invite(call: PeerCall) -> Message:
    """The INVITE that a call came with."""
    assert call.invite_message is not None
    return call.invite_message


def offer(talker: Talker, formats: str, lines: str = "", events: str = " 101") -> str:
    """An offer of several codecs; `lines`: further ones of the audio stream, with their ends. `events` empty: no telephone-event."""
    head = description(talker.rtp.port).partition("m=audio")[0]
    maps = "a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:9 G722/8000\r\n"
    maps += "a=rtpmap:101 telephone-event/8000\r\n" if events else ""
    return f"{head}m=audio {talker.rtp.port} RTP/AVP {formats}{events}\r\n{maps}{lines}"
