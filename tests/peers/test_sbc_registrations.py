# SPDX-License-Identifier: GPL-2.0-or-later
"""Registrations through the sbc: what the registrar is told, what the phone, and how calls come back to phones behind NAT."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from interfaces.sip.message import Message, uri_of
from tests.support.border import PLUGINS, border_files
from tests.support.server import Server, wait_until
from tests.support.sip_peer import PeerCall, UdpPeer, description

pytestmark = pytest.mark.peers

TO = "RURI=$H(X-To)\n"
CACHE = "enable_reg_caching=yes\nmin_reg_expires=600\nmax_ua_expires=60\n"
PROFILES = {
    "cache": TO + CACHE,
    "plain": TO,
    "hiding": TO + 'enable_contact_hiding=yes\ncontact_hiding_prefix=h-\ncontact_hiding_vars="from=$si"\n',
    "parts": TO + "contact_user=$fU-x\ncontact_host=sbc.example.org\n",
    "back": CACHE,
    "patterns": CACHE + 'RURI="$uc"\nnext_hop="$us"\nappend_headers="X-Who: $Ua $UA"\n',
    "shown": 'enable_contact_hiding=yes\ncontact_hiding_prefix=h-\nappend_headers="X-From: $V(from)"\n',
}
BEHIND_NAT = "sip:anna@192.0.2.7:5099;ob"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    files = border_files(PROFILES, "contact_hiding_secret=known-to-us\n")
    with Server(tmp_path_factory.mktemp("server"), files, "trusted_peers=127.0.0.1/32", PLUGINS) as running:
        yield running
        wait_until(lambda: running.xml.calls() == 0, "no call is left")
    assert "Traceback" not in running.log, running.log


def register(
    phone: UdpPeer, far: UdpPeer, profile: str, headers: str = "Expires: 60\r\n", contact: str = f"<{BEHIND_NAT}>"
) -> PeerCall:
    call = phone.call("anna")
    call.contact = contact
    call.send_request("REGISTER", headers=f"P-App-Param: profile={profile}\r\nX-To: sip:127.0.0.1:{far.port}\r\n{headers}")
    return call


async def registered(phone: UdpPeer, far: UdpPeer, profile: str, seconds: int = 600) -> tuple[str, Message]:
    """The Contact that the registrar got, and the phone's reply."""
    call = register(phone, far, profile)
    asked = await far.take_outside()
    contact = asked.request_message.header("Contact")
    asked.reply(asked.request_message, 200, headers=f"Contact: <{uri_of(contact)}>;expires={seconds}\r\n".replace("Contact", "m"))
    return contact, await call.next(200)


def contacts(message: Message) -> list[str]:
    return [value for name, value in message.headers if name == "Contact"]


async def test_without_options_a_contact_passes_as_it_is(phone: UdpPeer, far: UdpPeer) -> None:
    call = register(phone, far, "plain")
    asked = await far.take_outside()
    assert contacts(asked.request_message) == [f"<{BEHIND_NAT}>"] and asked.request_message.header("Expires") == "60"
    asked.answer(403)
    assert (await call.next(403)).code == 403


async def test_a_phone_behind_nat_is_remembered_and_reached(server: Server, phone: UdpPeer, far: UdpPeer) -> None:
    ours, told = await registered(phone, far, "cache")
    assert ours.endswith(f"@127.0.0.1:{server.sip_port}>;expires=600") and "anna" not in ours
    assert [one for one in contacts(told) if "192.0.2.7" in one] == [f"<{BEHIND_NAT}>;expires=60"]
    again = register(phone, far, "cache")
    reply = await again.next(200)
    assert f"<{BEHIND_NAT}>;expires=60" in contacts(reply) and far.outside.empty(), "the registrar was not asked"
    user = uri_of(ours).partition(":")[2].partition("@")[0]
    # MESSAGE and INVITE to what the registrar knows come to the phone, where it sends from, named as it is
    message = PeerCall(far, "m@far", user)
    far.calls[message.call_id] = message
    message.send_request("MESSAGE", "hi", "text/plain", headers="P-App-Param: profile=back\r\n")
    came = await phone.take_outside()
    assert came.request_message.request_uri == BEHIND_NAT
    came.answer(202)
    assert await message.final() == 202
    for profile in ("back", "patterns"):
        call = PeerCall(far, f"{profile}@far", user)
        far.calls[call.call_id] = call
        call.send_request("INVITE", description(40000), headers=f"P-App-Param: profile={profile}\r\n")
        rings = await phone.take_invite()
        assert rings.invite_message is not None and rings.invite_message.request_uri == BEHIND_NAT
        rings.reply(rings.invite_message, 486)
        await rings.next("ACK")
        assert await call.final() == 486
        call.send_request("ACK", cseq=call.cseq, branch=call.branch)
    # who registered is known when it calls
    call = PeerCall(phone, "p@phone", user)
    phone.calls[call.call_id] = call
    call.send_request("INVITE", description(40000), headers="P-App-Param: profile=patterns\r\n")
    rings = await phone.take_invite()
    assert rings.invite_message is not None and rings.invite_message.header("X-Who") == f"anna@127.0.0.1 {user}"
    rings.reply(rings.invite_message, 486)
    assert await call.final() == 486
    call.send_request("ACK", cseq=call.cseq, branch=call.branch)
    # it leaves
    gone = register(phone, far, "cache", "Expires: 0\r\n")
    asked = await far.take_outside()
    assert asked.request_message.header("Contact").endswith("expires=0")
    asked.reply(asked.request_message, 200)
    await gone.next(200)
    back = register(phone, far, "cache")
    asked = await far.take_outside()
    asked.answer(403)
    assert await back.final() == 403, "it is asked again, having been forgotten"


async def test_a_hidden_contact_is_shown_again(server: Server, phone: UdpPeer, far: UdpPeer) -> None:
    ours, told = await registered(phone, far, "hiding")
    user = uri_of(ours).partition(":")[2].partition("@")[0]
    assert user.startswith("h-") and "192.0.2.7" not in ours and uri_of(ours).endswith(f":{server.sip_port}")
    assert f"<{BEHIND_NAT}>;expires=600" in contacts(told)
    reachable = f"sip:anna@127.0.0.1:{phone.port}"
    call = register(phone, far, "hiding", contact=f"<{reachable}>")
    asked = await far.take_outside()
    user = uri_of(asked.request_message.header("Contact")).partition(":")[2].partition("@")[0]
    asked.answer(200)
    await call.next(200)
    invite = PeerCall(far, "i@far", user)
    far.calls[invite.call_id] = invite
    invite.send_request("INVITE", description(40000), headers="P-App-Param: profile=shown\r\n")
    rings = await phone.take_invite()
    assert rings.invite_message is not None and rings.invite_message.request_uri == reachable
    assert rings.invite_message.header("X-From") == "127.0.0.1"
    rings.reply(rings.invite_message, 603)
    assert await invite.final() == 603
    invite.send_request("ACK", cseq=invite.cseq, branch=invite.branch)


async def test_parts_of_a_contact(phone: UdpPeer, far: UdpPeer) -> None:
    ours, told = await registered(phone, far, "parts")
    assert ours == "<sip:peer-x@sbc.example.org>" and f"<{BEHIND_NAT}>;expires=600" in contacts(told)
