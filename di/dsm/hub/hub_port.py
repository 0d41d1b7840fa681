# SPDX-License-Identifier: GPL-2.0-or-later
"""`HubPort` over the hub's services: other sessions, DI, the store, rooms, objects shared by all scripts."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar, cast

from di.calls.events import EventPosted
from di.calls.subscriptions import SubscriptionOrder
from di.kernel.config import ConfigFile
from di.kernel.errors import ConfigError, DIError
from di.kernel.value import Value
from di.server.services import Services

log = logging.getLogger(__name__)
T = TypeVar("T")


class ServerHub:
    """One for all calls. `create_system_dsm(bundle, diagram)` starts a system DSM or raises DsmException."""

    def __init__(self, services: Services, create_system_dsm: Callable[[str, str], None]) -> None:
        self._services = services
        self._create_system_dsm = create_system_dsm
        self._shared: dict[str, object] = {}

    def post(self, queue: str, params: dict[str, str]) -> bool:
        """DSM event to a session or queue."""
        return self._services.queues.post(queue, EventPosted(params))

    def invoke(self, module: str, function: str, args: list[Value]) -> Value | Awaitable[Value]:
        """A DI function, with the server's own rights."""
        return self._services.registry.invoke(module, function, args)

    def create_system_dsm(self, bundle: str, diagram: str) -> None:
        """Start a system DSM."""
        self._create_system_dsm(bundle, diagram)

    def monitor(self, operation: str, id: str, *args: Value) -> None:
        """Write into the store."""
        monitoring = self._services.monitoring
        if operation == "set" and args[0] not in ("self", "id"):
            monitoring.log(id, **{str(args[0]): args[1]})
        elif operation == "add":
            monitoring.log_add(id, str(args[0]), args[1])
        else:
            # counters, and attributes whose names the hooks' own parameters have
            try:
                self._services.registry.invoke("monitoring", operation, [id, *args])
            except DIError as error:
                log.debug("monitoring.%s(%s): %s", operation, id, error)

    def shared(self, name: str, make: Callable[[], T]) -> T:
        """An object of the process. May be called in a thread (a module prepares there): whoever comes second gets the first one's."""
        if name not in self._shared:
            self._shared.setdefault(name, make())
        return cast(T, self._shared[name])

    def shared_objects(self) -> list[object]:
        """All of them, to be closed at the end."""
        return list(self._shared.values())

    def room_post(self, room: str, params: dict[str, str]) -> bool:
        """DSM event to everybody in a room."""
        members = self._services.sessions.rooms.members(room)
        return sum(self.post(member, dict(params)) for member in members) > 0

    def room_size(self, room: str) -> int:
        """How many are in a room."""
        return self._services.sessions.rooms.count(room)

    def subscribe(self, order: SubscriptionOrder, owner: str) -> tuple[str, str]:
        """A subscription for a call or system DSM."""
        return self._services.sessions.subscriptions.create(order, owner)

    def refresh_subscription(self, handle: str, expires_s: int) -> bool:
        """Refresh it."""
        return self._services.sessions.subscriptions.refresh(handle, expires_s)

    def unsubscribe(self, handle: str) -> bool:
        """End it."""
        return self._services.sessions.subscriptions.remove(handle)

    def unsubscribe_all(self, owner: str) -> None:
        """End those of a call or system DSM."""
        self._services.sessions.subscriptions.remove_all(owner)

    def new_id(self) -> str:
        """A token in the shape of a session's id."""
        return self._services.sessions.new_id()

    def settings(self, module: str) -> dict[str, str]:
        """Keys of a module's configuration file."""
        path = self._services.conf_dir / f"{module}.conf"
        if not path.is_file():
            return {}
        try:
            return {key: entry.value for key, entry in ConfigFile.read(path).entries.items()}
        except ConfigError as error:
            log.error("%s", error)
            return {}

    def now_us(self) -> int:
        """Time of day."""
        return int(self._services.clock.epoch_s() * 1e6)
