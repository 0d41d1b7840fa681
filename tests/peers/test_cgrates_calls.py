# SPDX-License-Identifier: GPL-2.0-or-later
"""Real calls against a stand-in for CGRateS: sessions in order, slices, what CGRateS calls on us, and its troubles.

What a crash leaves: `tests/peers/test_charge_kills.py`.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cgrates import CgratesPurse, CgratesStandIn
from tests.support.credit import RTP_PORTS_OF_MANY, TROUBLES, accounts, judge, place
from tests.support.server import Server, wait_until
from tests.support.sip_peer import PeerCall, UdpPeer
from tests.support.sizes import LONG

pytestmark = pytest.mark.peers

PLUGINS = "monitoring;echo;cdr;cc_cgrates;call_control;xmlrpc2di;web"

# It asks `warn` seconds before a slice ends (1 at least); when nobody answers, `deadline_ms` must be over before the slice is.
CONTROL = """\
call_control=cgr
cgr_module=cc_cgrates
cgr_uuid=$H(X-Account)
cgr_Extra=$H(X-Extra)
deadline_ms=2500
on_unreachable="refuse,go_on 1"
"""


@pytest.fixture(scope="module")
def cgrates() -> Iterator[CgratesStandIn]:
    standing_in = CgratesStandIn()
    yield standing_in
    standing_in.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, cgrates: CgratesStandIn) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("cgrates")
    with Server(folder, configuration(folder, cgrates), RTP_PORTS_OF_MANY, PLUGINS) as running:
        yield running
    assert "Traceback" not in running.log, running.log


def configuration(folder: Path, cgrates: CgratesStandIn) -> dict[str, str]:
    return {
        "call_control.conf": CONTROL,
        "cc_cgrates.conf": f"servers=127.0.0.1:{cgrates.port}\nslice=5\nwarn=3\norigin_host=here\nfile={folder}/cgrates.db\n",
        "cdr.conf": f"spool={folder}/cdr.db\njsonl_path={folder}/cdr.jsonl\n",
        "app_mapping.conf": "^sip:echo=>echo\n",
    }


async def up(peer: UdpPeer, account: str) -> PeerCall:
    call = peer.invite("echo", headers=f"X-Account: {account}\r\nX-Extra: {account}!\r\n")
    assert await call.final() == 200
    call.ack()
    return call


async def settled(cgrates: CgratesStandIn, account: str, cdrs: int = 1) -> None:
    await asyncio.to_thread(
        wait_until, lambda: len([one for one in cgrates.cdrs.values() if one["Account"] == account]) == cdrs, f"CDR of {account}"
    )


async def test_a_call_is_a_session_from_authorization_to_its_cdr(server: Server, cgrates: CgratesStandIn) -> None:
    cgrates.balances["anna"] = 100
    peer = await UdpPeer.open(server.sip_port)
    call = await up(peer, "anna")
    await asyncio.to_thread(wait_until, lambda: cgrates.sessions, "the session")
    (id,) = (session.event["OriginID"] for session in cgrates.sessions.values())
    await asyncio.to_thread(wait_until, lambda: cgrates.of("UpdateSession", id), "a second slice")
    assert cgrates.call("AgentV1.GetActiveSessionIDs", "")["result"] == [{"OriginHost": "here", "OriginID": id}]
    assert await call.bye() == 200
    await settled(cgrates, "anna")
    steps = [name.partition(".")[2] for name, one in cgrates.got if one["Event"]["OriginID"] == id]
    slices = steps.count("UpdateSession")  # a busy machine hangs up later
    assert steps == ["AuthorizeEvent", "InitiateSession", *["UpdateSession"] * slices, "TerminateSession", "ProcessCDR"]
    (cdr,) = (one for one in cgrates.cdrs.values() if one["Account"] == "anna")
    assert (cdr["Tenant"], cdr["RequestType"], cdr["Destination"], cdr["Extra"]) == ("cgrates.org", "*prepaid", "echo", "anna!")
    assert cdr["CallID"] == call.call_id and cdr["DisconnectCause"].startswith("200") and cdr["AnswerTime"].endswith("Z")
    used_s = float(cdr["Usage"][:-1])
    assert used_s >= 1 and cgrates.balances["anna"] == 100 - math.ceil(used_s)
    await asyncio.to_thread(
        wait_until, lambda: cgrates.call("AgentV1.GetActiveSessionIDs", "")["result"] == [], "the server knows of no session"
    )
    peer.close()


@pytest.mark.parametrize(("credit", "code"), [(0, 402), (None, 403)])
async def test_who_has_no_credit_or_no_account_is_refused(
    server: Server, cgrates: CgratesStandIn, credit: int | None, code: int
) -> None:
    if credit is not None:
        cgrates.balances["poor"] = credit
    peer = await UdpPeer.open(server.sip_port)
    call = peer.invite("echo", headers=f"X-Account: {'poor' if credit is not None else 'nobody'}\r\n")
    assert await call.final() == code
    assert not cgrates.sessions
    peer.close()


@pytest.mark.parametrize("method", ["AgentV1", "SessionSv1", "SMGClientV1"])
async def test_cgrates_ends_a_session_in_each_of_its_dialects(server: Server, cgrates: CgratesStandIn, method: str) -> None:
    cgrates.balances["bob"] = 100
    before = len(cgrates.cdrs)
    peer = await UdpPeer.open(server.sip_port)
    call = await up(peer, "bob")
    await asyncio.to_thread(wait_until, lambda: cgrates.sessions, "the session")
    (session,) = cgrates.sessions.values()
    event = dict(session.event, Usage="2s")
    argument = (
        {"ID": "1", "Event": {**event, "DisconnectCause": "low"}}
        if method == "AgentV1"
        else {"EventStart": event, "Reason": "low"}
    )
    assert cgrates.call(f"{method}.DisconnectSession", argument)["result"] == "OK"
    bye = await call.next("BYE")
    reasons = [value for name, value in bye.headers if name == "Reason"]
    assert any("cause=31" in reason for reason in reasons) and any('text="low"' in reason for reason in reasons)
    call.reply(bye, 200)
    await asyncio.to_thread(wait_until, lambda: len(cgrates.cdrs) == before + 1, "the CDR")
    assert cgrates.call(f"{method}.DisconnectSession", argument)["error"] == "NOT_FOUND"
    peer.close()


async def test_pings_alterations_and_what_is_for_diameter(server: Server, cgrates: CgratesStandIn) -> None:
    cgrates.balances["carl"] = 100
    peer = await UdpPeer.open(server.sip_port)
    call = await up(peer, "carl")
    await asyncio.to_thread(wait_until, lambda: cgrates.sessions, "the session")
    (session,) = cgrates.sessions.values()
    id = session.event["OriginID"]
    before = len(cgrates.of("UpdateSession", id))
    assert cgrates.call("AgentV1.AlterSession", {"Event": {"OriginID": id}})["result"] == "OK"
    await asyncio.to_thread(wait_until, lambda: len(cgrates.of("UpdateSession", id)) > before, "it asks again")
    assert cgrates.call("SessionSv1.Ping", {})["result"] == "Pong"
    assert cgrates.call("AgentV1.WarnDisconnect", {"OriginID": id})["error"] == "NOT_IMPLEMENTED", "no warn_file is configured"
    assert cgrates.call("AgentV1.DisconnectPeer", {"OriginHost": "x"})["error"] == "NOT_IMPLEMENTED"
    assert await call.bye() == 200
    await settled(cgrates, "carl")
    peer.close()


async def test_cgrates_slow_lying_failing_or_gone(server: Server, cgrates: CgratesStandIn) -> None:
    """A new call is refused; one that is up goes on for a second more; its end is told when CGRateS is back."""
    cgrates.balances["dora"] = 100
    peer = await UdpPeer.open(server.sip_port)
    for trouble in ("slow", "lie", "fail"):
        cgrates.trouble = trouble
        refused = peer.invite("echo", headers="X-Account: dora\r\n")
        assert await refused.final() == 503, trouble
    cgrates.trouble = ""
    call = await up(peer, "dora")
    await asyncio.to_thread(wait_until, lambda: cgrates.sessions, "the session")
    cgrates.die()
    bye = await call.next("BYE")
    call.reply(bye, 200)
    refused = peer.invite("echo", headers="X-Account: dora\r\n")
    assert await refused.final() == 503
    cgrates.listen()
    await settled(cgrates, "dora")
    (cdr,) = (one for one in cgrates.cdrs.values() if one["Account"] == "dora")
    used_s = float(cdr["Usage"][:-1])
    assert not cgrates.sessions and cgrates.balances["dora"] == 100 - math.ceil(used_s)
    assert 4 < used_s <= cgrates.effective["dora"] + 1, "a second more than what was granted"
    peer.close()


async def two_at_once(server: Server, cgrates: CgratesStandIn) -> None:
    """What one has reserved at its answer the other does not get: together they use the credit up, and no more."""
    cgrates.balances["shared"] = 6
    peer = await UdpPeer.open(server.sip_port)
    calls = await asyncio.gather(up(peer, "shared"), up(peer, "shared"))

    async def cut(call: PeerCall) -> None:
        call.reply(await call.next("BYE"), 200)

    await asyncio.gather(*map(cut, calls))
    await settled(cgrates, "shared", 2)
    usages_s = [float(cdr["Usage"][:-1]) for cdr in cgrates.cdrs.values() if cdr["Account"] == "shared"]
    assert cgrates.balances["shared"] == 0 and 5.2 < sum(usages_s) <= 6, usages_s
    peer.close()


@pytest.mark.timeout(600)
async def test_prepaid_calls_end_when_the_credit_does_and_the_balances_add_up(server: Server, cgrates: CgratesStandIn) -> None:
    purse = CgratesPurse(cgrates)
    credit = accounts("cgr", 4, (1, 6))
    placing = place(server.sip_port, credit, purse, 20, TROUBLES if LONG else ())
    _, calls = await asyncio.gather(two_at_once(server, cgrates), placing)
    print(await judge(calls, purse))
