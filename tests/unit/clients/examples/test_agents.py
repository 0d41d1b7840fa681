# SPDX-License-Identifier: GPL-2.0-or-later
"""The queue of the contact centre against a store of records that changes when the test wants it to."""

from __future__ import annotations

from xmlrpc.client import ServerProxy

from clients.examples.agents import ON_THE_WAY_S, WAITING, Queue


class Store(ServerProxy):
    """Records of calls; events are kept and change nothing by themselves."""

    def __init__(self) -> None:
        self.records: dict[str, dict[str, str]] = {}
        self.posted: list[tuple[str, dict[str, str]]] = []

    def di(self, module: str, function: str, *arguments: object) -> list[object]:
        """What the queue asks."""
        if function == "listByFilter":
            name, value = arguments[0]  # type: ignore[misc]
            return [call for call, record in self.records.items() if record.get(name) == value]
        if function == "listActive":
            return [*self.records]
        self.posted.append((str(arguments[0]), dict(arguments[1])))  # type: ignore[call-overload]
        return [200, "OK"]


def test_who_has_been_taken_and_is_on_the_way_is_not_taken_again_and_keeps_his_agent() -> None:
    store, now_s = Store(), 100.0
    queue = Queue(store, ["one", "two"], lambda: now_s)
    store.records = {"anna": {"conf_id": "one"}, "eve": {"conf_id": "two"}, "bert": {"position": WAITING}}
    assert queue.look() == [("bert", "one")]
    assert queue.look() == [], "he is on his way"
    store.records["carl"] = {"position": WAITING}
    assert queue.look() == [("carl", "two")], "the other agent gets the next one"
    store.records["bert"]["position"], store.records["carl"]["position"] = "one", "two"
    assert queue.look() == []
    store.records |= {"dora": {"position": WAITING}}
    del store.records["bert"]
    assert queue.look() == [("dora", "one")]


def test_an_event_that_was_lost_is_posted_again() -> None:
    store, now_s = Store(), 100.0
    queue = Queue(store, ["one"], lambda: now_s)
    store.records = {"anna": {"conf_id": "one"}, "bert": {"position": WAITING}}
    assert queue.look() == [("bert", "one")]
    now_s += ON_THE_WAY_S
    assert queue.look() == [("bert", "one")]
    assert store.posted == [("bert", {"action": "take", "roomname": "one"})] * 2


def test_whose_agent_goes_is_the_first_again() -> None:
    store, now_s = Store(), 100.0
    queue = Queue(store, ["one"], lambda: now_s)
    store.records = {"anna": {"conf_id": "one"}, "bert": {"position": WAITING}, "carl": {"position": WAITING}}
    assert queue.look() == [("bert", "one")]
    store.records["bert"]["position"] = "one"
    del store.records["anna"]
    assert queue.look() == [] and store.posted[-1] == ("bert", {"action": WAITING})
    store.records["bert"]["position"] = WAITING
    store.records["anna"] = {"conf_id": "one"}
    assert queue.look() == [("bert", "one")]
