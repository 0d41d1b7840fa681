# SPDX-License-Identifier: GPL-2.0-or-later
"""Any order of events of two connected legs ends with both legs ended and nothing left: no call, no leg, no queue, no open request."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import event, given, settings
from hypothesis import strategies as st

from di.calls.application import Application
from di.calls.call_info import Target
from di.calls.pair import Pair, PairOptions
from di.calls.session import Session
from di.sip import records as sip
from tests.support.playbook import Playbook

EVENTS = (
    "progress", "progress with media", "negotiated", "held", "confirmed", "failed", "bye", "cancel", "lost", "timeout", "message",
    "info key", "refer", "re-INVITE", "reply", "error reply",
)  # fmt: skip
COMMANDS = ("stop first", "stop second", "part", "end other", "leave", "first leaves", "unbridge", "bridge", "wait", "system",
    "connect again", "new pair", "replace",
)  # fmt: skip
STEPS = st.lists(
    st.one_of(st.tuples(st.sampled_from(EVENTS), st.integers(0, 2)), st.tuples(st.sampled_from(COMMANDS), st.just(0))),
    max_size=14,
)


class Connecting(Application):
    """Connects its call with others as soon as it comes."""

    targets = 1
    options = PairOptions()

    def on_invite(self, session: Session) -> None:
        targets = [Target(f"sip:{number}@there.example", ring_ms=20_000) for number in range(self.targets)]
        if self.options.relay_invite:
            session.dialog.defer_answer()
        Pair(session, self.options).connect(targets)


def deliver(book: Playbook, what: str, call: int) -> None:
    """One record of the SIP process for a call, as it may come at any time."""
    send = book.sessions.on_sip_event
    requests = {"message": ("MESSAGE", "text/plain", b"hi"), "refer": ("REFER", "", b""), "re-INVITE": ("INVITE", "", b"")}
    match what:
        case "progress" | "progress with media":
            send(sip.CallProgressed(call, 183, "Progress", (("X-A", "1"),), what.endswith("media")))
        case "negotiated" | "held":
            send(sip.MediaNegotiated(call, "192.0.2.1", 4000, "PCMU", 8000, 1, 0, 0, 20, 101, 101, what == "negotiated", True))
        case "confirmed":
            send(sip.CallIdentified(call, f"id{call}", f"local{call}", f"t{call}"))
            send(sip.CallConfirmed(call, 200, "OK"))
        case "failed" | "bye" | "cancel" | "lost" | "timeout":
            by = {"failed": "remote", "bye": "remote", "cancel": "cancel", "lost": "error", "timeout": "timeout"}[what]
            send(sip.CallEnded(call, 486 if what == "failed" else 200, "over", by))
        case "message" | "refer" | "re-INVITE":
            method, kind, body = requests[what]
            headers = (("Refer-To", "<sip:third@there.example>"),)
            send(sip.RequestReceived(call, 7, method, headers, kind, body, method != "INVITE"))
        case "info key":
            send(sip.RequestReceived(call, 8, "INFO", (), "application/dtmf-relay", b"Signal=5\r\nDuration=100\r\n", True))
        case _:
            for command in book.sip.commands:
                if isinstance(command, (sip.SendRequest, sip.Reinvite)) and command.call == call:
                    send(sip.ReplyReceived(call, command.token, 200 if what == "reply" else 488, "as it is"))


def replace_second(book: Playbook, pair: Pair) -> None:
    """A call that came meanwhile takes the second leg's place."""
    assert pair.second is not None
    new = book.up("app-plain")
    if pair.second is not None:
        pair.replace(pair.second, new)


def command(book: Playbook, name: str, first: Session, pair: Pair) -> None:
    second = pair.second
    actions: dict[str, Callable[[], object]] = {
        "stop first": first.stop,
        "stop second": second.stop if second is not None else first.stop,
        "part": pair.part,
        "end other": lambda: pair.end_other(first),
        "leave": lambda: pair.leave(second) if second is not None else None,
        "first leaves": lambda: pair.leave(first),
        "connect again": lambda: pair.connect([Target("sip:again@there.example")]) if second is None else None,
        "new pair": lambda: Pair(first, pair.options).connect([Target("sip:new@there.example")]),
        "replace": lambda: replace_second(book, pair) if second is not None else None,
        "unbridge": pair.unbridge,
        "bridge": pair.bridge,
        "wait": lambda: book.run(25),
        "system": lambda: first.post_system("user1"),
    }
    if first.pair is pair or name in ("stop first", "wait", "system"):
        actions[name]()


@settings(deadline=None, max_examples=150)
@given(STEPS, st.integers(1, 3), st.booleans(), st.booleans(), st.booleans(), st.sampled_from(("relay", "serve", "refuse")))
def test_any_order_of_events_leaves_nothing(
    steps: list[tuple[str, int]], targets: int, relayed: bool, early: bool, in_turn: bool, transfers: str
) -> None:
    book = Playbook().with_monitoring()
    options = PairOptions(relay_invite=relayed, early_media=early, in_turn=in_turn, transfers=transfers)
    kind = type("Connecting", (Connecting,), {"targets": targets, "options": options})
    book.services.applications.register("connecting", kind)
    book.services.applications.register("plain", Application)
    call = book.offer("app-connecting")
    first = book.session(call)
    pair = first.pair
    assert pair is not None
    had_second = False
    for name, which in steps:
        calls = [session.call for session in book.sessions]
        if name in COMMANDS:
            command(book, name, first, pair)
        elif calls:
            deliver(book, name, calls[which % len(calls)])
        book.run()
        had_second = had_second or pair.second is not None
    event("a pair" if had_second else "no second leg")
    last = first.pair
    partner = last.second if last is not None and last.second is not None and last.second.pair is last else None
    ringing = list(last.trying) if last is not None else []
    deliver(book, "bye", call)
    book.run()
    assert not set(ringing) & set(book.sessions), "nobody rings for a call that is over"
    if partner is not None and last is not None and last.transfer is None:  # else it waits for the target of a transfer
        assert partner not in list(book.sessions), "the other side of a pair ends with it"
    for session in book.sessions:
        deliver(book, "bye", session.call)
    book.run(60)
    assert list(book.sessions) == []
    assert book.media.legs == {}
    assert not pair._relays._waiting and not pair.trying
    assert book.sessions.limits.active == 0
    asked = [step for step in steps if step[0] in ("message", "refer", "info key")]
    if not asked:
        assert not [one for one in book.sip.commands if isinstance(one, sip.SendReply)]
