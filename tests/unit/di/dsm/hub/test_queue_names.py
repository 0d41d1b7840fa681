# SPDX-License-Identifier: GPL-2.0-or-later
"""Names of a script's queue: who has one keeps it."""

from __future__ import annotations

from di.calls.events import QueueEvent, SystemEvent
from di.dsm.hub.queue_names import QueueNames
from di.kernel.event_queues import EventQueues


class Script(QueueNames):
    def __init__(self, queues: EventQueues[QueueEvent]) -> None:
        self.got: list[QueueEvent] = []
        self.own_names(queues, self.take)

    def take(self, event: QueueEvent) -> bool:
        self.got.append(event)
        return len(self.got) < 2


def test_an_event_comes_by_any_of_its_names_and_a_full_queue_says_so() -> None:
    queues: EventQueues[QueueEvent] = EventQueues()
    script = Script(queues)
    assert script.register_queue("desk") and script.register_queue("bell") and script.names == {"desk", "bell"}
    event = SystemEvent("user1")
    assert queues.post("bell", event) and not queues.post("desk", event)
    assert script.got == [event, event]


def test_a_name_of_somebody_else_is_neither_taken_nor_given_back() -> None:
    queues: EventQueues[QueueEvent] = EventQueues()
    first, second = Script(queues), Script(queues)
    assert first.register_queue("desk") and not second.register_queue("desk") and not first.register_queue("desk")
    second.unregister_queue("desk")
    second.give_names_back()
    assert queues.post("desk", SystemEvent("user1")) and len(first.got) == 1 and not second.got
    first.unregister_queue("desk")
    first.unregister_queue("desk")
    assert second.register_queue("desk")
    first.give_names_back()
    assert "desk" in queues and first.names == set()


def test_all_are_given_back_at_the_end() -> None:
    queues: EventQueues[QueueEvent] = EventQueues()
    script = Script(queues)
    script.register_queue("a")
    script.register_queue("b")
    script.give_names_back()
    assert "a" not in queues and "b" not in queues and not script.names
