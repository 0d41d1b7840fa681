# SPDX-License-Identifier: GPL-2.0-or-later
"""Second legs over the real SIP process and over the fake of it: the hub's core on top, the same steps, the same outcome."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from di.calls.application import Application
from di.calls.call_info import Target
from di.calls.events import SipReply
from di.calls.pair import Pair, PairOptions
from di.calls.selection import Selection
from di.calls.session import Session
from di.kernel.clock import LoopClock
from media.control.play_items import PlayBridge
from tests.support.bare_hub import bare_services
from tests.support.fake_media import FakeMedia
from tests.support.sip_sides import Side


class Connecting(Application):
    """Connects its call with as many targets as asked, all of them the same phone."""

    options = PairOptions()
    targets = 1
    port = 0

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.replies: list[int] = []

    def on_invite(self, session: Session) -> None:
        if self.options.relay_invite:
            session.dialog.defer_answer()
            self.connect()

    def on_session_start(self) -> None:
        if not self.options.relay_invite:
            self.connect()

    def connect(self) -> None:
        Pair(self.session, self.options).connect([Target(f"sip:{n}@127.0.0.1:{self.port}") for n in range(self.targets)])

    def on_other_reply(self, reply: SipReply) -> None:
        self.replies.append(reply.code)


class Core:
    """Sessions over one side, with media in memory."""

    def __init__(self, side: Side) -> None:
        self.services, _ = bare_services()
        self.services.clock = LoopClock()
        self.sessions, self.side = self.services.sessions, side
        self.sessions.arrivals.selection = Selection("connecting")
        self.media = FakeMedia(self.sessions.on_media_event)
        self.sessions.media_up(self.media)
        self.sessions.sip_up(side)
        self._pump = asyncio.ensure_future(self._bring())

    async def _bring(self) -> None:
        brought = 0
        while True:
            while brought < len(self.side.events):
                self.sessions.on_sip_event(self.side.events[brought])  # type: ignore[arg-type]
                brought += 1
            await asyncio.sleep(0.001)

    def use(self, targets: int = 1, **options: Any) -> None:
        values = {"options": PairOptions(**options), "targets": targets, "port": self.side.port}
        self.services.applications.register("connecting", type("C", (Connecting,), values))

    async def until(self, condition: Callable[[], object], what: str) -> None:
        for _ in range(4000):
            if condition():
                return
            await asyncio.sleep(0.005)
        raise AssertionError(f"{what}: {list(self.sessions)} {self.side.events[-5:]}")

    @property
    def first(self) -> Session:
        return next(session for session in self.sessions if session.dialog.incoming)

    def bridged(self) -> bool:
        """Whether two legs name each other."""
        peers = {
            number: [item.peer_leg for item in leg.playlist if isinstance(item, PlayBridge)]
            for number, leg in self.media.legs.items()
        }
        return any(peers.get(other) == [number] for number, others in peers.items() for other in others)

    async def all_gone(self) -> None:
        await self.until(lambda: len(self.sessions) == 0 and not self.media.legs, "nothing is left")

    def close(self) -> None:
        self._pump.cancel()


@pytest_asyncio.fixture
async def core(side: Side) -> AsyncIterator[Core]:
    core = Core(side)
    yield core
    await core.all_gone()
    core.close()


async def called(side: Side, relay: bool = False) -> tuple[Any, Any]:
    """The caller's dialog and the one that the server makes for it."""
    call = side.peer.invite()
    if not relay:
        assert await call.final() == 200
        call.ack()
    return call, await side.peer.take_invite()


async def both_up(core: Core, side: Side, relay: bool = False) -> tuple[Any, Any]:
    call, leg = await called(side, relay)
    await leg.accept()
    if relay:
        assert await call.final() == 200
        call.ack()
    await core.until(lambda: core.bridged() and core.first.audio.started, "the two are bridged")
    return call, leg


@pytest.mark.parametrize("relay", [False, True])
@pytest.mark.parametrize("by_callee", [False, True])
async def test_connected_and_hung_up(core: Core, side: Side, relay: bool, by_callee: bool) -> None:
    core.use(relay_invite=relay)
    call, leg = await both_up(core, side, relay)
    hanging, other = (leg, call) if by_callee else (call, leg)
    code, _ = await asyncio.gather(hanging.bye(), other.taken_off())
    assert code == 200


async def test_a_relayed_refusal(core: Core, side: Side) -> None:
    core.use(relay_invite=True)
    call, leg = await called(side, relay=True)
    await leg.refuse(486)
    assert await call.final() == 486


async def test_a_refusal_leaves_the_caller_where_he_is(core: Core, side: Side) -> None:
    core.use()
    call, leg = await called(side)
    app: Any = core.first.app
    await leg.refuse(486)
    await core.until(lambda: app.replies == [486], "the application was told")
    assert core.first.pair is None and not core.first.dialog.ending
    assert await call.bye() == 200


@pytest.mark.parametrize("by_callee", [False, True])
async def test_a_request_and_its_reply_pass(core: Core, side: Side, by_callee: bool) -> None:
    core.use()
    call, leg = await both_up(core, side)
    asker, other = (leg, call) if by_callee else (call, leg)
    code, _ = await asyncio.gather(asker.request("MESSAGE", body="hi"), other.answer_request("MESSAGE", 202))
    assert code == 202
    await asyncio.gather(call.bye(), leg.taken_off())


@pytest.mark.parametrize("by_callee", [False, True])
async def test_hold_and_resume_pass(core: Core, side: Side, by_callee: bool) -> None:
    core.use()
    call, leg = await both_up(core, side)
    holder, other = (leg, call) if by_callee else (call, leg)
    for ours, theirs in (("sendonly", "recvonly"), ("sendrecv", "sendrecv")):
        code, offered = await asyncio.gather(holder.reoffer(ours), other.take_offer(direction=theirs))
        assert (code, offered) == (200, ours)
    await asyncio.gather(call.bye(), leg.taken_off())


async def test_the_caller_goes_while_the_other_rings(core: Core, side: Side) -> None:
    core.use()
    call, leg = await called(side)
    leg.ring()
    await core.until(lambda: 180 in core.first.app.replies, "it rings")  # type: ignore[attr-defined]
    await asyncio.gather(call.bye(), leg.cancelled())


async def test_the_caller_cancels_a_relayed_invite(core: Core, side: Side) -> None:
    core.use(relay_invite=True)
    call, leg = await called(side, relay=True)
    leg.ring()
    await core.until(lambda: 180 in core.first.app.replies, "it rings")  # type: ignore[attr-defined]
    call.cancel()
    await leg.cancelled()


async def test_of_two_the_first_answer_wins(core: Core, side: Side) -> None:
    core.use(targets=2)
    call, one = await called(side)
    two = await side.peer.take_invite()
    one.ring()
    await core.until(lambda: 180 in core.first.app.replies, "it rings")  # type: ignore[attr-defined]
    await asyncio.gather(two.accept(), one.cancelled())
    await core.until(core.bridged, "the two are bridged")
    await asyncio.gather(call.bye(), two.taken_off())
