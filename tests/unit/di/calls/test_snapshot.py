# SPDX-License-Identifier: GPL-2.0-or-later
"""A call as plain data, and back."""

from __future__ import annotations

import json
from dataclasses import replace

import msgpack
import pytest

from di.calls.application import Application
from di.calls.call_info import Target
from di.calls.pair import Pair
from di.calls.session import Session
from di.calls.snapshot import restore, take
from di.calls.state import AudioPhase, Phase
from di.kernel.errors import CallFailed
from di.kernel.value import Value
from media.control.records import ReceivedFormat, Srtp, SrtpKey
from tests.support.playbook import Playbook


class Counting(Application):
    """Has something of its own."""

    count = 0

    def snapshot(self) -> Value:
        return {"count": self.count}

    def restore(self, data: Value) -> None:
        assert isinstance(data, dict)
        self.count = int(str(data["count"]))


@pytest.fixture
def book() -> Playbook:
    playbook = Playbook().with_monitoring()
    playbook.services.applications.register("counting", Counting)
    return playbook


def busy_call(book: Playbook) -> Session:
    """A call with something in every field."""
    session = book.up("app-counting", (("P-App-Param", "a=b"), ("X-Odd", "\udcff")))
    assert isinstance(session.app, Counting)
    session.app.count = 7
    session.timers.set(3, 5000)
    session.audio.join_room("blue")
    session.audio.tee_room("mine", "red")
    session.audio.set(muted=True)
    session.audio.receive(False)
    session.audio.playlist.attach(input=True, output=False)
    session.audio.record("/tmp/x.wav")
    book.run(2)
    return session


@pytest.mark.parametrize("carrier", ["json", "msgpack"])
def test_a_call_goes_through_json_and_msgpack_and_is_the_same(book: Playbook, carrier: str) -> None:
    one = busy_call(book)
    assert one.audio.negotiated is not None
    one.audio.negotiated = replace(
        one.audio.negotiated,
        also=(ReceivedFormat(8, 8, "PCMA", 8000, 1, "x=1"),),
        dtmf_send_clock_hz=48000,
        rtcp_ip="192.0.2.9",
        rtcp_port=7,
        lines=("a=x-flag",),
    )
    before = take(one)
    data = (
        json.loads(json.dumps(before))
        if carrier == "json"
        else msgpack.unpackb(msgpack.packb(before, unicode_errors="surrogateescape"), unicode_errors="surrogateescape")
    )
    assert data["timers_ms"] == {"3": 3000} and data["app"] == {"count": 7} and data["dialog"]["phase"] == "CONNECTED"
    other = Playbook()
    other.services.applications.register("counting", Counting)
    two = other.up("app-counting")
    restore(two, data)
    assert take(two) == {**data, "id": two.id}
    assert (two.dialog.phase, two.audio.phase, two.audio.room) == (Phase.CONNECTED, AudioPhase.STARTED, "blue")
    assert isinstance(two.app, Counting) and two.app.count == 7
    assert two.audio.negotiated == one.audio.negotiated


def test_no_key_is_in_it(book: Playbook) -> None:
    """Of a call with SRTP it says the suite, and cannot be brought back."""
    one = busy_call(book)
    assert one.audio.negotiated is not None
    secret = bytes(range(28))
    one.audio.negotiated = replace(one.audio.negotiated, srtp=Srtp("AEAD_AES_128_GCM", secret, (SrtpKey(secret, b"\1"),)))
    data = take(one)
    assert repr(secret)[2:20] not in repr(data) and "AEAD_AES_128_GCM" in repr(data)
    assert json.loads(json.dumps(data)) == data
    with pytest.raises(CallFailed, match="keys that no snapshot has"):
        restore(book.up("app-counting"), data)


def test_looking_changes_nothing(book: Playbook) -> None:
    session = busy_call(book)
    commands = len(book.sip.commands), len(book.media.commands)
    assert take(session) == take(session)
    assert (len(book.sip.commands), len(book.media.commands)) == commands


def test_the_other_side_is_named(book: Playbook) -> None:
    book.services.applications.register(
        "calls",
        type(
            "Calls",
            (Application,),
            {"on_session_start": lambda self: Pair(self.session).connect([Target("sip:b@there.example")])},
        ),
    )
    first = book.up("app-calls")
    second = next(session for session in book.sessions if not session.dialog.incoming)
    assert take(first)["other"] == ""
    book.confirm(second.call)
    assert (take(first)["other"], take(second)["other"]) == (second.id, first.id)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"dialog": None},
        {"dialog": {}},
        {"audio": {"phase": "OPEN"}},
        {"timers_ms": {"x": 1}},
        {"timers_ms": []},
    ],
)
def test_what_is_no_snapshot_is_refused(book: Playbook, change: dict[str, Value]) -> None:
    session = book.up("app-counting")
    with pytest.raises(CallFailed, match=r"no snapshot|version"):
        restore(session, {**take(session), **change})
