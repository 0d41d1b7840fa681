# SPDX-License-Identifier: GPL-2.0-or-later
"""A call as plain data and back; nothing replicates it yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from di.dsm.run.pack import pack, restore
from di.kernel.value import Value

if TYPE_CHECKING:
    from di.dsm.hub.call_machine import MachineCall


def packed(call: MachineCall) -> dict[str, Value]:
    """The call as plain data, between events: diagram, variables, stack, timers, dialog identifiers, what the playlist is used for."""
    now_ns, info, media = call.session.host.clock.now_ns(), call.session.info, call.call_media
    left = {id: max(due - now_ns, 0) // 1_000_000 for id, due in call.timers_due_ns.items()}
    return {
        "session": call.session.id, "application": call.session.application, "bundle": call.bundle.name,
        "machine": pack(call.machine, left),
        "dialog": {
            "direction": info.direction, "call_id": info.call_id, "local_tag": info.local_tag, "remote_tag": info.remote_tag,
            "request_uri": info.request_uri, "from": info.from_header, "to": info.to_header, "contact_uri": info.contact_uri,
            "state": call.session.state.name,
        },
        "media": {
            "input": media.input, "output": media.output, "receiving": media.receiving, "keys": media.keys,
            "prompt_set": media.prompt_set, "room": call.session.room, "tees": dict(call.session.tees),
            "mixing": media.mixing,
        },
        "queues": sorted(call.names), "begun": call.session_begun, "early_begun": call.early_begun, "invited": call.invited,
    }  # fmt: skip


def restored(call: MachineCall, data: dict[str, Value]) -> None:
    """Take over the diagram's part of `packed` data: position, variables, stack, timers, flags. Raises DsmError when scripts differ."""
    machine = data.get("machine")
    left = restore(call.machine, machine if isinstance(machine, dict) else {})
    call.session_begun, call.early_begun, call.invited = (data.get(name) is True for name in ("begun", "early_begun", "invited"))
    call.remove_timers()
    for id, left_ms in left.items():
        call.timers_due_ns[id] = call.session.host.clock.now_ns() + left_ms * 1_000_000
        call.session.set_timer(id, left_ms)
    queues = data.get("queues")
    for name in queues if isinstance(queues, list) else ():
        call.register_queue(str(name))
