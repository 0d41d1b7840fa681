# SPDX-License-Identifier: GPL-2.0-or-later
"""Orders of events of two legs that once left a call or a request behind. Each leg's queue runs by itself."""

from __future__ import annotations

import asyncio
from ipaddress import ip_network

import pytest

from di.calls.application import Application
from di.calls.call_info import Target
from di.calls.pair import Pair, PairOptions
from di.calls.session import Session
from di.kernel.server_options import CoreOptions
from di.sip import records as sip
from media.control import play_items
from media.control.records import OpenLeg
from tests.support.playbook import Playbook


class Desk(Application):
    """Survives the end of its other side."""

    heard: list[str]

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.heard = []

    def on_other_bye(self, headers: tuple[tuple[str, str], ...]) -> None:
        self.heard.append("other bye")


@pytest.fixture
def book() -> Playbook:
    playbook = Playbook().with_monitoring()
    playbook.services.applications.register("desk", Desk)
    return playbook


def calls_out(book: Playbook) -> list[Session]:
    return [session for session in book.sessions if not session.dialog.incoming]


def connected(book: Playbook, options: PairOptions | None = None) -> tuple[Session, Session, Pair]:
    first = book.up("app-desk")
    pair = Pair(first, options or PairOptions())
    pair.connect([Target("sip:b@there.example")])
    book.run()
    second = pair.trying[0]
    book.confirm(second.call)
    assert pair.second is second
    return first, second, pair


def request(book: Playbook, session: Session, method: str, *headers: tuple[str, str]) -> None:
    book.sessions.on_sip_event(sip.RequestReceived(session.call, 7, method, headers, "", b"", True))
    book.run()


def replies(book: Playbook, session: Session) -> list[int]:
    return [command.code for command in book.sip.of(sip.SendReply, session.call)]


# ---------------------------------------------------------------------------------------------------------------- requests
@pytest.mark.parametrize("what", ["part", "leave"])
def test_who_goes_on_alone_has_its_own_request_answered(book: Playbook, what: str) -> None:
    first, _, pair = connected(book)
    request(book, first, "MESSAGE")
    assert replies(book, first) == []
    if what == "part":
        pair.part()
    else:
        pair.leave(first)
    book.run()
    assert replies(book, first) == [481]


# ------------------------------------------------------------------------------------------------------------- several legs
def heard_by(book: Playbook, session: Session) -> list[int]:
    """Legs that a leg is bridged to."""
    return [item.peer_leg for item in book.media.legs[session.leg].playlist if isinstance(item, play_items.PlayBridge)]


def early(book: Playbook, session: Session) -> None:
    book.progress(session.call, 183, has_body=True)
    book.negotiate(session.call)


def test_when_the_heard_leg_fails_the_next_with_early_media_is_heard(book: Playbook) -> None:
    first = book.up("app-desk")
    pair = Pair(first, PairOptions(early_media=True))
    pair.connect([Target(f"sip:{name}@there.example") for name in "abc"])
    book.run()
    one, two, three = pair.trying
    for leg in (two, one, three):
        early(book, leg)
    assert heard_by(book, first) == [two.leg]
    book.fail(one.call)
    assert heard_by(book, first) == [two.leg]
    book.fail(two.call)
    assert heard_by(book, first) == [three.leg]
    book.confirm(three.call)
    assert heard_by(book, first) == [three.leg] and heard_by(book, three) == [first.leg]


@pytest.mark.parametrize(
    ("codes", "told"),
    [((486, 603), 603), ((603, 486), 603), ((503, 486), 486), ((486, 480), 480), ((500, 404), 404)],
)
def test_the_best_failure_of_several_is_told(book: Playbook, codes: tuple[int, ...], told: int) -> None:
    first = book.up("app-desk")
    heard: list[int] = []
    first.app.on_other_reply = lambda reply: heard.append(reply.code)  # type: ignore[method-assign]
    pair = Pair(first)
    pair.connect([Target(f"sip:{code}@there.example") for code in codes])
    book.run()
    for leg, code in zip(pair.trying.copy(), codes, strict=True):
        book.fail(leg.call, code)
    assert heard == [told]


def test_connecting_anew_hangs_up_the_second_leg_that_is_there(book: Playbook) -> None:
    first, second, pair = connected(book)
    pair.connect([Target("sip:c@there.example")])
    book.run()
    assert second.gone and not first.dialog.ending and first.app.heard == []  # type: ignore[attr-defined]
    (third,) = pair.trying
    book.confirm(third.call)
    assert pair.second is third and heard_by(book, first) == [third.leg]


def test_nobody_is_called_for_a_caller_who_is_going(book: Playbook) -> None:
    first = book.up("app-desk")
    pair = Pair(first, PairOptions(in_turn=True))
    pair.connect([Target(f"sip:{name}@there.example") for name in "ab"])
    book.run()
    (one,) = pair.trying
    first.stop()
    book.sessions.on_sip_event(sip.CallEnded(one.call, 486, "Busy Here", "remote"))
    book.run()
    assert len([command for command in book.sip.commands if isinstance(command, sip.Dial)]) == 1
    assert list(book.sessions) == []


def test_a_call_that_is_being_ended_sends_no_request(book: Playbook) -> None:
    first, second, _ = connected(book)
    second.stop()
    assert second.dialog.send("MESSAGE") == 0 and not book.sip.of(sip.SendRequest, second.call)
    assert first.dialog.send("MESSAGE") != 0


# ------------------------------------------------------------------------------------------------------------- second legs
def test_leaving_while_others_ring_cancels_them(book: Playbook) -> None:
    first = book.up("app-desk")
    pair = Pair(first)
    pair.connect([Target("sip:b@there.example"), Target("sip:c@there.example")])
    book.run()
    assert len(calls_out(book)) == 2
    pair.leave(first)
    book.run()
    assert calls_out(book) == []


def test_a_new_pair_ends_what_the_old_one_calls(book: Playbook) -> None:
    first = book.up("app-desk")
    Pair(first).connect([Target("sip:b@there.example")])
    book.run()
    Pair(first).connect([Target("sip:c@there.example")])
    book.run()
    assert [session.info.request_uri for session in calls_out(book)] == ["sip:c@there.example"]


def test_a_new_search_ends_the_one_before(book: Playbook) -> None:
    first = book.up("app-desk")
    pair = Pair(first)
    pair.connect([Target("sip:b@there.example")])
    book.run()
    pair.connect([Target("sip:c@there.example")])
    book.run()
    assert [session.info.request_uri for session in calls_out(book)] == ["sip:c@there.example"]


def test_a_call_that_is_being_ended_calls_nobody(book: Playbook) -> None:
    class Late(Desk):
        def on_destroy(self) -> None:
            Pair(self.session).connect([Target("sip:b@there.example")])

    book.services.applications.register("late", Late)
    book.bye(book.up("app-late"))
    assert list(book.sessions) == []


async def test_a_caller_is_refused_when_the_answered_leg_is_gone_before_its_news(book: Playbook) -> None:
    go_on = asyncio.Event()

    class Slow(Desk):
        async def on_event(self, event: object) -> None:
            await go_on.wait()

        def on_invite(self, session: Session) -> None:
            session.dialog.defer_answer()
            Pair(session, PairOptions(relay_invite=True)).connect([Target("sip:b@there.example")])

    book.services.applications.register("slow", Slow)
    call = book.offer("app-slow")
    first = book.session(call)
    first.post_event({})
    book.run()
    (second,) = calls_out(book)
    book.confirm(second.call)
    book.bye(second)
    go_on.set()
    for work in book.waiting:
        await work
    book.run()
    assert book.answers(call)[-1:] == [480], "nobody answers the caller any more"
    assert list(book.sessions) == []


@pytest.mark.parametrize("early", [False, True])
def test_the_first_leg_opens_beside_the_second_one(book: Playbook, early: bool) -> None:
    """Between two media processes all is decoded and mixed; each leg by itself would go to the one that has less to do."""

    class Relaying(Desk):
        def on_invite(self, session: Session) -> None:
            session.dialog.defer_answer()
            options = PairOptions(relay_invite=True, early_media=True)
            Pair(session, options).connect([Target("sip:b@there.example")])

    book.services.applications.register("relaying", Relaying)
    call = book.offer("app-relaying")
    first = book.session(call)
    (second,) = calls_out(book)
    if early:
        book.progress(second.call, 183, "Session Progress", has_body=True)
    book.confirm(second.call)
    near = {command.leg: command.near for command in book.media.commands if isinstance(command, OpenLeg)}
    assert near == {second.leg: first.leg, first.leg: second.leg}, "of the first one nothing is known when the second one opens"


# ------------------------------------------------------------------------------------------------------------- replacement
def replacing(book: Playbook, replaced: Session) -> int:
    info = replaced.info
    value = f"{info.call_id};to-tag={info.local_tag};from-tag={info.remote_tag}"
    return book.offer("app-desk", (("Replaces", value),))


def trusting() -> Playbook:
    book = Playbook(CoreOptions(trusted_peers=(ip_network("192.0.2.0/24"),)))
    book.with_monitoring().services.applications.register("desk", Desk)
    book.source_ip = "192.0.2.1"
    return book


def test_replaces_of_a_call_that_ends_before_the_new_one_is_up() -> None:
    book = trusting()
    first, second, _ = connected(book)
    call = replacing(book, first)
    book.bye(first)
    book.confirm_if_there(call)
    assert call not in [session.call for session in book.sessions], "it is connected with nobody"
    assert second not in list(book.sessions)


@pytest.mark.parametrize(("says", "code"), [(True, 200), (False, 403), (None, 481)])
async def test_the_replaced_call_is_asked_in_its_turn(says: bool | None, code: int) -> None:
    """Not beside a callback that waits; the answer may take a while; a call that has ended meanwhile is 481."""
    book = trusting()
    first, _, _ = connected(book)
    go_on, asked = asyncio.Event(), []

    class Busy(Desk):
        async def on_event(self, event: object) -> None:
            await go_on.wait()

        async def on_replaces(self, offer: object) -> bool:
            asked.append(offer)
            await asyncio.sleep(0)
            return bool(says)

    first.app = Busy(first)
    first.post_event({})
    book.run()
    if says is None:
        book.bye(first)
    call = replacing(book, first)
    book.run(1)
    assert asked == [] and book.answers(call) == []
    go_on.set()
    while book.waiting:
        await book.waiting.pop(0)
        book.run()
    book.run(10)
    assert book.answers(call) == [code]
    assert len(asked) == (says is not None)


def test_a_refer_that_names_its_own_pair_parts_nobody(book: Playbook) -> None:
    first, second, pair = connected(book, PairOptions(transfers="serve"))
    info = second.info
    value = f"{info.call_id}%3Bto-tag%3D{info.local_tag}%3Bfrom-tag%3D{info.remote_tag}"
    request(book, second, "REFER", ("Refer-To", f"<sip:x@there.example?Replaces={value}>"))
    assert pair.second is second and first.pair is pair and second.pair is pair
    assert not second.dialog.ending
    assert b"481" in book.sip.of(sip.SendRequest, second.call)[-1].body


def test_a_target_that_goes_before_it_has_audio_ends_the_transfer(book: Playbook) -> None:
    first, second, pair = connected(book, PairOptions(transfers="serve"))
    request(book, first, "REFER", ("Refer-To", "<sip:t@there.example>"))
    (target,) = [session for session in calls_out(book) if session is not second]
    book.bye(first)
    assert second in list(book.sessions), "it waits for the target"
    book.sessions.on_sip_event(sip.CallConfirmed(target.call, 200, "OK"))
    book.bye(target)
    assert pair.transfer is None
    assert second not in list(book.sessions)


def test_leaving_ends_a_transfer(book: Playbook) -> None:
    first, second, pair = connected(book, PairOptions(transfers="serve"))
    request(book, first, "REFER", ("Refer-To", "<sip:t@there.example>"))
    assert len(calls_out(book)) == 2
    pair.leave(first)
    book.run()
    assert pair.transfer is None
    assert calls_out(book) in ([], [second])


# ------------------------------------------------------------------------------------------------------------------- offers
def test_an_update_without_an_offer_makes_no_offer_to_the_other(book: Playbook) -> None:
    first, second, _ = connected(book)
    book.sessions.on_sip_event(sip.RequestReceived(first.call, 0, "UPDATE", (), "", b"", False))
    book.run()
    first.dialog.offer("sendonly")
    book.negotiate(first.call, send=True, receive=False)
    assert book.sip.of(sip.Reinvite, second.call) == []
