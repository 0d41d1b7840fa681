# SPDX-License-Identifier: GPL-2.0-or-later
"""What a profile's rules make of calls, seen at the far end: headers, replies, codecs, attribute lines, holds, contacts, credentials."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import dpkt
import pytest

from di.sip.auth_params import parameters
from interfaces.sip.message import Message, parse, tag_of
from tests.support.border import PLUGINS, Border, border_files, invite, offer
from tests.support.rtp_peer import PCMA, PCMU
from tests.support.sdp import audio_address, audio_codecs
from tests.support.server import Server
from tests.support.sip_peer import PeerCall, direction_of
from tests.support.sipp import SCENARIOS, Sipp, run_sipp

pytestmark = pytest.mark.peers

TO = "RURI=$H(X-To)\n"
PROFILES = {
    "plain": TO,
    "headers": TO + "header_filter=blacklist\nheader_list=X-Secret,Subject\n"
    'append_headers="X-First: $rU\\r\\nX-Empty: $H(Nothing)"\nappend_headers_req="X-To-B: yes"\naleg_append_headers_req="X-To-A: yes"\n',
    "white": TO + "header_filter=whitelist\nheader_list=x-keep\n",
    "methods": TO + "message_filter=blacklist\nmessage_list=message\n",
    "quiet": TO + "allow_subless_notify=no\n",
    "replies": TO + 'reply_translations="486=>480 Later|180=>183 Soon"\n',
    "codecs": TO + "sdp_filter=blacklist\nsdpfilter_list=pcmu\n",
    "lines": TO + "sdp_alines_filter=whitelist\nsdp_alinesfilter_list=x-keep,label\nsdp_anonymize=yes\n",
    "convert": TO + "enable_transcoder=always\ntranscoder_codecs=PCMA,G722\ncodec_preference=g722\n",
    "missing": TO + "enable_transcoder=on_missing_compatible\ntranscoder_codecs=PCMA\ncallee_codeccaps=PCMA\n",
    "hold": TO + "hold_alter_b2b_bleg=yes\nhold_zero_connection_bleg=yes\nhold_activity_bleg=sendrecv\n"
    "hold_alter_b2b_aleg=yes\nhold_activity_aleg=inactive\n",
    "contacts": TO + "aleg_contact_user=desk\naleg_contact_host=sbc.example.org\nbleg_contact_displayname=Border\n"
    "bleg_contact_user=$fU-x\nbleg_contact_params=q=0.5\n",
    "login": TO
    + "enable_auth=yes\nauth_user=anna\nauth_pwd=secret\nenable_aleg_auth=yes\nauth_aleg_user=desk\nauth_aleg_pwd=open\n",
    "guarded": TO + "enable_bleg_uas_auth=yes\nuas_auth_bleg_realm=border\nuas_auth_bleg_user=ben\nuas_auth_bleg_pwd=word\n",
    "nat": TO + "dlg_nat_handling=yes\n",
    "written": TO + "msg_logger_path=LOGS/$fU.pcap\n",
    "refer": TO + "fix_replaces_ref=yes\n",
    "all": 'next_hop="$H(X-Hop)"\nheader_filter=whitelist\nheader_list=X-Keep\nappend_headers="X-Caller: $fU"\n'
    "enable_transcoder=always\ntranscoder_codecs=PCMA,G722\nsdp_alines_filter=blacklist\nsdp_alinesfilter_list=x-drop\n"
    'reply_translations="180=>180 Patience"\nbleg_contact_user=border\n',
}


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("messages")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, logs: Path) -> Iterator[Server]:
    files = border_files({name: text.replace("LOGS", str(logs)) for name, text in PROFILES.items()})
    with Server(tmp_path_factory.mktemp("server"), files, "", PLUGINS.replace("sbc;", "uac_auth;sbc;")) as running:
        yield running
    assert "Traceback" not in running.log, running.log


def names(message: Message) -> set[str]:
    return {name for name, _ in message.headers}


# --------------------------------------------------------------------------------------------------------- headers, replies
async def test_headers_are_filtered_both_ways_and_added(border: Border) -> None:
    anna, ben = await border.phone(), await border.phone()
    one, two = await border.through(anna, ben, "headers", "X-Secret: 1\r\ns: lunch\r\nX-Open: 2\r\n")
    came = invite(two)
    assert came.header("X-Open") == "2" and not {"X-Secret", "Subject", "X-Empty"} & names(came)
    assert came.header("X-First") == "someone" and came.header("X-To-B") == "yes"
    await ben.accept(two, "X-Secret: 3\r\nX-Answer: 4\r\n")
    answer = await anna.answered(one)
    assert answer.header("X-Answer") == "4" and "X-Secret" not in names(answer)
    for sender, receiver, added in ((one, two, "X-To-B"), (two, one, "X-To-A")):
        sender.send_request("INFO", "hi", "text/plain", headers="X-Secret: 5\r\nX-Open: 6\r\n")
        info = await receiver.next("INFO")
        assert info.header("X-Open") == "6" and info.header(added) == "yes" and "X-Secret" not in names(info)
        assert [name for name, _ in info.headers].count(added) == 1
        receiver.reply(info, 200)
        await sender.next(200)
    reply, held = await asyncio.gather(anna.reoffer(one, "sendonly"), ben.take_offer(two, "recvonly"))
    assert held.header("X-To-B") == "yes" and reply.code == 200
    assert await one.bye() == 200
    bye = await two.next("BYE")
    assert bye.header("X-To-B") == "yes"
    two.reply(bye, 200)


async def test_a_whitelist_lets_only_its_headers_pass(border: Border) -> None:
    anna, ben = await border.phone(), await border.phone()
    one, two = await border.through(anna, ben, "white", "X-Keep: 1\r\nX-Other: 2\r\nSubject: 3\r\n")
    assert invite(two).header("X-Keep") == "1" and not {"X-Other", "Subject", "P-App-Param", "X-To"} & names(invite(two))
    await ben.accept(two)
    await anna.answered(one)
    await border.hang_up(one, two)


async def test_a_blocked_method_is_405_and_another_passes(border: Border) -> None:
    anna, ben = await border.phone(), await border.phone()
    one, two = await border.up(anna, ben, "methods")
    assert await one.request("MESSAGE", body="hi") == 405 and await two.request("MESSAGE", body="hi") == 405
    reply, _ = await asyncio.gather(one.request("INFO", body="hi"), two.answer_request("INFO", 202))
    assert reply == 202
    await border.hang_up(one, two)


async def test_a_notify_that_nobody_asked_for(border: Border) -> None:
    anna, ben = await border.phone(), await border.phone()
    one, two = await border.up(anna, ben, "quiet")
    notify = "Event: x\r\nSubscription-State: active\r\n"
    assert await two.request("NOTIFY", headers=notify) == 481
    reply, _ = await asyncio.gather(
        one.request("SUBSCRIBE", headers="Event: x\r\nExpires: 60\r\n"), two.answer_request("SUBSCRIBE", 200)
    )
    assert reply == 200
    reply, _ = await asyncio.gather(two.request("NOTIFY", headers=notify), one.answer_request("NOTIFY", 200))
    assert reply == 200 and await one.request("NOTIFY", headers=notify) == 481, "the other side has not asked"
    await border.hang_up(one, two)


async def test_replies_are_translated(border: Border) -> None:
    anna, ben = await border.phone(), await border.phone()
    one, two = await border.through(anna, ben, "replies")
    two.reply(invite(two), 180)
    assert (await one.next(180, 183)).start_line == "SIP/2.0 180 Soon", "a 183 has a description, which this one has not"
    two.reply(invite(two), 486)
    await two.next("ACK")
    assert (await anna.answered(one, 480)).start_line == "SIP/2.0 480 Later"


# -------------------------------------------------------------------------------------------------------------- descriptions
async def test_a_filtered_codec_is_neither_offered_nor_answered(border: Border) -> None:
    anna, ben = await border.phone(PCMA), await border.phone(PCMA)
    one, two = await border.with_offer(anna, ben, "codecs", offer(anna, "0 8"))
    assert audio_codecs(invite(two).body.decode()) == ["PCMA/8000"]
    await ben.accept(two)
    assert audio_codecs((await anna.answered(one)).body.decode()) == ["PCMA/8000"]
    await border.hear({anna: {ben}, ben: {anna}})
    await border.hang_up(one, two)
    call = border.call(await border.phone(PCMU), ben, "codecs")
    assert (await call.next(488)).code == 488, "nothing is left of what it offers"
    call.send_request("ACK", cseq=call.cseq, branch=call.branch)


async def test_a_codec_changes_within_a_call_unless_it_is_filtered(border: Border) -> None:
    anna, ben = await border.phone(PCMU), await border.phone(PCMU)
    one, two = await border.with_offer(anna, ben, "plain", offer(anna, "0 8"))
    await ben.accept(two)
    assert audio_codecs((await anna.answered(one)).body.decode()) == ["PCMU/8000"]
    anna.rtp.payload_type = PCMA
    changed, told = await asyncio.gather(anna.reoffer(one, "sendrecv", PCMA), ben.take_offer(two, codec=PCMA))
    assert audio_codecs(changed.body.decode()) == ["PCMA/8000"] and audio_codecs(told.body.decode())[0] == "PCMA/8000"
    ben.rtp.payload_type = PCMA
    await border.hear({anna: {ben}, ben: {anna}})
    await border.hang_up(one, two)
    anna.rtp.payload_type = PCMA
    one, two = await border.with_offer(anna, ben, "codecs", offer(anna, "0 8"))
    await ben.accept(two)
    await anna.answered(one)
    for asker in (one, two):
        asker.send_request("INVITE", anna.description(codec=PCMU))
        assert await asker.final() == 488
        asker.send_request("ACK", cseq=asker.cseq, branch=asker.branch)
    await border.hang_up(one, two)


async def test_attribute_lines_pass_as_they_are_listed(border: Border) -> None:
    anna, ben = await border.phone(), await border.phone()
    lines = "a=x-keep:1\r\na=label:7\r\na=x-drop\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\n"
    for profile, passing in (("lines", ["a=x-keep:1", "a=label:7"]), ("plain", ["a=x-keep:1", "a=label:7", "a=x-drop"])):
        one, two = await border.with_offer(anna, ben, profile, offer(anna, "0", lines))
        body = invite(two).body.decode()
        assert [line for line in body.splitlines() if line.startswith(("a=x-", "a=label", "a=crypto"))] == passing
        assert re.search(r"^o=- .*\r\ns=-\r\n" if profile == "lines" else r"^o=sems .*\r\ns=sems\r\n", body, re.MULTILINE)
        two.reply(invite(two), 200, ben.description() + "a=x-keep:2\r\na=x-drop\r\n")
        await two.next("ACK")
        answer = (await anna.answered(one)).body.decode()
        assert "a=x-keep:2\r\n" in answer and ("a=x-drop" in answer) is (profile == "plain")
        await border.hang_up(one, two)


async def test_two_codecs_are_converted_and_heard(border: Border) -> None:
    """The caller has PCMU alone, the called one picks G.722 of what the transcoder adds: G.722, PCMA, then the caller's."""
    anna, ben = await border.phone(PCMU), await border.phone(9, "G722/8000")
    one, two = await border.through(anna, ben, "convert")
    assert audio_codecs(invite(two).body.decode()) == ["G722/8000", "PCMU/8000", "PCMA/8000"]
    await ben.accept(two)
    assert audio_codecs((await anna.answered(one)).body.decode()) == ["PCMU/8000"]
    await border.hear({anna: {ben}, ben: {anna}})
    assert {packet.payload_type for packet in anna.rtp.packets} == {0} and {
        packet.payload_type for packet in ben.rtp.packets
    } == {9}
    await border.hang_up(one, two)


async def test_the_transcoder_comes_in_where_the_called_one_lacks_the_codec(border: Border) -> None:
    anna, ben = await border.phone(PCMU), await border.phone(PCMA)
    one, two = await border.through(anna, ben, "missing")
    assert audio_codecs(invite(two).body.decode()) == ["PCMU/8000", "PCMA/8000"]
    await ben.accept(two)
    await anna.answered(one)
    await border.hear({anna: {ben}, ben: {anna}})
    await border.hang_up(one, two)
    one, two = await border.with_offer(anna, ben, "missing", offer(anna, "0 8"))
    assert audio_codecs(invite(two).body.decode()) == ["PCMU/8000", "PCMA/8000"], "the caller's own, in its order"
    await ben.accept(two)
    assert audio_codecs((await anna.answered(one)).body.decode()) == ["PCMA/8000"], "one codec on both sides: undecoded"
    await border.hang_up(one, two)


async def test_a_hold_is_told_as_each_leg_wants_it(border: Border) -> None:
    anna, ben = await border.phone(), await border.phone()
    one, two = await border.up(anna, ben, "hold")
    _, told = await asyncio.gather(anna.reoffer(one, "sendonly"), ben.take_offer(two, "recvonly"))
    assert (direction_of(told.body.decode()), audio_address(told.body.decode())[0]) == ("sendrecv", "0.0.0.0")
    _, told = await asyncio.gather(anna.reoffer(one, "sendrecv"), ben.take_offer(two))
    assert (direction_of(told.body.decode()), audio_address(told.body.decode())[0]) == ("sendrecv", "127.0.0.1")
    await border.hear({anna: {ben}, ben: {anna}})
    _, told = await asyncio.gather(ben.reoffer(two, "sendonly"), anna.take_offer(one, "inactive"))
    assert (direction_of(told.body.decode()), audio_address(told.body.decode())[0]) == ("inactive", "127.0.0.1")
    await asyncio.gather(ben.reoffer(two, "sendrecv"), anna.take_offer(one))
    await border.hear({anna: {ben}, ben: {anna}})
    await border.hang_up(one, two)


# ------------------------------------------------------------------------------------------------------- contacts, credentials
async def test_contacts_are_the_profile_s(border: Border) -> None:
    anna, ben = await border.phone(), await border.phone()
    one, two = await border.through(anna, ben, "contacts")
    port = border.server.sip_port
    assert invite(two).header("Contact") == f'"Border" <sip:peer-x@127.0.0.1:{port}>;q=0.5'
    await ben.accept(two)
    answer = await one.next(200)
    assert answer.header("Contact") == "<sip:desk@sbc.example.org>"
    one.target = f"sip:desk@127.0.0.1:{port}"  # no name server knows sbc.example.org
    one.ack()
    await border.hang_up(one, two)


def answers(request: Message, user: str, password: str) -> bool:
    """Whether a request answers a challenge of realm `r`, nonce `n` without qop (RFC 2617 §3.2.2)."""
    said = parameters(request.header("Authorization").partition(" ")[2])

    def md5(text: str) -> str:
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

    asked = md5(f"{request.method}:{said.get('uri', '')}")
    expected = md5(f"{md5(f'{user}:r:{password}')}:n:{asked}")
    return said.get("username") == user and said.get("response") == expected


async def test_challenges_of_both_legs_are_answered(border: Border) -> None:
    challenge = 'WWW-Authenticate: Digest realm="r", nonce="n"\r\n'
    anna, ben = await border.phone(), await border.phone()
    one, two = await border.through(anna, ben, "login")
    two.reply(invite(two), 401, headers=challenge)
    await two.next("ACK")
    again = await two.next("INVITE")
    assert answers(again, "anna", "secret")
    two.invite_message = again
    two.local = two.local.replace("tag=p", "tag=q")
    await ben.accept(two)
    await anna.answered(one)
    one_asks = asyncio.create_task(anna.reoffer(one, "sendonly"))
    await ben.take_offer(two, "recvonly")
    await one_asks
    ben_holds = asyncio.create_task(ben.reoffer(two, "sendonly"))
    told = await one.next("INVITE")
    one.reply(told, 401, headers=challenge)
    await one.next("ACK")
    told = await one.next("INVITE")
    assert answers(told, "desk", "open")
    one.reply(told, 200, anna.description("inactive"))
    await one.next("ACK")
    await ben_holds
    await border.hang_up(one, two)


async def test_the_called_one_must_show_credentials(border: Border) -> None:
    anna, ben = await border.phone(), await border.phone()
    one, two = await border.up(anna, ben, "guarded")
    refusal = await two.exchange("INFO", body="hi")
    said = parameters(refusal.header("WWW-Authenticate").partition(" ")[2])
    assert refusal.code == 401 and said["realm"] == "border"

    def md5(text: str) -> str:
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

    def shown(password: str) -> str:
        ha = md5(f"ben:border:{password}")
        response = md5(f"{ha}:{said['nonce']}:{md5('INFO:sip:x')}")
        return f'Authorization: Digest username="ben", realm="border", nonce="{said["nonce"]}", uri="sip:x", response="{response}"\r\n'

    assert await two.request("INFO", body="hi", headers=shown("wrong")) == 401
    two.send_request("INFO", "hi", "text/plain", headers=shown("word"))
    info = await one.next("INFO")
    assert "Authorization" not in names(info)
    one.reply(info, 200)
    assert await two.final() == 200
    reply, _ = await asyncio.gather(one.request("INFO", body="hi"), two.answer_request("INFO", 200))
    assert reply == 200, "the caller need not"
    await border.hang_up(one, two)


# ------------------------------------------------------------------------------------------------------------------ NAT, logs
async def test_phones_behind_nat_are_reached_where_they_send_from(border: Border) -> None:
    anna, ben = await border.phone(), await border.phone()
    call = PeerCall(anna.sip, "nat@talker", "someone")
    call.contact = "<sip:anna@192.0.2.7:5099>"
    anna.sip.calls[call.call_id] = call
    anna.calls.append(call)
    call.send_request("INVITE", anna.description(), headers=f"P-App-Param: profile=nat\r\nX-To: {ben.uri}\r\n")
    two = await ben.called()
    two.contact = "<sip:ben@192.0.2.8:5099>"
    await ben.accept(two)
    await anna.answered(call)
    for sender, receiver, uri in ((call, two, "sip:ben@192.0.2.8:5099"), (two, call, "sip:anna@192.0.2.7:5099")):
        sender.send_request("INFO", "hi", "text/plain")
        info = await receiver.next("INFO")
        assert info.request_uri == uri
        receiver.reply(info, 200)
        await sender.next(200)
    await border.hang_up(call, two)


async def test_messages_of_both_legs_are_written_down(border: Border, logs: Path) -> None:
    anna, ben = await border.phone(), await border.phone()
    one, two = await border.up(anna, ben, "written")
    await border.hang_up(one, two)
    wanted = {(one.call_id, word) for word in ("INVITE", "ACK", "BYE", "200")} | {
        (two.call_id, word) for word in ("INVITE", "ACK", "BYE", "200")
    }
    found: set[tuple[str, str]] = set()
    for _ in range(200):
        file = logs / "peer.pcap"
        if file.exists():
            with file.open("rb") as capture:
                messages = [parse(dpkt.ip.IP(raw).data.data.decode()) for _, raw in dpkt.pcap.Reader(capture)]
            found = {(message.header("Call-ID"), str(message.code or message.method)) for message in messages}
            if found >= wanted:
                break
        await asyncio.sleep(0.05)
    assert found >= wanted
    assert [path.name for path in logs.iterdir()] == ["peer.pcap"]  # noqa: ASYNC240


async def test_a_transfer_names_the_dialog_as_the_far_side_has_it(border: Border) -> None:
    """anna talks to ben and asks cara; what ben is told to replace is cara's own dialog."""
    anna, ben, cara = await border.phone(), await border.phone(), await border.phone()
    one, two = await border.up(anna, ben, "refer")
    three, four = await border.up(anna, cara, "refer")
    replaces = f"{three.call_id}%3Bto-tag%3D{tag_of(three.remote)}%3Bfrom-tag%3D{tag_of(three.local)}"
    one.send_request("REFER", headers=f"Refer-To: <{cara.uri}?Replaces={replaces}>\r\n")
    refer = await two.next("REFER")
    wanted = f"{four.call_id}%3Bto-tag%3D{tag_of(four.local)}%3Bfrom-tag%3D{tag_of(four.remote)}".replace("@", "%40")
    assert refer.header("Refer-To") == f"<{cara.uri}?Replaces={wanted}>"
    two.reply(refer, 603)
    await one.next(603)
    assert await one.bye() == 200
    await two.taken_off()
    await border.hang_up(three, four)


async def test_an_invite_with_replaces_takes_a_leg_s_place(border: Border) -> None:
    """fix_replaces_inv has nothing to do: the server itself puts cara in anna's place, and ben keeps his dialog."""
    anna, ben, cara = await border.phone(), await border.phone(), await border.phone()
    one, two = await border.up(anna, ben, "refer")
    await border.hear({anna: {ben}, ben: {anna}})
    named = f"{one.call_id};to-tag={tag_of(one.remote)};from-tag={tag_of(one.local)}"
    three = cara.invite(f"P-App-Param: profile=refer\r\nReplaces: {named}\r\n", "someone")
    await cara.answered(three)
    await one.taken_off()
    await border.hear({cara: {ben}, ben: {cara}})
    await border.hang_up(three, two)


def test_what_sipp_gets(server: Server, tmp_path: Path) -> None:
    """Ten calls at once, by sipp to sipp: headers, codecs and attribute lines as the callee received them, replies as the caller did."""
    extra = "Max-Forwards: 70\nP-App-Param: profile=all\nX-Hop: 127.0.0.1:@PORT@\nX-Keep: [call_number]\nX-Other: 1"
    caller = (SCENARIOS / "call.xml").read_text().replace("Max-Forwards: 70", extra, 1)
    caller = caller.replace("a=fmtp:101 0-15", "a=fmtp:101 0-15\na=label:3\na=x-drop:1", 1)
    callee = (SCENARIOS / "uas.xml").read_text().replace("AVP 0 101", "AVP 8 101").replace("0 PCMU/8000", "8 PCMA/8000")
    (tmp_path / "caller.xml").write_text(caller)
    (tmp_path / "callee.xml").write_text(callee)
    with Sipp(tmp_path / "callee.xml", calls=10) as called:
        ports = {"PORT": str(called.local_port)}
        placed = run_sipp(tmp_path / "caller.xml", server.sip_port, calls=10, user="you", hold_ms=300, rate=20, replace=ports)
        heard = called.wait()
    assert (placed.successful, heard.successful, placed.failed, heard.failed) == (10, 10, 0, 0), placed.errors + heard.errors
    got = [
        parse(text.replace("\n", "\r\n"))
        for text in re.findall(r"^INVITE sip:.*?(?=^-{5})", heard.messages, re.MULTILINE | re.DOTALL)
    ]
    assert {came.header("X-Keep") for came in got} == {str(number) for number in range(1, 11)}
    for came in got:
        assert not {"X-Other", "X-Hop", "P-App-Param"} & names(came) and came.header("X-Caller") == "caller"
        assert came.header("Contact").startswith(f"<sip:border@127.0.0.1:{server.sip_port}")
        body = came.body.decode()
        assert audio_codecs(body) == ["PCMU/8000", "PCMA/8000", "G722/8000"] and "a=label:3" in body and "x-drop" not in body
    assert placed.messages.count("SIP/2.0 180 Patience") >= 10
    assert set(re.findall(r"^m=audio \d+ RTP/AVP (.*)$", placed.messages.split("SIP/2.0 200 OK", 1)[1], re.MULTILINE)) == {
        "0 101"
    }
