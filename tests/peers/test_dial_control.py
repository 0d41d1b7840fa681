# SPDX-License-Identifier: GPL-2.0-or-later
"""Attempts from each way to dial against one dial control: a denied number never reaches the phone, an allowed one does.

Every way tries the denied number first, then the allowed one, at the same phone. That phone has to see the second INVITE and nothing of
the first, and the log has one audit line for each attempt.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import xmlrpc.client
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from di.access.file import new_token
from tests.support.ports import free_port
from tests.support.server import WITH_APPS, Server, wait_until
from tests.support.sip_peer import PeerCall, UdpPeer, description

pytestmark = pytest.mark.peers
DENIED, ALLOWED = "900123", "100123"
SCRIPT = """
import(mod_dlg);
initial state A;
transition "dial" A - invite; test($mode == dial) / {
  set($a_caller=me); sets($a_callee=$(number)); set($a_domain=127.0.0.1); sets($a_r_uri=$(target)); set($a_app=echo);
  dlg.dialout(a);
} -> B;
transition "connect" A - invite; test($mode == connect) / { sets($p=<$(target)>); B2B.connectCallee($p, $target); } -> B;
state B;
transition "gone" (A, B) - hangup / stop(false) -> END;
state END;
"""


def settings() -> str:
    return 'dialout_deny="^900 ^\\+900"\ndialout_caller_nobody="1;1;^1"\nredirects=1\nlog_sessions=yes\n'


@dataclass
class Place:
    """The server, the phone that is called, and one who calls in."""

    server: Server
    phone: UdpPeer
    caller: UdpPeer
    other: UdpPeer

    def uri(self, number: str) -> str:
        return f"sip:{number}@127.0.0.1:{self.phone.port}"

    async def rpc(self, method: str, *arguments: object) -> Any:
        return await asyncio.to_thread(self.server.json, method, *arguments)

    async def call_in(self, user: str, headers: str = "") -> PeerCall:
        call = self.caller.call(user)
        call.send_request("INVITE", description(40000), headers=headers)
        assert await call.final() == 200
        call.ack()
        return call

    async def next_number(self) -> str:
        """Who is called next; the call is refused as busy."""
        called = await self.phone.take_invite()
        assert called.invite_message is not None
        found = re.match(r"INVITE (\S+)", called.invite_message.start_line)
        called.reply(called.invite_message, 486)
        await called.next("ACK")
        assert found is not None
        return found[1].partition(":")[2].partition("@")[0]


@pytest.fixture(scope="module")
def phone_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, phone_port: int) -> Iterator[Server]:
    files = {
        "app_mapping.conf": "^sip:desk=>desk\n^sip:back=>callback\n^sip:conf=>conference\n^sip:=>legs\n",
        "dsm.conf": "diag_path=dsm/\nload_diags=legs\nregister_apps=legs\nset_param_variables=yes\n",
        "dsm/legs.dsm": SCRIPT,
        "conference.conf": f"dialout_suffix=@127.0.0.1:{phone_port}\n",
        "callback.conf": f"accept_caller_re=^sip:[19]00\ngw_user=us\ngw_domain=127.0.0.1:{phone_port}\nauth_pwd=x\ncb_wait=0\n",
        "click2dial.conf": "default_announce=beep.wav\n",
        "di_dial.conf": f"dialout_pin0=1234;x;127.0.0.1:{phone_port};user;secret\n",
    }
    plugins = "monitoring;desk;echo;callback;click2dial;callgen;conference;webconference;di_dial;dsm;xmlrpc2di;web"
    with Server(tmp_path_factory.mktemp("server"), files, settings(), plugins, program=WITH_APPS) as running:
        yield running
    assert "Traceback" not in running.log, running.log


@pytest_asyncio.fixture
async def place(server: Server, phone_port: int) -> AsyncIterator[Place]:
    phone = await UdpPeer.open(server.sip_port, port=phone_port)
    caller, other = await UdpPeer.open(server.sip_port), await UdpPeer.open(server.sip_port)
    yield Place(server, phone, caller, other)
    for call in list(caller.calls.values()):
        call.send_request("BYE")
    for call in list(other.calls.values()):
        await call.taken_off()
    await asyncio.to_thread(wait_until, lambda: server.xml.calls() == 0, "no call is left")
    for peer in (phone, caller, other):
        peer.close()


Attempt = Callable[[Place, str], Awaitable[object]]


def function(method: str, *arguments: str) -> Attempt:
    """A DI function; `URI`, `NUMBER` and `PLACE` stand for where it calls."""

    async def attempt(place: Place, number: str) -> None:
        known = {"URI": place.uri(number), "NUMBER": number, "PLACE": f"127.0.0.1:{place.phone.port}"}
        try:
            await place.rpc(method, *(known.get(argument, argument) for argument in arguments))
        except AssertionError as error:
            assert "could not be placed" in str(error), error  # how `core.dialout` says so

    return attempt


async def by_keys(place: Place, number: str) -> None:
    call = await place.call_in(f"conf{number}")
    for key in f"#*{number}*":
        assert await call.request("INFO", "application/dtmf-relay", f"Signal={key}\r\nDuration=80\r\n") == 200


def script(mode: str) -> Attempt:
    async def attempt(place: Place, number: str) -> None:
        parameters = f"P-App-Param: mode={mode};number={number};target={place.uri(number)}\r\n"
        await place.call_in("script", parameters)

    return attempt


async def second_leg(place: Place, number: str) -> None:
    await place.call_in("desk", f"X-Target: {place.uri(number)}\r\n")


async def refer(place: Place, number: str) -> None:
    """A call of two: the first side transfers the other one."""
    call = await place.call_in("desk", f"X-Desk: serve\r\nX-Target: sip:5@127.0.0.1:{place.other.port}\r\n")
    called = await place.other.take_invite()
    await called.accept()
    for _ in range(100):  # until the two are a pair
        if await call.request("REFER", headers=f"Refer-To: <{place.uri(number)}>\r\n") == 202:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("REFER was not accepted")


async def redirection(place: Place, number: str) -> None:
    await function("core.dialout", "echo", "u", f"sip:5@127.0.0.1:{place.other.port}", "sip:me@h.example")(place, number)
    call = await place.other.take_invite()
    await call.redirect(f"<{place.uri(number)}>")
    del place.other.calls[call.call_id]


async def callback(place: Place, number: str) -> None:
    """The number is the caller's own."""
    call = place.caller.call("back")
    call.local = f"<sip:{number}@127.0.0.1>;tag=b{number}"
    call.send_request("INVITE", description(40000))
    assert await call.final() == 486
    call.send_request("ACK", cseq=call.cseq, branch=call.branch)
    del place.caller.calls[call.call_id]


async def click(place: Place, number: str) -> None:
    first, order = f"sip:5@127.0.0.1:{place.other.port}", ("click2dial", "beep", "sip:me@h.example", "sip:you@h.example")
    await function("di_dial.dial_auth_b2b", *order, first, "URI", "r", "u", "p")(place, number)
    call = await place.other.take_invite()
    await call.accept()
    if number == DENIED:
        await call.taken_off()  # after the announcement
        del place.other.calls[call.call_id]


async def generated(place: Place, number: str) -> None:
    await place.rpc("callgen.scheduleCalls", 1, 0, 0, number, f"127.0.0.1:{place.phone.port}", 0, 0, 1, 0)


WAYS: dict[str, tuple[str, Attempt]] = {
    "di_dial.dial": ("di_dial.dial", function("di_dial.dial", "echo", "u", "sip:me@h.example", "URI")),
    "di_dial.dial_auth": (
        "di_dial.dial_auth",
        function("di_dial.dial_auth", "echo", "u", "sip:me@h.example", "URI", "r", "u", "p"),
    ),
    "di_dial.dial_auth_b2b": (
        "di_dial.dial_auth_b2b",
        function("di_dial.dial_auth_b2b", "echo", "a", "sip:me@h.example", "URI", "URI", "sip:c@h.example", "r", "u", "p"),
    ),
    "di_dial.dial_pin": ("di_dial.dial_pin", function("di_dial.dial_pin", "echo", "1234", "u", "NUMBER")),
    "core.dialout": ("core.dialout", function("core.dialout", "echo", "u", "URI", "sip:me@h.example")),
    "webconference.dialout": (
        "webconference.dialout",
        function("webconference.dialout", "r1", "1", "NUMBER", "me", "h.example", "", "", "", "PLACE"),
    ),
    "script, dlg.dialout": ("dsm", script("dial")),
    "script, B2B.connectCallee": ("pair", script("connect")),
    "second leg": ("pair", second_leg),
    "keypad": ("pair", by_keys),
    "REFER": ("refer", refer),
    "redirection": ("redirect", redirection),
    "callback": ("callback", callback),
    "click2dial, the second one": ("pair", click),
    "callgen": ("callgen.scheduleCalls", generated),
}


def lines(server: Server, number: str) -> list[str]:
    return [line for line in server.log.splitlines() if "audit dialout" in line and f"to='sip:{number}@" in line]


@pytest.mark.parametrize("way", WAYS)
async def test_a_denied_number_is_not_called_and_an_allowed_one_is(place: Place, way: str) -> None:
    name, attempt = WAYS[way]
    before = {number: len(lines(place.server, number)) for number in (DENIED, ALLOWED)}
    await attempt(place, DENIED)
    await attempt(place, ALLOWED)
    assert await place.next_number() == ALLOWED
    assert place.phone.incoming.empty()
    for number, decision in ((DENIED, "decision=refused cause=destination"), (ALLOWED, "decision=placed")):
        (line,) = await asyncio.to_thread(
            wait_until, lambda number=number: lines(place.server, number)[before[number] :], f"the line of {number}"
        )
        assert f"way={name} " in line and decision in line, line


async def test_no_way_of_writing_a_denied_number_goes_around(place: Place) -> None:
    port = place.phone.port
    for written in (
        f"SIP:900123@127.0.0.1:{port}",
        f"sip:%39%30%30123@127.0.0.1:{port};user=phone",
        f"sip:9-0-0.(123)@127.0.0.1:{port};transport=udp",
        f"sip:900123;ext=1:pw@127.0.0.1:{port}",
        f"sip:00900123@127.0.0.1:{port}",
        f"sip:%2539%2530%2530123@127.0.0.1:{port}",
        f"sip:123;phone-context=900@127.0.0.1:{port}",
        f"sip:100@127.0.0.2:{port};maddr=127.0.0.1",
    ):
        with pytest.raises(AssertionError, match="could not be placed"):
            await place.rpc("core.dialout", "echo", "u", written, "sip:me@h.example")
    await place.rpc("core.dialout", "echo", "u", place.uri(ALLOWED), "sip:me@h.example")
    assert await place.next_number() == ALLOWED and place.phone.incoming.empty()


def test_the_rules_change_while_calls_go_on(server: Server, phone_port: int) -> None:
    conf = server.etc / "sems.conf"
    text = conf.read_text()

    def reread(new: str, number: str, allowed: bool) -> None:
        conf.write_text(new)
        os.kill(server.pid, signal.SIGHUP)
        uri = f"sip:{number}@127.0.0.1:{phone_port}"
        wait_until(lambda: server.json("core.dialout_check", uri)["allowed"] is allowed, f"{number} is judged anew")

    reread(text.replace("^900", "^100"), ALLOWED, False)
    assert server.json("core.dialout_check", f"sip:{DENIED}@127.0.0.1:{phone_port}")["allowed"]
    reread(text, ALLOWED, True)


async def test_each_token_has_its_own_limits_and_its_second_legs_count_for_it(tmp_path: Path) -> None:
    """By XML-RPC with a password each; the gateway listens on every address, so without `dialout_limit` nobody dials."""
    tokens = {name: new_token(name) for name in ("shop", "desk")}
    secrets = "".join(f"token {name} admin {hashed}\n" for name, (_, hashed) in tokens.items())
    with Server(
        tmp_path, {"access.secrets": secrets}, 'dialout_caller_shop="1;9;^1"\n', "monitoring;echo;xmlrpc2di", start=False
    ) as server:
        (server.etc / "access.secrets").chmod(0o600)
        gateway = server.etc / "xmlrpc2di.conf"
        gateway.write_text(gateway.read_text().replace("server_ip=127.0.0.1", "server_ip=0.0.0.0"))
        await asyncio.to_thread(server.start)
        peer = await UdpPeer.open(server.sip_port)

        def dial(name: str, number: str) -> str:
            user, _, secret = tokens[name][0].partition(".")
            proxy = xmlrpc.client.ServerProxy(f"http://{user}:{secret}@127.0.0.1:{server.xml_port}/")
            try:
                return str(proxy.di("core", "dialout", "echo", "u", f"sip:{number}@127.0.0.1:{peer.port}", "sip:me@h.example"))
            except xmlrpc.client.Fault:
                return ""

        assert await asyncio.to_thread(dial, "desk", "100") == ""
        assert (
            "cause=off why='set dialout_limit in sems.conf to allow calls out (they are off: xmlrpc2di at 0.0.0.0" in server.log
        )
        assert "calls out are off: xmlrpc2di at 0.0.0.0" in server.log
        with (server.etc / "sems.conf").open("a") as conf:
            conf.write("dialout_limit=3\n")
        os.kill(server.pid, signal.SIGHUP)
        await asyncio.to_thread(
            wait_until, lambda: "reloaded: log level, access, dial control" in server.log, "the limit is read"
        )
        assert await asyncio.to_thread(dial, "shop", "200") == "", "not among what the shop may dial"
        assert await asyncio.to_thread(dial, "shop", "100")
        assert await asyncio.to_thread(dial, "shop", "101") == "", "one at once"
        assert await asyncio.to_thread(dial, "desk", "200") and await asyncio.to_thread(dial, "desk", "201")
        assert await asyncio.to_thread(dial, "desk", "202") == "", "three of all"
        dialled = [await peer.take_invite() for _ in range(3)]
        assert peer.incoming.empty()
        for call in dialled:
            await call.refuse(486)
        await asyncio.to_thread(
            wait_until, lambda: "caller=shop" in server.log and server.log.count("over: out, echo") == 3, "all are over"
        )
        await asyncio.to_thread(wait_until, lambda: dial("shop", "102"), "its call no longer counts")
        await (await peer.take_invite()).refuse(486)
        peer.close()
