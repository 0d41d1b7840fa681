# SPDX-License-Identifier: GPL-2.0-or-later
"""The functions of `msg_storage` (spec applications.md §11). Each answers with a list whose first value is the code."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable

from di.kernel.errors import CallFailed, DIError, Forbidden
from di.kernel.registry import Caller, Registry, di_method
from di.kernel.value import Value
from di.stores.messages import BoxChanged, BoxOwner, Existing, MsgCode
from di.stores.msg_storage.storage import MessageStorage

log = logging.getLogger(__name__)
MOST_BYTES = 32 << 20
"""Of a message that goes through DI: a value is held in memory, several times while it is encoded."""


class MsgStorageInterface:
    """Names are as given: one that could lead out of the storage is answered like one that is not there."""

    def __init__(self, storage: MessageStorage, registry: Registry, spawn: Callable[[Awaitable[None]], None]) -> None:
        self._storage = storage
        self._registry = registry
        self._spawn = spawn
        self._subscribers: dict[str, tuple[str, Caller]] = {}

    @di_method("msg_new")
    async def msg_new(self, domain: str, user: str, name: str, data: Value) -> list[Value]:
        """Store a message; one of that name is replaced. Data is the file's bytes, or nothing for an empty message."""
        if data is not None and not isinstance(data, bytes):
            raise CallFailed("message data is not a file ptr.")
        owner = BoxOwner(domain, user)
        if data is None:
            stored = await self._storage.store(owner, name, None, Existing.REPLACE)
        else:
            stored = await self._storage.store_bytes(owner, name, data, Existing.REPLACE)
        if stored.cause:
            log.warning("msg_storage: msg_new for %s: %s", owner, stored.cause)
        return [int(stored.code)]

    @di_method("msg_get", changes=False)
    async def msg_get(self, domain: str, user: str, name: str) -> list[Value]:
        """Say whether a message is there: 0 or 3. Its bytes come by `msg_data`."""
        return [int((await self._storage.open(BoxOwner(domain, user), name)).code)]

    @di_method("msg_data", listed=False, changes=False, dangerous=True)
    async def msg_data(self, domain: str, user: str, name: str) -> list[Value]:
        """Return a message's file as bytes, [0, data]; [3, nothing] without it, [5, nothing] when it cannot be read or is above 32 MB."""
        code, data = await self._storage.read_bytes(BoxOwner(domain, user), name, MOST_BYTES)
        return [int(code), data if not code else None]

    @di_method("msg_markread")
    async def msg_markread(self, domain: str, user: str, name: str) -> list[Value]:
        """Mark a message read: 0, 3 or 5."""
        return [int(await self._storage.mark_read(BoxOwner(domain, user), name))]

    @di_method("msg_delete")
    async def msg_delete(self, domain: str, user: str, name: str) -> list[Value]:
        """Delete a message: 0, 3 or 7."""
        return [int(await self._storage.delete(BoxOwner(domain, user), name))]

    @di_method("userdir_open", changes=False)
    async def userdir_open(self, domain: str, user: str) -> list[Value]:
        """List a box: [0, [[name, unread 1 or 0, size], …]], or [2, nothing] when there is none."""
        box = await self._storage.messages(BoxOwner(domain, user))
        if box.code:
            return [int(MsgCode.USER_NOT_FOUND), None]
        return [0, [[message.name, int(message.new), message.size_bytes] for message in box.messages]]

    @di_method("userdir_close", changes=False)
    def userdir_close(self, domain: str, user: str) -> list[Value]:  # noqa: ARG002 – SEMS's arguments
        """Do nothing: 0."""
        return [0]

    @di_method("userdir_getcount", changes=False)
    def userdir_getcount(self, domain: str, user: str) -> list[Value]:  # noqa: ARG002 – SEMS's arguments
        """Answer -1, as it always has; `userdir_open` lists what could be counted."""
        return [-1]

    @di_method("events_subscribe", dangerous=True)
    def events_subscribe(self, caller: Caller, listener: str, method: str) -> None:
        """Have a function of a module called with [domain, user, event] for `msg_new`, `msg_markread` and `msg_delete`."""
        if not caller.allows(listener, method):
            raise Forbidden(f"{listener}.{method}")
        self._registry.find(listener, method)
        self._subscribers[listener] = (method, caller)

    @di_method("events_unsubscribe", dangerous=True)
    def events_unsubscribe(self, listener: str) -> None:
        """Call a module's function no more."""
        self._subscribers.pop(listener, None)

    # -------------------------------------------------------------------------------------------------------------------- events
    def on_changed(self, change: BoxChanged) -> None:
        """Tell who has subscribed. A function that fails is named in the log and stays subscribed."""
        owner = change.owner
        for listener, (method, caller) in list(self._subscribers.items()):
            self._spawn(self._tell(listener, method, caller, [owner.domain, owner.user, change.what]))

    async def _tell(self, listener: str, method: str, caller: Caller, args: list[Value]) -> None:
        try:
            answer = self._registry.invoke(listener, method, args, caller)
            if inspect.isawaitable(answer):
                await answer
        except DIError as error:
            log.warning("msg_storage: %s.%s, which hears of events, failed: %s", listener, method, error)
