# SPDX-License-Identifier: GPL-2.0-or-later
"""What a program may send: any operation with any values does what it says, or is answered with a failure; the call goes on."""

from __future__ import annotations

import dataclasses

from hypothesis import given, settings
from hypothesis import strategies as st

from di.calls.events import SystemEvent
from di.sip import records as sip
from interfaces.apps.bridged_call import BridgedCall
from interfaces.apps.operations import OPERATIONS
from media.control import records
from tests.support.program_call import perform, up


def test_the_call_is_told_and_answered_when_the_program_says_so() -> None:
    book, program, session = up(answer=False)
    assert (
        program.sent[0]["k"] == "call" and program.sent[0]["ruri"].startswith("sip:app-prog@") and program.calls == {session.id}
    )
    assert book.answers(session.call) == []
    perform(book, session, 1, "answer", {})
    assert book.answers(session.call) == [200]
    book.confirm(session.call)
    assert {"call": session.id, "k": "done", "op": 1, "result": None} in program.sent
    book.bye(session)
    assert program.sent[-1]["k"] == "ended" and program.sent[-1]["by"] == "remote" and program.calls == set()


def test_a_request_waits_for_the_programs_answer() -> None:
    book, program, session = up()
    book.sessions.on_sip_event(sip.RequestReceived(session.call, 9, "MESSAGE", (), "text/plain", b"x", True))
    book.run()
    event = program.sent[-1]
    assert event["name"] == "request" and event["body"] == b"x"
    perform(book, session, 2, "reply", {"token": event["token"], "code": 202, "reason": "Accepted"})
    assert book.sip.of(sip.SendReply, session.call)[-1].code == 202
    perform(book, session, 3, "reply", {"token": event["token"], "code": 202})
    assert program.sent[-1]["k"] == "failed"


def texts_of(command: object) -> list[str]:
    """Every text of a record, those in tuples too."""
    values = [getattr(command, one.name) for one in dataclasses.fields(command)]  # type: ignore[arg-type]
    flat = [one for value in values for one in (value if isinstance(value, tuple) else (value,))]
    return [one for one in flat if isinstance(one, str)]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.binary(max_size=20),
    lambda v: st.lists(v, max_size=3),
    max_leaves=5,
)
names = st.sampled_from(
    "code reason headers path loop number max_ms silence_ms keys duration_ms room mute targets ring_ms from in_turn relay_early next_hop user "
    "password leg target on method content_type body token ms kind value language to ip port rate_hz apart".split()
)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(st.sampled_from([*OPERATIONS, "nonsense"]), st.one_of(values, st.dictionaries(names, values, max_size=6))),
        max_size=8,
    ),
    st.booleans(),
)
def test_any_operation_with_any_values_is_done_or_refused(operations: list[tuple[str, object]], answer: bool) -> None:
    book, program, session = up(answer)
    for number, (what, given_values) in enumerate(operations, 10):
        if session.gone:
            break
        before = len(program.sent)
        perform(book, session, number, what, given_values)
        assert isinstance(session.app, BridgedCall)
        told = [message for message in program.sent[before:] if message["k"] == "failed"]
        assert all("\n" not in message["reason"] for message in told)
        texts = (text for command in book.sip.commands for text in texts_of(command))
        assert not any("\r" in text or "\n" in text for text in texts)
        answered = [message["op"] for message in program.sent if message["k"] in ("done", "failed")]
        assert len(answered) == len(set(answered)), "an operation is over once"
        assert not any(
            isinstance(command, sip.Hangup) and command.code == 500 and what != "fault" for command in book.sip.commands
        )


def test_the_program_is_told_of_the_servers_signals_and_of_lost_audio() -> None:
    book, program, session = up()
    seen = len(program.sent)
    for kind in ("user1", "user2"):
        book.services.queues.broadcast(SystemEvent(kind))
        book.run()
    assert [(event["name"], event["kind"]) for event in program.sent[seen:]] == [("system", "user1"), ("system", "user2")]
    assert not session.gone
    book.sessions.on_media_event(records.LegDropped(session.leg, "a fault"))
    book.run()
    told = program.sent[seen + 2 :]
    assert told[0]["name"] == "audio_cleared" and told[-1]["k"] == "ended" and session.gone


def test_a_shutdown_is_told_before_the_call_ends() -> None:
    book, program, session = up()
    seen = len(program.sent)
    book.services.queues.broadcast(SystemEvent("shutdown"))
    book.run()
    assert (program.sent[seen]["name"], program.sent[seen]["kind"]) == ("system", "shutdown")
    assert program.sent[-1]["k"] == "ended" and session.gone
