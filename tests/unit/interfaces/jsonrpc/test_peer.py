# SPDX-License-Identifier: GPL-2.0-or-later
"""Replies to requests of ours: each queue that waits hears once, of its reply or of the connection's end."""

from __future__ import annotations

import pytest

from di.calls.events import EventPosted
from interfaces.jsonrpc.peer import Flag, Peer, PeerClosed


def peer(flags: int = 0) -> tuple[Peer, list[tuple[str, EventPosted]]]:
    """One with a request on its way, whose reply goes to `queue`."""
    posted: list[tuple[str, EventPosted]] = []

    def post(queue: str, event: EventPosted) -> bool:
        posted.append((queue, event))
        return queue != "gone"

    made = Peer("conn-1", lambda method, params: None, post, flags)
    made.request("m", [], "queue", "mine")
    return made, posted


@pytest.mark.parametrize("outcome", ["result", "error"])
def test_a_reply_goes_to_the_queue_that_waits(outcome: str) -> None:
    it, posted = peer()
    it.receive(b'{"jsonrpc": "2.0", "id": "1", "%s": 5}' % outcome.encode())
    ((queue, event),) = posted
    assert queue == "queue" and event.params["is_error"] == ("true" if outcome == "error" else "false")
    assert event.data == {outcome: 5, "udata": "mine"}
    it.lost()
    assert len(posted) == 1, "it waits no longer"


def test_a_reply_that_is_none_closes_and_who_waits_hears_of_it() -> None:
    it, posted = peer()
    with pytest.raises(PeerClosed, match="neither result nor error"):
        it.receive(b'{"jsonrpc": "2.0", "id": "1"}')
    it.lost()
    ((queue, event),) = posted
    assert (queue, event.params["what"]) == ("queue", "disconnect")


@pytest.mark.parametrize("flags", [0, Flag.UNKNOWN_REPLY])
def test_a_reply_that_nobody_waits_for(flags: int) -> None:
    it, posted = peer(flags)
    if flags:
        with pytest.raises(PeerClosed, match="nobody waits"):
            it.receive(b'{"jsonrpc": "2.0", "id": "2", "result": 5}')
    else:
        assert it.receive(b'{"jsonrpc": "2.0", "id": "2", "result": 5}') == b""
    assert not posted
