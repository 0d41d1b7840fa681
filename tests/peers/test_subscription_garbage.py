# SPDX-License-Identifier: GPL-2.0-or-later
"""A hostile notifier against the real SIP process: bad replies, bad NOTIFYs, and dialogs whose parts we have to send back."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from di.sip.outside_records import RefreshSubscription, Subscribe, SubscriptionChanged, Unsubscribe
from interfaces.sip.message import Message
from tests.peers.test_sip_garbage import mutated, next_call_works
from tests.support.sip_peer import PeerSubscription, UdpPeer
from tests.support.sip_process import SipProcess
from tests.support.sizes import size

pytestmark = pytest.mark.peers

CONTACTS = [
    "<sip:n@127.0.0.1:{port}>", "<sip:n@127.0.0.1:{port};transport=tcp>", "<sip:n@127.0.0.1:{port}?Event=presence&Call-ID=other>", "*",
    "<sips:n@127.0.0.1:{port}>", "<tel:+49123>", "<http://127.0.0.1/>", "<sip:>", "<sip:n@[::1>", "<sip:n@999.999.999.999>", "<>",
    "<sip:n@127.0.0.1:99999>", "<sip:%00%ff@127.0.0.1:{port}>", "<sip:" + "a" * 1500 + "@127.0.0.1>", '"<" <sip:n@127.0.0.1:{port}',
    "sip:n@127.0.0.1:{port};lr;maddr=127.0.0.1", "<sip:n@unknown.invalid>", "<mailto:a@b>", "<sip:n@127.0.0.1;;;=;x>",
]  # fmt: skip
ROUTES = [
    "", "<sip:127.0.0.1:{port};lr>", "<sip:127.0.0.1:{port}>", "<sip:127.0.0.1:{port};lr>,<sip:127.0.0.1:{port};lr>", "<", ",,,", "<tel:1>",
    "<sip:127.0.0.1:{port};lr>;x=" + '"' + "y" * 200, "*", "<sip:[::1]:5;lr>", "sip:127.0.0.1:{port};lr",
]  # fmt: skip
FROMS = [
    "<sip:n@h>;tag={tag}", '"\\"<>;tag=no" <sip:n@h>;tag={tag}', "sip:n@h;tag={tag}", '"x <sip:n@h>;tag={tag}', "<tel:1>;tag={tag}",
    "<sip:n@h>;tag={tag};tag=two",
]  # fmt: skip
STATES = [
    "active;expires=60",
    "active",
    "pending;expires=2147483648",
    "terminated",
    "active;expires=-1",
    ";",
    "active;" + "x;" * 500,
]
CODES = [200, 202, 401, 407, 423, 302, 400, 491, 503, 100, 999]
EXTRAS = [
    "", "Expires: 1\r\n", "Expires: x\r\n", "Min-Expires: 4294967296\r\n", "Retry-After: 1\r\n",
    'WWW-Authenticate: Digest realm="a\\"b", nonce="\\\\"\r\n',
]  # fmt: skip


async def one_notifier(sip: SipProcess, peer: UdpPeer, rng: random.Random, number: int) -> None:
    """A subscription whose notifier says anything, and is asked again so that its own words go back to it."""
    target = f"sip:n@127.0.0.1:{peer.port}"
    sip.send(Subscribe(number, target, "<sip:us@127.0.0.1>", f"<{target}>", "reg", 60, username="us", password="secret"))
    notifier = await peer.take_subscribe()

    def fill(text: str, tag: str) -> str:
        return text.replace("{port}", str(peer.port)).replace("{tag}", tag)

    for step in range(4):
        tag = rng.choice(["a", "a", "a", "b"])
        head = {
            "From": fill(rng.choice(FROMS), tag), "To": notifier.remote, "Call-ID": notifier.call_id, "CSeq": f"{step + 1} NOTIFY",
            "Via": f"SIP/2.0/UDP 127.0.0.1:{peer.port};branch=z9hG4bKh{number}-{step}", "Event": rng.choice(["reg", "reg", "x"]),
            "Contact": fill(rng.choice(CONTACTS), tag), "Record-Route": fill(rng.choice(ROUTES), tag), "Max-Forwards": "70",
            "Subscription-State": rng.choice(STATES),
        }  # fmt: skip
        text = (
            f"NOTIFY {notifier.target} SIP/2.0\r\n"
            + "".join(f"{name}: {value}\r\n" for name, value in head.items() if value)
            + "\r\n"
        )
        data = text.encode("utf-8", "surrogateescape")
        peer.send((mutated(rng, data) if rng.random() < 0.5 else data).decode("utf-8", "surrogateescape"))
        answer(notifier, notifier.request_message, rng)
        sip.send(RefreshSubscription(number, rng.choice([0, 1, 2**31 - 1])))
        await asyncio.sleep(0.005)
        notifier.request_message = last_subscribe(notifier)
    sip.send(Unsubscribe(number))


def answer(notifier: PeerSubscription, request: Message, rng: random.Random) -> None:
    headers = rng.choice(EXTRAS) + (f"Record-Route: {rng.choice(ROUTES)}\r\n".replace("{port}", str(notifier.peer.port)))
    notifier.reply(request, rng.choice(CODES), headers=headers)


def last_subscribe(notifier: PeerSubscription) -> Message:
    found = notifier.request_message
    while not notifier.messages.empty():
        message = notifier.messages.get_nowait()
        if message.method == "SUBSCRIBE":
            assert "secret" not in str(message) and "Event" in dict(message.headers)
            assert [name for name, _ in message.headers].count("Call-ID") == 1 and dict(message.headers)["Event"] == "reg"
            found = message
    return found


@settings(max_examples=size(4, 40), deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32))
def test_hostile_notifiers(seed: int) -> None:
    """Whatever notifiers say, the process lives, forgets nothing to tell the end of, and the next subscription and call work."""

    async def once() -> None:
        sip = await SipProcess.start()
        peer = await UdpPeer.open(sip.port)
        rng = random.Random(seed)
        for number in range(1, size(40, 150)):
            await one_notifier(sip, peer, rng, number)
            assert not sip.lost.is_set(), sip.log[-3000:]
        final = [event.subscription for event in sip.of(SubscriptionChanged) if event.final]
        assert len(final) == len(set(final))
        target = f"sip:n@127.0.0.1:{peer.port}"
        sip.send(Subscribe(9999, target, "<sip:us@127.0.0.1>", f"<{target}>", "reg", 60))
        good = await peer.take_subscribe()
        good.answer(200)
        assert await good.notify("active;expires=60") == 200
        await sip.wait_until(lambda: any(e.subscription == 9999 for e in sip.of(SubscriptionChanged)))
        await next_call_works(sip)
        peer.close()
        assert await sip.stop(0) == 0 and "Traceback" not in sip.log, sip.log[-3000:]

    asyncio.run(once())
