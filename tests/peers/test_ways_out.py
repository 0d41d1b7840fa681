# SPDX-License-Identifier: GPL-2.0-or-later
"""Where calls out go: names by a real name server on loopback, the next address when one is dead, redirections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio

from interfaces.sip.message import parse
from tests.support.name_server import NameServer
from tests.support.ports import free_port
from tests.support.server import Server, wait_until
from tests.support.sip_peer import PeerCall, UdpPeer

pytestmark = pytest.mark.peers


TIMER_M_MS = 4000
"""So long a phone has for its first reply: what a busy machine needs, too."""


class Silent(asyncio.DatagramProtocol):
    """A host that answers nothing. `seen`: Request-URIs of the INVITEs that it got, each call once."""

    def __init__(self) -> None:
        self.calls: dict[str, str] = {}

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        message = parse(data.decode())
        if message.method == "INVITE":
            self.calls.setdefault(message.header("Call-ID"), message.start_line.split()[1])

    @property
    def seen(self) -> list[str]:
        return list(self.calls.values())


@dataclass
class Net:
    """A server, its name server, two phones and a host that is dead."""

    server: Server
    names: NameServer
    one: UdpPeer
    two: UdpPeer
    silent: Silent
    silent_port: int
    ids: list[str] = field(default_factory=list)

    async def dial(self, uri: str) -> str:
        id = await asyncio.to_thread(self.server.json, "core.dialout", "echo", "u", uri, "sip:me@h.example")
        self.ids.append(id)
        return str(id)

    def record(self, id: str) -> dict[str, Any]:
        return dict(self.server.xml.di("monitoring", "get", id)[0])

    async def result(self, id: str) -> str:
        """What has become of a call, as soon as it is known."""
        return str(await asyncio.to_thread(wait_until, lambda: self.record(id).get("result"), f"the result of {id}"))

    async def ends(self, id: str, call: PeerCall) -> None:
        """Accept a call that has come, and hang up."""
        await call.accept()
        assert await self.result(id) == "answered"
        assert await call.bye() == 200


@pytest.fixture(scope="module")
def dns_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, dns_port: int) -> Iterator[Server]:
    settings = f'dns_servers=127.0.0.1:{dns_port}\nsip_timer_M={TIMER_M_MS}\nredirects=2\ndialout_deny="^900"\n'
    with Server(tmp_path_factory.mktemp("server"), None, settings, "monitoring;echo;di_dial;xmlrpc2di;web") as running:
        yield running
    assert "Traceback" not in running.log, running.log


@pytest_asyncio.fixture
async def net(server: Server, dns_port: int) -> AsyncIterator[Net]:
    names = await NameServer.open(dns_port)
    # ports of our lane come round again last: an address that was dead stays the last one for a minute, whoever has its port by then
    one, two = await UdpPeer.open(server.sip_port, port=free_port()), await UdpPeer.open(server.sip_port, port=free_port())
    transport, silent = await asyncio.get_running_loop().create_datagram_endpoint(Silent, ("127.0.0.1", free_port()))
    net = Net(server, names, one, two, silent, transport.get_extra_info("sockname")[1])
    names.zone = {("host.example", "A"): ["127.0.0.1"]}
    yield net
    await asyncio.to_thread(wait_until, lambda: server.xml.calls() == 0, "no call is left")
    for closing in (names, one, two, transport):
        closing.close()


def srv(net: Net, name: str, *ports: int, transport: str = "udp") -> None:
    """A service at these ports of one host, the first one preferred."""
    net.names.zone[(f"_sip._{transport}.{name}", "SRV")] = [f"{10 * n} 0 {port} host.example." for n, port in enumerate(ports)]


async def test_the_next_address_when_the_first_one_is_dead(net: Net) -> None:
    srv(net, "fail.example", net.silent_port, net.one.port)
    id = await net.dial("sip:ben@fail.example")
    call = await net.one.take_invite()
    assert call.invite_message is not None and call.invite_message.start_line == "INVITE sip:ben@fail.example SIP/2.0"
    assert not call.invite_message.header("Route")
    assert net.silent.seen == ["sip:ben@fail.example"]
    await net.ends(id, call)
    assert f"has not answered within {TIMER_M_MS} ms: the call goes to 127.0.0.1" in net.server.log
    again = await net.dial("sip:ben@fail.example")
    await net.ends(again, await net.one.take_invite())
    assert len(net.silent.seen) == 1, "the dead one comes last for a minute"


async def test_who_says_100_is_waited_for(net: Net) -> None:
    srv(net, "slow.example", net.one.port, net.two.port)
    id = await net.dial("sip:ben@slow.example")
    call = await net.one.take_invite()
    assert call.invite_message is not None
    call.reply(call.invite_message, 100)
    await asyncio.sleep(1.5 * TIMER_M_MS / 1000)
    assert net.two.incoming.empty()
    await net.ends(id, call)


async def test_503_leads_to_the_next_and_busy_does_not(net: Net) -> None:
    srv(net, "busy.example", net.one.port, net.two.port)
    id = await net.dial("sip:ben@busy.example")
    await (await net.one.take_invite()).refuse(503)
    await (await net.two.take_invite()).refuse(486)
    assert await net.result(id) == "busy" and net.one.incoming.empty(), net.server.log[-4000:]
    id = await net.dial("sip:ben@busy.example")
    await (await net.two.take_invite()).refuse(486)
    assert await net.result(id) == "busy"


async def test_a_refused_connection_leads_to_the_next_transport(net: Net) -> None:
    net.names.zone[("mixed.example", "NAPTR")] = [
        '20 10 "s" "SIP+D2U" "" _sip._udp.mixed.example.',
        '10 10 "s" "SIP+D2T" "" _sip._tcp.mixed.example.',
    ]
    srv(net, "mixed.example", free_port(), transport="tcp")
    srv(net, "mixed.example", net.one.port)
    id = await net.dial("sip:ben@mixed.example")
    await net.ends(id, await net.one.take_invite())


async def test_every_address_is_dead(net: Net) -> None:
    srv(net, "gone.example", net.one.port, net.two.port)
    id = await net.dial("sip:ben@gone.example")
    await (await net.one.take_invite()).refuse(503)
    await (await net.two.take_invite()).refuse(503)
    assert await net.result(id) == "unreachable"


async def test_a_name_that_is_nobody_s(net: Net) -> None:
    id = await net.dial("sip:ben@nobody.example")
    assert await net.result(id) == "unreachable"
    assert f"call {id}: there is no way to sip:ben@nobody.example: nobody.example has no address" in net.server.log


async def test_a_slow_name_server_holds_nobody_else_up(net: Net) -> None:
    net.names.zone[("slowly.example", "A")] = ["127.0.0.1"]
    net.names.held.add("slowly.example")
    waiting = await net.dial(f"sip:ben@slowly.example:{net.one.port}")
    other = await net.dial(f"sip:ben@host.example:{net.two.port}")
    await net.ends(other, await net.two.take_invite())
    assert net.one.incoming.empty()
    net.names.release("slowly.example")
    await net.ends(waiting, await net.one.take_invite())


async def test_who_is_given_up_while_his_name_is_looked_up(net: Net) -> None:
    net.names.held.add("later.example")
    id = await net.dial(f"sip:ben@later.example:{net.one.port}")
    assert await asyncio.to_thread(net.server.json, "core.hangup", id) == [200, "OK"]
    net.names.zone[("later.example", "A")] = ["127.0.0.1"]
    net.names.release("later.example")
    assert await net.result(id) == "cancelled" and net.one.incoming.empty()


@pytest.mark.parametrize(
    ("code", "result"),
    [(486, "busy"), (480, "no_answer"), (603, "rejected"), (404, "unreachable"), (200, "answered")],
)
async def test_the_result_is_the_function_s_answer(net: Net, code: int, result: str) -> None:
    order = ("core.dial_and_wait", "echo", "u", f"sip:ben@127.0.0.1:{net.one.port}", "sip:me@h.example")
    answer = asyncio.ensure_future(asyncio.to_thread(net.server.json, *order))
    call = await net.one.take_invite()
    await (call.accept() if code == 200 else call.refuse(code))
    said = await answer
    assert (said["result"], said["code"]) == (result, code)
    record = net.record(said["call"])
    assert (record["result"], record["code"]) == (result, code)
    if code == 200:
        assert await call.bye() == 200


async def test_who_rings_too_long_is_cancelled(net: Net) -> None:
    order = ("core.dial_and_wait", "echo", "u", f"sip:ben@127.0.0.1:{net.one.port}", "sip:me@h.example", 1)
    answer = asyncio.ensure_future(asyncio.to_thread(net.server.json, *order))
    call = await net.one.take_invite()
    call.ring()
    await call.cancelled()
    said = await answer
    assert (said["result"], said["code"]) == ("no_answer", 408)


# ------------------------------------------------------------------------------------------------------------- redirections
async def redirect(net: Net, *contacts: str) -> None:
    """The first phone is called and names others."""
    await (await net.one.take_invite()).redirect(*contacts)


async def test_a_redirection_is_followed_to_the_most_wanted(net: Net) -> None:
    id = await net.dial(f"sip:ben@127.0.0.1:{net.one.port}")
    await redirect(net, f"<sip:low@127.0.0.1:{net.silent_port}>;q=0.1", f"<sip:high@host.example:{net.two.port}>;q=0.9")
    call = await net.two.take_invite()
    assert call.invite_message is not None and "sip:high@host.example" in call.invite_message.start_line
    await net.ends(id, call)
    assert not net.silent.seen
    assert net.record(id)["redirected_to"] == f"sip:high@host.example:{net.two.port}"
    assert f"audit dialout way=redirect caller=*anyone of={id} " in net.server.log


async def test_where_may_not_be_dialled_a_redirection_does_not_lead(net: Net) -> None:
    id = await net.dial(f"sip:ben@127.0.0.1:{net.one.port}")
    await redirect(net, f"<sip:%39%300@127.0.0.1:{net.two.port}>")
    assert await net.result(id) == "redirected" and net.two.incoming.empty()
    assert "decision=refused cause=destination" in net.server.log


async def test_only_so_many_redirections_are_followed_and_none_in_a_circle(net: Net) -> None:
    id = await net.dial(f"sip:ben@127.0.0.1:{net.one.port}")
    await redirect(net, f"<sip:ben@127.0.0.1:{net.one.port}>", f"<sip:a@127.0.0.1:{net.one.port}>")
    await redirect(net, f"<sip:ben@127.0.0.1:{net.one.port}>", f"<sip:b@127.0.0.1:{net.one.port}>")
    await redirect(net, f"<sip:c@127.0.0.1:{net.one.port}>")
    assert await net.result(id) == "redirected" and net.one.incoming.empty()


async def test_another_host_gets_no_credentials(net: Net) -> None:
    dialled = ("di_dial.dial_auth", "echo", "u", "sip:me@h.example", f"sip:ben@127.0.0.1:{net.one.port}", "", "user", "secret")
    (id,) = await asyncio.to_thread(net.server.json, *dialled)
    await redirect(net, f"<sip:ben@host.example:{net.two.port}>")
    call = await net.two.take_invite()
    assert call.invite_message is not None
    call.reply(call.invite_message, 401, headers='WWW-Authenticate: Digest realm="trap", nonce="n", qop="auth"\r\n')
    await call.next("ACK")
    assert await net.result(id) == "rejected"


# --------------------------------------------------------------------------------------------------------------- next hops
async def test_a_list_of_next_hops_and_a_route(tmp_path_factory: pytest.TempPathFactory) -> None:
    silent_port, port = free_port(), free_port()
    settings = f"next_hop=127.0.0.1:{silent_port}/tcp,127.0.0.1:{port}\noutbound_proxy=sip:proxy.example;lr\n"
    with Server(tmp_path_factory.mktemp("server"), None, settings, "monitoring;echo;xmlrpc2di;web") as server:
        peer = await UdpPeer.open(server.sip_port, port=port)
        await asyncio.to_thread(server.json, "core.dialout", "echo", "u", "sip:ben@far.example", "sip:me@h.example")
        call = await peer.take_invite()
        assert call.invite_message is not None and call.invite_message.start_line == "INVITE sip:ben@far.example SIP/2.0"
        assert call.invite_message.header("Route") == "<sip:proxy.example;lr>"
        await call.accept()
        assert await call.bye() == 200
        peer.close()
