# SPDX-License-Identifier: GPL-2.0-or-later
"""DI `events`: WebSocket clients hear what happens.

The functions are declared here, so that permission, binding and the OpenRPC document are the registry's as for any
other; the connection that they belong to exists only on a WebSocket, where `websocket` takes them over.
"""

from __future__ import annotations

from di.kernel.errors import CallFailed
from di.kernel.registry import di_method
from di.kernel.value import Value

_NO_CONNECTION = "events need a WebSocket connection: use /ws"


class EventsInterface:
    """Event functions as they are declared; by any other way than a WebSocket they say that they need one."""

    @di_method("subscribe", changes=False)
    def subscribe(
        self, filter: Value = None, from_sequence: int = -1, snapshot: bool = False, stream: str = ""
    ) -> dict[str, Value]:
        """Tell this WebSocket what happens from now on; returns {subscription, sequence, stream}.

        `filter`: {"types": […], "calls": […], "rooms": […], "attributes": [[name, value], …]}, each optional; null is everything.
        `from_sequence`: replay from that number on, -1 for no replay; with `stream`, the numbering that it belongs to.
        `snapshot`: the present state first. Notifications: events.snapshot, events.event, events.gap, events.dropped.
        """
        raise CallFailed(_NO_CONNECTION)

    @di_method("unsubscribe", changes=False)
    def unsubscribe(self, subscription: int) -> bool:
        """End a subscription of this WebSocket; false when there was none of that number."""
        raise CallFailed(_NO_CONNECTION)

    @di_method("watch", changes=False)
    def watch(self, filters: list[Value]) -> dict[str, Value]:
        """Tell this WebSocket when the result of monitoring.listByFilter(*filters) changes; returns {watch, ids}.

        Notification: events.changed with {watch, entered, left}.
        """
        raise CallFailed(_NO_CONNECTION)

    @di_method("unwatch", changes=False)
    def unwatch(self, watch: int) -> bool:
        """End a watch of this WebSocket; false when there was none of that number."""
        raise CallFailed(_NO_CONNECTION)
