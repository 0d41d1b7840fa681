# SPDX-License-Identifier: GPL-2.0-or-later
"""The sbc in real calls: who calls whom, by which way, what is refused, what is heard, and how calls end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from interfaces.sip.message import Message
from tests.support.border import PLUGINS, Border, border_files, invite
from tests.support.ports import free_port, free_ports
from tests.support.rtp_peer import PCMA
from tests.support.server import Server, wait_until
from tests.support.sip_peer import PeerCall, direction_of
from tests.support.switchboard import Talker

pytestmark = pytest.mark.peers

TO = "RURI=$H(X-To)\n"
PROFILES = {
    "plain": TO,
    "identity": TO + 'From="\\"The Firm\\" <sip:$fU@firm.example>"\nTo=<sip:desk@$fh>\nCall-ID=$ci-b\n',
    "host": "RURI_host=$H(X-Host)\n",
    "refuse": 'refuse_with="403 $H(X-Why)"\n',
    "hop": "next_hop=$H(X-Hop)\npatch_ruri_next_hop=$H(X-Patch)\n".replace("$H(X-Patch)", "no"),
    "patch": "next_hop=$H(X-Hop)\npatch_ruri_next_hop=yes\n",
    "fixed": 'next_hop="$H(X-Hop)"\nnext_hop_fixed=yes\n',
    "forced": 'outbound_proxy="$H(X-Proxy)"\nforce_outbound_proxy=yes\n',
    "back": TO + 'aleg_next_hop="$H(X-Back)"\n',
    "proxy": "outbound_proxy=$H(X-Hop)\n",
    "mapped": "RURI=$M($rU=>where)@$H(X-Host)\n".replace("RURI=", "RURI=sip:"),
    "timer": TO + "enable_session_timer=yes\nenable_aleg_session_timer=no\nsession_expires=300\nminimum_timer=120\n",
    "few": TO + "call_control=few\nfew_module=cc_pcalls\nfew_uuid=$fU\n",
    "short": TO + "call_control=time\ntime_module=cc_call_timer\ntime_timer=$H(X-Time)\n",
    "prepaid": TO + "call_control=balance\nbalance_module=cc_prepaid\nbalance_uuid=$H(X-Account)\n",
    "steered": TO + "call_control=$H(P-Call-Control)\n",
    "inner": TO + "outbound_interface=inner\nrtprelay_interface=default\naleg_rtprelay_interface=inner\nTo=<sip:$Rn@$Ri>\n",
    "lost": TO + "aleg_rtprelay_interface=$H(X-Interface)\n",
    "symmetric": TO + "rtprelay_force_symmetric_rtp=yes\n",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    files = border_files(PROFILES, "regex_maps=where\n", "$(paramhdr),plain") | {"where.conf": "^(some)one$=>any\\1\n"}
    low = free_ports(40)
    inner = f"sip_ip_inner=127.0.0.2\nsip_port_inner={free_port()}\nrtp_low_port_inner={low}\nrtp_high_port_inner={low + 39}\n"
    settings = f"log_sessions=yes\nforce_symmetric_rtp=no\nadditional_interfaces=inner\n{inner}"
    with Server(tmp_path_factory.mktemp("server"), files, settings, PLUGINS) as running:
        yield running
    assert "Traceback" not in running.log, running.log


def progress(talker: Talker, call: PeerCall, code: int, headers: str = "", media: bool = False) -> None:
    assert call.invite_message is not None
    call.reply(call.invite_message, code, talker.description() if media else "", headers)


async def refuse(call: PeerCall, code: int, headers: str = "") -> None:
    call.reply(invite(call), code, headers=headers)
    await call.next("ACK")


def payloads(message: Message) -> list[str]:
    line = next(line for line in message.body.decode().splitlines() if line.startswith("m=audio"))
    return line.split()[3:]


# -------------------------------------------------------------------------------------------------------------- the two legs
async def test_a_call_passes_with_its_replies_and_is_heard(border: Border) -> None:
    anna, ben = await border.phone(), await border.phone()
    one, two = await border.through(anna, ben, "plain", "X-Subject: lunch\r\n")
    assert not invite(two).header("P-App-Param"), "it was for us"
    assert invite(two).header("X-Subject") == "lunch" and invite(two).request_uri == ben.uri
    assert invite(two).header("Call-ID") != one.call_id
    progress(ben, two, 180, "X-Ring: softly\r\n")
    assert (await one.next(180)).header("X-Ring") == "softly"
    progress(ben, two, 183, media=True)
    anna.hears_of(await one.next(183))
    await border.hear({anna: {ben}})
    await ben.accept(two, "X-Answer: yes\r\n")
    assert (await anna.answered(one)).header("X-Answer") == "yes"
    await border.hear({anna: {ben}, ben: {anna}})
    assert (await border.record(one))["profile"] == "plain"
    await border.hang_up(one, two)


async def test_the_called_one_hangs_up(border: Border) -> None:
    anna, ben = await border.phone(), await border.phone()
    one, two = await border.up(anna, ben, "plain")
    await border.hang_up(two, one)


async def test_a_refusal_passes(border: Border) -> None:
    anna, ben = await border.phone(), await border.phone()
    one, two = await border.through(anna, ben, "plain")
    await refuse(two, 486, "X-Why: lunch\r\n")
    assert (await anna.answered(one, 486)).header("X-Why") == "lunch"


async def test_a_redirection_passes(border: Border) -> None:
    anna, ben = await border.phone(), await border.phone()
    one, two = await border.through(anna, ben, "plain")
    redirected = asyncio.ensure_future(two.redirect("<sip:carl@there.example>;q=0.7", "<sip:dora@there.example>"))
    answer = await anna.answered(one, 302)
    contacts = [value for name, value in answer.headers if name == "Contact"]
    assert contacts == ["<sip:carl@there.example>;q=0.7", "<sip:dora@there.example>"]
    await redirected


async def test_the_caller_gives_up(border: Border) -> None:
    anna, ben = await border.phone(), await border.phone()
    one, two = await border.through(anna, ben, "plain")
    progress(ben, two, 180)
    await one.next(180)
    one.cancel()
    two.reply(await two.next("CANCEL"), 200)
    await refuse(two, 487)
    assert (await one.next(487)).code == 487
    one.send_request("ACK", cseq=one.cseq, branch=one.branch)


async def test_audio_of_one_codec_passes_undecoded(border: Border) -> None:
    anna, ben = await border.phone(PCMA), await border.phone(PCMA)
    one, two = await border.through(anna, ben, "plain")
    assert payloads(invite(two))[0] == "8"
    assert "0" not in payloads(invite(two)), "only what the caller offers"
    await ben.accept(two)
    assert payloads(await anna.answered(one))[0] == "8"
    before = (await border.media()).get("packets_relayed", 0)
    await border.hear({anna: {ben}, ben: {anna}})
    for _ in range(60):  # the media process reports every few seconds
        if (await border.media()).get("packets_relayed", 0) >= before + 60:
            break
        await border.run(200)
    assert (await border.media()).get("packets_relayed", 0) >= before + 60
    await border.hang_up(one, two)


async def test_an_offer_that_comes_late(border: Border) -> None:
    anna, ben = await border.phone(), await border.phone()
    one, two = await border.through(anna, ben, "plain", offer=False)
    await ben.accept(two)
    offer = await one.next(200)
    anna.hears_of(offer)
    one.send_request("ACK", anna.description(), cseq=one.cseq)
    await border.hear({anna: {ben}, ben: {anna}})
    await border.hang_up(one, two)


async def test_hold_reaches_the_other_side(border: Border) -> None:
    anna, ben = await border.phone(), await border.phone()
    one, two = await border.up(anna, ben, "plain")
    reply, offer = await asyncio.gather(anna.reoffer(one, "sendonly"), ben.take_offer(two, "recvonly"))
    assert direction_of(reply.body.decode()) == "recvonly" and direction_of(offer.body.decode()) == "sendonly"
    await border.hear({anna: set(), ben: {anna}})
    await asyncio.gather(anna.reoffer(one, "sendrecv"), ben.take_offer(two))
    await border.hear({anna: {ben}, ben: {anna}})
    await border.hang_up(one, two)


async def test_the_caller_hears_the_one_of_two_branches_that_answers(border: Border) -> None:
    """A proxy behind us forks: two branches ring, one answers."""
    anna, ben = await border.phone(), await border.phone()
    one, two = await border.through(anna, ben, "plain")
    two.ring("first")
    await one.next(180)
    winner = two.fork("second")
    winner.ring("second", ben.description())
    winner.reply(invite(two), 200, ben.description())
    await two.next_of("ACK", "second")
    await anna.answered(one)
    await border.hear({anna: {ben}, ben: {anna}})
    assert await one.bye() == 200
    winner.reply(await two.next_of("BYE", "second"), 200)


async def test_requests_inside_the_call_pass_both_ways(border: Border) -> None:
    anna, ben = await border.phone(), await border.phone()
    one, two = await border.up(anna, ben, "plain")
    for asks, answers in ((one, two), (two, one)):
        asks.send_request("MESSAGE", "hello", "text/plain", headers="X-Mood: good\r\n")
        request = await answers.next("MESSAGE")
        assert (request.body, request.header("X-Mood")) == (b"hello", "good")
        answers.reply(request, 202, headers="X-Read: yes\r\n")
        assert (await asks.next(202)).header("X-Read") == "yes"
    await border.hang_up(one, two)


async def test_a_transfer_passes_to_the_other_side(border: Border) -> None:
    anna, ben = await border.phone(), await border.phone()
    one, two = await border.up(anna, ben, "plain")
    one.send_request("REFER", headers="Refer-To: <sip:carl@127.0.0.1>\r\n")
    request = await two.next("REFER")
    assert request.header("Refer-To") == "<sip:carl@127.0.0.1>"
    two.reply(request, 202)
    assert (await one.next(202)).code == 202
    await border.hang_up(one, two)


# ------------------------------------------------------------------------------------------------------------------ identity
async def test_who_calls_whom_is_what_the_profile_says(border: Border) -> None:
    anna, ben = await border.phone(), await border.phone()
    one, two = await border.through(anna, ben, "identity")
    message = invite(two)
    assert message.header("From").startswith('"The Firm" <sip:peer@firm.example>;tag=')
    assert message.header("To") == "<sip:desk@127.0.0.1>"
    assert message.header("Call-ID") == f"{one.call_id}-b"
    await refuse(two, 480)
    await anna.answered(one, 480)


async def test_only_the_host_is_another(border: Border) -> None:
    anna, ben = await border.phone(), await border.phone()
    one, two = await border.through(anna, ben, "host", f"X-Host: 127.0.0.1:{ben.sip.port}\r\n")
    assert invite(two).request_uri == f"sip:someone@127.0.0.1:{ben.sip.port}"
    await refuse(two, 480)
    await anna.answered(one, 480)


async def test_a_regex_map_says_who(border: Border) -> None:
    anna, ben = await border.phone(), await border.phone()
    one, two = await border.through(anna, ben, "mapped", f"X-Host: 127.0.0.1:{ben.sip.port}\r\n")
    assert invite(two).request_uri == f"sip:anysome@127.0.0.1:{ben.sip.port}"
    await refuse(two, 480)
    await anna.answered(one, 480)


# ------------------------------------------------------------------------------------------------------------------- routing
@pytest.mark.parametrize(("profile", "routed"), [("hop", False), ("fixed", True), ("fixed", False), ("forced", True)])
async def test_requests_inside_the_call_go_to_the_hop(border: Border, profile: str, routed: bool) -> None:
    """The called one's Contact, or a Record-Route, leads elsewhere."""
    anna, ben, elsewhere = await border.phone(), await border.phone(), await border.phone()
    hops = f"X-Hop: 127.0.0.1:{ben.sip.port}\r\nX-Proxy: sip:127.0.0.1:{ben.sip.port};lr\r\n"
    one, two = await border.through(anna, ben, profile, hops)
    there = f"<sip:127.0.0.1:{elsewhere.sip.port};lr>"
    if not routed:
        two.contact = there
    for _ in range(3):  # who gets no ACK says 200 once more
        await ben.accept(two, f"Record-Route: {there}\r\n" if routed else "")
    await anna.answered(one)
    assert two.seen[-1].header("Route") == (there if routed else "")
    await border.hang_up(one, two)
    assert two.call_id in ben.sip.call_ids - elsewhere.sip.call_ids


async def test_requests_to_the_caller_go_to_his_hop(border: Border) -> None:
    anna, ben, elsewhere = await border.phone(), await border.phone(), await border.phone()
    one = anna.sip.call("someone")
    anna.calls.append(one)
    one.contact = f"<sip:peer@127.0.0.1:{elsewhere.sip.port}>"
    headers = f"P-App-Param: profile=back\r\nX-To: {ben.uri}\r\nX-Back: 127.0.0.1:{anna.sip.port}\r\n"
    one.send_request("INVITE", anna.description(), headers=headers)
    two = await ben.called()
    await ben.accept(two)
    await anna.answered(one)
    await border.hang_up(two, one)
    assert one.call_id in anna.sip.call_ids - elsewhere.sip.call_ids


@pytest.mark.parametrize(("profile", "patched"), [("hop", False), ("patch", True)])
async def test_the_next_hop_gets_the_invite(border: Border, profile: str, patched: bool) -> None:
    anna, ben = await border.phone(), await border.phone()
    one, two = await border.through(anna, ben, profile, f"X-Hop: 127.0.0.1:{ben.sip.port}\r\n")
    to = f"127.0.0.1:{ben.sip.port}" if patched else f"127.0.0.1:{border.server.sip_port}"
    assert invite(two).request_uri == f"sip:someone@{to}"
    assert not invite(two).header("Route")
    await refuse(two, 480)
    await anna.answered(one, 480)


async def test_the_outbound_proxy_is_the_route(border: Border) -> None:
    anna, ben = await border.phone(), await border.phone()
    one, two = await border.through(anna, ben, "proxy", f"X-Hop: sip:127.0.0.1:{ben.sip.port};lr\r\n")
    assert invite(two).header("Route") == f"<sip:127.0.0.1:{ben.sip.port};lr>"
    assert invite(two).request_uri == f"sip:someone@127.0.0.1:{border.server.sip_port}"
    await refuse(two, 480)
    await anna.answered(one, 480)


async def test_interfaces_are_those_of_the_profile(border: Border) -> None:
    anna, ben = await border.phone(), await border.phone()
    one, two = await border.through(anna, ben, "inner")
    assert ben.sip.sources[0][0] == "127.0.0.2" and "c=IN IP4 127.0.0.1" in invite(two).body.decode()
    assert invite(two).header("To") == "<sip:default@127.0.0.1>", "the interface where the call came in"
    ben.sip.server_ip, ben.sip.server_port = ben.sip.sources[0]
    await ben.accept(two)
    assert "c=IN IP4 127.0.0.2" in (await anna.answered(one)).body.decode()
    await border.hear({anna: {ben}, ben: {anna}})
    await border.hang_up(one, two)


async def test_an_interface_that_is_not_there(border: Border) -> None:
    anna, ben = await border.phone(), await border.phone()
    one = border.call(anna, ben, "lost", "X-Interface: nowhere\r\n")
    assert (await anna.answered(one, 500)).reason == "Server Internal Error"
    said = "profile lost: there is no interface 'nowhere'"
    await asyncio.to_thread(wait_until, lambda: said in border.server.log, "a line in the log")


async def test_audio_goes_to_where_it_comes_from(border: Border) -> None:
    """A phone behind NAT names an address that is not the one it sends from."""
    anna, ben = await border.phone(), await border.phone()
    one = anna.sip.call("someone")
    anna.calls.append(one)
    hidden = anna.description(ip="127.0.0.77")
    one.send_request("INVITE", hidden, headers=f"P-App-Param: profile=symmetric\r\nX-To: {ben.uri}\r\n")
    two = await ben.called()
    await ben.accept(two)
    await anna.answered(one)
    await border.hear({anna: {ben}, ben: {anna}})
    await border.hang_up(one, two)


# ------------------------------------------------------------------------------------------------------------------- refused
async def test_a_profile_refuses(border: Border) -> None:
    anna, ben = await border.phone(), await border.phone()
    one = border.call(anna, ben, "refuse", "X-Why: go away\r\n")
    assert (await anna.answered(one, 403)).reason == "go away"


async def test_a_profile_that_is_not_there(border: Border) -> None:
    anna, ben = await border.phone(), await border.phone()
    one = border.call(anna, ben, "nobody")
    assert (await anna.answered(one, 500)).reason == "Server Internal Error"


async def test_the_last_hop_is_refused(border: Border) -> None:
    anna, _ = await border.phone(), await border.phone()
    one = anna.sip.call("someone")
    one.max_forwards = 0
    one.send_request("INVITE", anna.description())
    await anna.answered(one, 483)


# ------------------------------------------------------------------------------------------------------------- hops and circles
async def test_a_call_goes_on_with_a_hop_less(border: Border) -> None:
    anna, ben = await border.phone(), await border.phone()
    one = anna.sip.call("someone")
    one.max_forwards = 9
    one.send_request("INVITE", anna.description(), headers=f"X-To: {ben.uri}\r\nX-Cordboard-Hops: 70\r\n")
    two = await ben.called()
    assert [value for name, value in invite(two).headers if name == "Max-Forwards"] == ["8"]
    assert not invite(two).header("X-Cordboard-Hops")
    await refuse(two, 480)
    await anna.answered(one, 480)


async def test_a_call_that_goes_round_in_a_circle_ends(border: Border) -> None:
    anna, _ = await border.phone(), await border.phone()
    one = anna.sip.call("someone")
    one.max_forwards = 5
    here = f"127.0.0.1:{border.server.sip_port}"
    one.send_request("INVITE", anna.description(), headers=f"P-App-Param: profile=hop\r\nX-Hop: {here}\r\n")
    await anna.answered(one, 483)


# ------------------------------------------------------------------------------------------------------ who logs in at whom
async def test_the_caller_logs_in_at_the_called_one(border: Border) -> None:
    anna, ben = await border.phone(), await border.phone()
    one, two = await border.through(anna, ben, "plain")
    await refuse(two, 407, 'Proxy-Authenticate: Digest realm="there", nonce="n"\r\n')
    challenge = await anna.answered(one, 407)
    assert challenge.header("Proxy-Authenticate") == 'Digest realm="there", nonce="n"'
    one, two = await border.through(anna, ben, "plain", 'Proxy-Authorization: Digest username="anna"\r\n')
    assert invite(two).header("Proxy-Authorization") == 'Digest username="anna"'
    await refuse(two, 480)
    await anna.answered(one, 480)


# ------------------------------------------------------------------------------------------------------------ session timers
async def test_the_called_one_gets_the_profile_s_interval(border: Border) -> None:
    anna, ben = await border.phone(), await border.phone()
    one, two = await border.through(anna, ben, "timer")
    message = invite(two)
    assert (message.header("Session-Expires").partition(";")[0], message.header("Min-SE")) == ("300", "120")
    await ben.accept(two, "Supported: timer\r\nSession-Expires: 300;refresher=uas\r\n")
    assert not (await anna.answered(one)).header("Session-Expires")
    await border.hang_up(one, two)


# ------------------------------------------------------------------------------------------------------------------ controls
async def test_a_control_of_the_profile_counts_its_calls(border: Border) -> None:
    anna, ben = await border.phone(), await border.phone()
    one, two = await border.up(anna, ben, "few")
    again = border.call(anna, ben, "few")
    assert (await anna.answered(again, 402)).reason == "Too Many Simultaneous Calls"
    other, third = await border.up(anna, ben, "plain")
    assert await other.bye() == 200
    await third.taken_off()
    await border.hang_up(one, two)


async def test_a_control_of_the_profile_ends_the_call(border: Border) -> None:
    anna, ben = await border.phone(), await border.phone()
    one, two = await border.up(anna, ben, "short", "X-Time: 1\r\n")
    bye = await one.next("BYE")
    assert any("Q.850;cause=31" in value for name, value in bye.headers if name == "Reason")
    one.reply(bye, 200)
    await two.taken_off()


async def test_a_caller_has_what_he_paid_for(border: Border) -> None:
    anna, ben = await border.phone(), await border.phone()
    rpc = border.server.json
    await asyncio.to_thread(rpc, "cc_prepaid.setCredit", "anna", 1)
    one, two = await border.up(anna, ben, "prepaid", "X-Account: anna\r\n")
    await asyncio.gather(one.taken_off(), two.taken_off())
    await border.all_gone()
    await asyncio.to_thread(wait_until, lambda: rpc("cc_prepaid.getCredit", "anna") == [0, 1], "it is charged")
    broke = border.call(anna, ben, "prepaid", "X-Account: anna\r\n")
    assert (await anna.answered(broke, 402)).reason == "Insufficient Credit"
    unknown = border.call(anna, ben, "prepaid", "X-Account: carl\r\n")
    await anna.answered(unknown, 500)


async def test_a_header_names_controls(border: Border) -> None:
    anna, ben = await border.phone(), await border.phone()
    control = f'P-Call-Control: cc_ctl;RURI="{ben.uri};by=control";append_headers="X-Added: yes"\r\n'
    one, two = await border.through(anna, ben, "steered", control)
    assert invite(two).request_uri == f"{ben.uri};by=control"
    await refuse(two, 480)
    await anna.answered(one, 480)


async def test_a_header_that_names_what_is_not_there(border: Border) -> None:
    anna, ben = await border.phone(), await border.phone()
    one = border.call(anna, ben, "steered", "P-Call-Control: cc_nothing;x=1\r\n")
    assert (await anna.answered(one, 500)).reason == "Server Internal Error"


# ---------------------------------------------------------------------------------------------------------------- from outside
async def test_a_call_is_taken_down_from_outside(border: Border) -> None:
    anna, ben = await border.phone(), await border.phone()
    one, two = await border.up(anna, ben, "plain")
    ids = await asyncio.to_thread(border.server.xml.listByFilter, ["callid", one.call_id])
    answer = await asyncio.to_thread(border.server.json, "sbc.postControlCmd", ids[0], "teardown")
    assert answer == [202, "Accepted"]
    await asyncio.gather(one.taken_off(), two.taken_off())


async def test_the_other_leg_passes_the_command_on(border: Border) -> None:
    anna, ben = await border.phone(), await border.phone()
    one, two = await border.up(anna, ben, "plain")
    both = {"read": [{"codec": "PCMU/8000", "count": 2}], "write": [{"codec": "PCMU/8000", "count": 2}]}
    await asyncio.to_thread(
        wait_until, lambda: border.server.json("sbc.printCallStats") == both, "the codecs of both legs are known"
    )
    ids = await asyncio.to_thread(border.server.xml.listByFilter, ["callid", two.call_id])
    answer = await asyncio.to_thread(border.server.json, "sbc.postControlCmd", ids[0], "teardown")
    assert answer == [202, "Accepted"]
    await asyncio.gather(one.taken_off(), two.taken_off())
