# SPDX-License-Identifier: GPL-2.0-or-later
"""RADIUS by itself: packets any bytes can stand for, exchanges by a clock that is moved by hand, and who may end a call."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyrad.packet import AcctPacket, AuthPacket, CoAPacket, CoARequest, DisconnectRequest

from di.kernel.clock import LoopClock
from di.modules.cc_radius import dynamic, exchanges, packets
from di.modules.cc_radius.client import RadiusClient
from di.modules.cc_radius.dictionary import DICTIONARY
from di.modules.cc_radius.exchanges import ExchangeRules, RadiusExchanges, RadiusLane
from di.modules.cc_radius.options import Options, RadiusHost, RadiusSecrets, parse_hosts, parse_secrets
from di.modules.cc_radius.packets import Attributes, BadPacket, RadiusRequest

SECRET = b"shared-secret"
MS = 1_000_000
WHO = Attributes({"User-Name": "anna", "Called-Station-Id": "4930", "Empty": ""}, {"NAS-Port-Type": 5})


# ---------------------------------------------------------------------------------------------------------------------- packets
def access(id: int = 7, secret: bytes = SECRET) -> RadiusRequest:
    return packets.access_request(id, secret, WHO, "pässword")


def answer(request: RadiusRequest, code: int = 2, secret: bytes = SECRET, signed: bool = True, **attributes: object) -> bytes:
    """What a server would answer."""
    asked = AuthPacket(secret=secret, dict=DICTIONARY, packet=request.data)
    reply = asked.CreateReply(message_authenticator=signed, **attributes)
    reply.code = code
    data: bytes = reply.ReplyPacket()
    return data


def test_an_access_request_is_signed_and_its_password_hidden() -> None:
    request = access()
    server = AuthPacket(secret=SECRET, dict=DICTIONARY, packet=request.data)
    assert request.data[20] == 80, "Message-Authenticator stands first (CVE-2024-3596)"
    assert server.verify_message_authenticator()
    assert server["User-Name"] == ["anna"] and server.PwDecrypt(server["User-Password"][0]) == "pässword"
    assert "pässword".encode() not in request.data and SECRET not in request.data


def test_an_accounting_request_gives_class_back() -> None:
    request = packets.accounting_request(9, SECRET, Attributes({"User-Name": "a"}, {"Acct-Status-Type": 2}, (b"\x00one", b"two")))
    server = AcctPacket(secret=SECRET, dict=DICTIONARY, packet=request.data)
    assert server.VerifyAcctRequest() and server["Class"] == [b"\x00one", b"two"]


def test_what_an_answer_says() -> None:
    request = access()
    data = answer(
        request,
        Session_Timeout=30,
        Termination_Action=1,
        Acct_Interim_Interval=60,
        Class=b"c",
        State=b"s",
        Reply_Message="hi\nho",
    )
    reply = packets.read_reply(request, data, True)
    assert reply == packets.RadiusReply(True, False, 30, True, 60, (b"c",), b"s", "hi ho")
    credit = answer(request, Session_Timeout=30, h323_credit_time="h323-credit-time=12")
    assert packets.read_reply(request, credit, True).session_s == 12
    assert packets.read_reply(request, answer(request), True).session_s is None
    assert not packets.read_reply(request, answer(request, 3), True).accepted
    assert packets.read_reply(request, answer(request, 11), True).challenge


def test_an_answer_without_the_secret_or_without_its_signature_is_none() -> None:
    request = access()
    good = answer(request, Session_Timeout=30)
    forged = bytearray(good)
    forged[-1] ^= 1
    for wrong in (answer(request, secret=b"other-secret"), bytes(forged), answer(request, signed=False), good[:-1], b""):
        with pytest.raises(BadPacket):
            packets.read_reply(request, wrong, True)
    assert packets.read_reply(request, answer(request, signed=False), False).accepted, "if the configuration says so"


@given(st.binary(max_size=120), st.booleans())
def test_any_bytes_are_no_answer(data: bytes, headed: bool) -> None:
    request = access()
    if headed:
        data = bytes((2, 7)) + (20 + len(data)).to_bytes(2, "big") + bytes(16) + data
    with pytest.raises(BadPacket):
        packets.read_reply(request, data, True)
    with pytest.raises(BadPacket):
        packets.read_dynamic(data, SECRET)


@given(st.text(max_size=400), st.integers(-5, 1 << 40))
def test_any_text_and_number_fits_into_a_request(text: str, number: int) -> None:
    attributes = Attributes({"User-Name": text}, {"Acct-Session-Time": number})
    assert 20 <= len(packets.accounting_request(1, SECRET, attributes).data) <= 4096


# -------------------------------------------------------------------------------------------------------------------- exchanges
@dataclass
class Rig:
    """RadiusExchanges on a clock; two servers unless it says otherwise."""

    servers: int = 2
    attempts: int = 2
    now_ns: int = 0
    made: list[tuple[int, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        secrets = tuple(b"secret-of-%d" % number for number in range(self.servers))
        rules = ExchangeRules(secrets, 500 * MS, self.attempts, 30_000 * MS, True)
        self.core = RadiusExchanges(rules, random.Random(1))

    def make(self, id: int, secret: bytes) -> RadiusRequest:
        self.made.append((id, secret))
        return access(id, secret)

    def begin(self) -> int:
        return self.core.begin(False, self.make, self.now_ns)

    def advance(self, ms: int) -> list[tuple[RadiusLane, bytes]]:
        self.now_ns += ms * MS
        return self.core.due(self.now_ns)


def test_a_request_is_sent_again_with_growing_waits_then_to_the_next_server() -> None:
    rig = Rig()
    number = rig.begin()
    sent: list[tuple[int, RadiusLane, bytes]] = []
    for _ in range(400):
        sent += [(rig.now_ns // MS, lane, data) for lane, data in rig.advance(10)]
    assert [lane.server for _, lane, _ in sent] == [0, 0, 1, 1]
    first, second = sent[1][0] - sent[0][0], sent[2][0] - sent[1][0]
    assert 440 <= first <= 570 and 1.6 * first <= second <= 2.5 * first
    assert sent[0][2] == sent[1][2] != sent[2][2] == sent[3][2], "a retransmission is the same packet; another server's is not"
    assert [secret for _, secret in rig.made] == [b"secret-of-0", b"secret-of-1"]
    (end,) = rig.core.ends()
    assert (end.number, end.reply, end.why) == (number, None, "no server has answered") and rig.core.deadline_ns() is None


def test_an_answer_ends_it_and_a_dead_server_is_asked_last() -> None:
    rig = Rig()
    rig.begin()
    for _ in range(200):
        for lane, data in rig.advance(10):
            if lane.server == 1:
                rig.core.received(lane, answer(RadiusRequest(data, None), secret=b"secret-of-1"), rig.now_ns)
    assert [end.reply is not None for end in rig.core.ends()] == [True]
    rig.begin()
    ((lane, data),) = rig.advance(0)
    assert lane.server == 1, "the other one is dead"
    rig.core.received(lane, answer(RadiusRequest(data, None), secret=b"secret-of-1"), rig.now_ns)
    rig.advance(31_000)
    rig.begin()
    ((lane, _),) = rig.advance(0)
    assert lane.server == 0, "it is tried again"


def test_what_is_no_answer_to_what_is_out_is_dropped_and_counted() -> None:
    rig = Rig()
    rig.begin()
    ((lane, data),) = rig.advance(0)
    good = answer(RadiusRequest(data, None), secret=b"secret-of-0")
    for wrong in (b"", good[:10], bytes((good[0], good[1] ^ 1)) + good[2:], answer(RadiusRequest(data, None), secret=b"x" * 8)):
        rig.core.received(lane, wrong, rig.now_ns)
    assert not rig.core.ends() and sum(rig.core.dropped.values()) == 4
    rig.core.received(lane, good, rig.now_ns)
    rig.core.received(lane, good, rig.now_ns)
    assert len(rig.core.ends()) == 1


def test_more_requests_than_identifiers_take_more_sockets_and_each_is_answered_once() -> None:
    rig = Rig(servers=1)
    numbers = [rig.begin() for _ in range(600)]
    sent = rig.advance(0)
    assert len(sent) == 600 and {lane.number for lane, _ in sent} == {0, 1, 2}
    assert len({(lane, data[1]) for lane, data in sent}) == 600
    for lane, data in sent:
        rig.core.received(lane, answer(RadiusRequest(data, None), secret=b"secret-of-0"), rig.now_ns)
    assert sorted(end.number for end in rig.core.ends()) == numbers


def test_beyond_all_sockets_requests_wait_for_an_identifier() -> None:
    rig = Rig(servers=1, attempts=1)
    count = 32 * 256 + 5
    for _ in range(count):
        rig.core.begin(False, lambda id, secret: RadiusRequest(bytes((1, id)), None), 0)
    assert len(rig.advance(0)) == count - 5
    rig.advance(600)
    assert len(rig.core.ends()) == count - 5
    assert len(rig.advance(1)) in (0, 5)
    rig.advance(700)
    rig.advance(700)
    assert rig.core.deadline_ns() is None


def test_one_that_nobody_waits_for_is_given_up() -> None:
    rig = Rig()
    rig.core.give_up(rig.begin(), rig.now_ns)
    assert not rig.advance(5000) and not rig.core.ends() and rig.core.deadline_ns() is None


def test_an_identifier_that_is_given_back_wakes_who_waits_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchanges, "_IDS", 8)
    monkeypatch.setattr(exchanges, "_MOST_LANES", 4)
    rig = Rig(servers=2, attempts=1)
    out = [rig.begin() for _ in range(32)]
    gone, waits, last = rig.begin(), rig.begin(), rig.begin()
    assert len(rig.advance(0)) == len(out)
    rig.core.give_up(gone, rig.now_ns)
    rig.core.give_up(out[0], rig.now_ns)
    assert len(rig.advance(0)) == 1
    rig.core.give_up(out[1], rig.now_ns)
    assert len(rig.advance(0)) == 1
    rig.core.give_up(waits, rig.now_ns)
    rig.core.give_up(last, rig.now_ns)
    assert not rig.advance(0) and not rig.core.ends()


def test_who_waits_for_an_identifier_has_it_when_others_go_to_the_next_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchanges, "_IDS", 8)
    monkeypatch.setattr(exchanges, "_MOST_LANES", 4)
    rig = Rig(servers=2, attempts=1)
    for _ in range(32 + 5):
        rig.begin()
    assert {lane.server for lane, _ in rig.advance(0)} == {0}
    after = [lane.server for lane, _ in (*rig.advance(600), *rig.advance(0))]
    assert (after.count(0), after.count(1)) == (5, 32) and not rig.core.ends()


@given(st.lists(st.tuples(st.binary(min_size=20, max_size=60), st.booleans()), max_size=60))
def test_causes_of_drops_are_of_few_kinds(datagrams: list[tuple[bytes, bool]]) -> None:
    rig = Rig()
    rig.begin()
    ((lane, data),) = rig.advance(0)
    for text, ours in datagrams:
        assert rig.core.received(lane, bytes((text[0], data[1] if ours else text[1])) + text[2:], rig.now_ns)
    assert sum(rig.core.dropped.values()) == len(datagrams) and len(rig.core.dropped) <= 21


def test_what_others_write_is_no_cause_of_its_own() -> None:
    rig = Rig()
    for number in range(1000):
        rig.core._drop(f"it cannot be read: odd {number}")
        rig.core._drop(f"it has the code {number}")
    assert rig.core.dropped["it cannot be read"] == 1000 and len(rig.core.dropped) == 21 and rig.core.dropped.total() == 2000


async def test_one_that_is_cancelled_lets_the_next_go_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchanges, "_IDS", 1)
    monkeypatch.setattr(exchanges, "_MOST_LANES", 1)
    got: asyncio.Queue[bytes] = asyncio.Queue()

    class Server(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: object) -> None:
            got.put_nowait(data)

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Server, local_addr=("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    rules = ExchangeRules((SECRET,), 60_000 * MS, 1, 30_000 * MS, True)
    client = RadiusClient((RadiusHost("127.0.0.1", port, port),), rules, LoopClock())
    first = asyncio.ensure_future(client.ask(False, lambda id, secret: RadiusRequest(b"first", None)))
    second = asyncio.ensure_future(client.ask(False, lambda id, secret: RadiusRequest(b"second", None)))
    try:
        assert await asyncio.wait_for(got.get(), 20) == b"first" and not second.done()
        first.cancel()
        assert await asyncio.wait_for(got.get(), 20) == b"second"
    finally:
        second.cancel()
        await asyncio.gather(first, second, return_exceptions=True)
        client.close()
        transport.close()


# ------------------------------------------------------------------------------------------------------------- servers that ask
@dataclass
class Call:
    user: str
    done: list[str] = field(default_factory=list)

    def disconnect(self) -> bool:
        self.done.append("end")
        return True

    def limit(self, seconds: int) -> bool:
        self.done.append(f"{seconds} s")
        return True


def dynamic_server(calls: dict[str, Call]) -> dynamic.DynamicServer:
    find: Callable[[str], list[Call]] = lambda id: ([calls[id]] if id in calls else []) if id else list(calls.values())  # noqa: E731
    return dynamic.DynamicServer(dynamic.DynamicRules({"192.0.2.1": SECRET}, "box"), find)


def request(code: int = DisconnectRequest, secret: bytes = SECRET, **attributes: object) -> bytes:
    data: bytes = CoAPacket(code=code, secret=secret, dict=DICTIONARY, **attributes).RequestPacket()
    return data


def test_who_ends_a_call_and_how_often() -> None:
    calls = {"s1": Call("anna"), "s2": Call("anna"), "s3": Call("bob")}
    server = dynamic_server(calls)
    one = request(Acct_Session_Id="s1")
    reply, said = server.handle(one, ("192.0.2.1", 5), 1000.0)
    assert reply is not None and reply[0] == 41 and "s1" in said
    assert server.handle(one, ("192.0.2.1", 5), 1000.0) == (reply, ""), "a repeat gets the same answer and does nothing"
    assert calls["s1"].done == ["end"]
    assert server.handle(one, ("192.0.2.9", 5), 1000.0)[0] is None, "another host"
    assert server.handle(request(secret=b"other-secret", Acct_Session_Id="s3"), ("192.0.2.1", 5), 0)[0] is None
    reply, _ = server.handle(request(User_Name="anna"), ("192.0.2.1", 5), 0)
    assert reply is not None and reply[0] == 41 and calls["s2"].done == ["end"] and not calls["s3"].done
    reply, _ = server.handle(request(CoARequest, Acct_Session_Id="s3", Session_Timeout=9), ("192.0.2.1", 5), 0)
    assert reply is not None and reply[0] == 44 and calls["s3"].done == ["9 s"]


@pytest.mark.parametrize(
    ("code", "attributes", "cause"),
    [
        (DisconnectRequest, {"Acct_Session_Id": "s9"}, 503), (DisconnectRequest, {}, 402), (CoARequest, {"Acct_Session_Id": "s1"}, 401),
        (DisconnectRequest, {"Acct_Session_Id": "s1", "NAS_Identifier": "x"}, 403),
        (CoARequest, {"Acct_Session_Id": "s1", "Session_Timeout": 1, "Acct_Interim_Interval": 5}, 401),
    ],
)  # fmt: skip
def test_what_is_not_done_is_said(code: int, attributes: dict[str, object], cause: int) -> None:
    calls = {"s1": Call("anna")}
    reply, _ = dynamic_server(calls).handle(request(code, **attributes), ("192.0.2.1", 5), 0)
    assert reply is not None and reply[0] == (42 if code == DisconnectRequest else 45) and cause.to_bytes(4, "big") in reply
    assert not calls["s1"].done


def test_an_old_request_is_not_played_back() -> None:
    server = dynamic_server({"s1": Call("anna")})
    reply, said = server.handle(request(Acct_Session_Id="s1", Event_Timestamp=1000), ("192.0.2.1", 5), 2000.0)
    assert reply is None and "Event-Timestamp" in said


@given(st.binary(max_size=100))
def test_any_datagram_of_a_server_is_borne(data: bytes) -> None:
    assert dynamic_server({}).handle(data, ("192.0.2.1", 5), 0)[0] is None


# ---------------------------------------------------------------------------------------------------------------- configuration
def test_hosts_and_secrets(tmp_path: Path) -> None:
    assert parse_hosts("a, b:1645, c:1:2") == (RadiusHost("a"), RadiusHost("b", 1645, 1646), RadiusHost("c", 1, 2))
    for wrong in ("", "a:0", "a:1:2:3", "a:x", ":1"):
        with pytest.raises(ValueError):
            parse_hosts(wrong)
    path = tmp_path / "secret"
    path.write_text("# ours\n10.0.0.1 first-secret\nother-secret\n")
    secrets = parse_secrets(str(path))
    assert secrets.of("10.0.0.1") == b"first-secret" and secrets.of("10.0.0.2") == b"other-secret"
    options = Options(servers=(RadiusHost("a"),), secret_file=secrets)
    rules = ExchangeRules((b"first-secret",), 1, 1, 1, True)
    assert "secret-" not in repr(options) + repr(rules) + repr(RadiusSecrets({"": b"other-secret"})) and "-secret" not in repr(
        options
    )
    path.write_text("a b c-too-many")
    with pytest.raises(ValueError) as error:
        parse_secrets(str(path))
    assert "too-many" not in str(error.value)
    path.write_text("short\n")
    with pytest.raises(ValueError):
        parse_secrets(str(path))
