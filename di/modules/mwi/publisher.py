# SPDX-License-Identifier: GPL-2.0-or-later
"""Counts a box that has changed and sends its NOTIFY; the DI function `publish`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from di.kernel.errors import CallFailed, ConfigError, TypeMismatch
from di.kernel.options import where
from di.kernel.registry import di_method
from di.kernel.value import Value
from di.modules.mwi.notifier import MwiNotifier
from di.modules.mwi.options import Options
from di.modules.mwi.pending import PendingBoxes, Reception
from di.modules.mwi.summary import notify
from di.stores.messages import GREETINGS, MESSAGES, BoxChanged, BoxOwner, Messages, MsgCode

if TYPE_CHECKING:
    from di.kernel.ports import TimerHandle
    from di.server.plugin import Closer
    from di.server.services import Services

log = logging.getLogger(__name__)
_UNAVAILABLE = 503
_S = 1_000_000_000


class MwiPublisher:
    """Boxes that have changed, until each has been told of."""

    def __init__(self, services: Services, messages: Messages, options: Options) -> None:
        self._sessions = services.sessions
        self._clock = services.clock
        self._messages = messages
        self._options = options
        self._pending: PendingBoxes[BoxOwner] = PendingBoxes(options.gather_ms, options.retry_s * 1000, options.attempts)
        self._timer: TimerHandle | None = None
        self._trouble = ""
        self._closed = False
        self._at_start: list[BoxOwner] = []

    @di_method("publish", listed=False)
    async def publish(self, domain: str, user: str) -> list[Value]:
        """Tell the presence server of a user's waiting messages: [0]. A user without a box is a type mismatch, as in SEMS."""
        owner = BoxOwner(domain, user)
        if (await self._messages.messages(owner)).code:
            raise TypeMismatch(f"there is no box of {owner}")
        if not self._options.presence_server:
            raise CallFailed("presence_server in mwi.conf is empty: who has subscribed is told by itself")
        self._changed(owner)
        return [0]

    def on_changed(self, change: BoxChanged) -> None:
        """A message came, was heard or has gone. Greetings are nobody's waiting messages."""
        if not change.owner.domain.endswith(GREETINGS):
            self._changed(change.owner)

    async def tell_all(self) -> None:
        """Tell of every box that holds messages, at an even pace: what was to be told when the server was killed is told now."""
        self._at_start = [owner for owner in await self._messages.owners() if not owner.domain.endswith(GREETINGS)]
        self._at_start.reverse()
        self._next_at_start()

    def _next_at_start(self) -> None:
        if not self._at_start or self._closed:
            return
        if not self._sessions.sip_is_up:  # the server is still starting
            self._clock.call_later(_S, self._next_at_start)
            return
        self._sessions.spawn(self._tell_if_full(self._at_start.pop()))
        self._clock.call_later(_S // self._options.at_start, self._next_at_start)

    async def _tell_if_full(self, owner: BoxOwner) -> None:
        box = await self._messages.messages(owner)
        if box.new or box.read:
            self._changed(owner)

    def close(self) -> None:
        """Tell of nothing more."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()

    def _changed(self, owner: BoxOwner) -> None:
        self._pending.changed(owner, self._clock.now_ns())
        self._go_on()

    def _go_on(self) -> None:
        """Send what is due, and set the timer to what is next."""
        if self._closed:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now_ns = self._clock.now_ns()
        for owner in self._pending.take_due(now_ns):
            self._sessions.spawn(self._tell(owner))
        due_ns = self._pending.deadline_ns()
        if due_ns is not None:
            self._timer = self._clock.call_later(max(0, due_ns - now_ns), self._go_on)

    async def _tell(self, owner: BoxOwner) -> None:
        """Count and send. A box that is gone is empty: its last message may have been deleted with it."""
        box = await self._messages.messages(owner)
        if self._closed:
            return
        if box.code is MsgCode.STORAGE:
            self._answered(owner, _UNAVAILABLE, "the box cannot be read")
            return
        request = notify(owner, box.new, box.read, self._options)
        problem = self._sessions.outside.send(request, lambda reply: self._answered(owner, reply.code, reply.reason))
        if problem:
            self._answered(owner, 400 if self._sessions.sip_is_up else _UNAVAILABLE, problem)

    def _answered(self, owner: BoxOwner, code: int, reason: str) -> None:
        outcome = self._pending.answered(owner, code, self._clock.now_ns())
        target = self._options.presence_server if self._options.use_route else f"sip:{owner}"
        trouble = "" if code < 300 else f"{code} {reason}"
        if outcome is Reception.GIVEN_UP:
            log.warning(
                "mwi: the NOTIFY for %s is given up: %s said %s; see that it takes NOTIFY outside dialogs (docs/mwi.md)",
                owner,
                target,
                trouble,
            )
        elif trouble and trouble != self._trouble:
            log.warning("mwi: the NOTIFY for %s is sent again later: %s said %s", owner, target, trouble)
        self._trouble = trouble
        self._go_on()


def start(services: Services, options: Options) -> Closer:
    """Follow the message storage. Raises ConfigError when there is none."""
    messages = services.capabilities.find(MESSAGES)
    if messages is None:
        if services.trial:
            return None
        raise ConfigError(*where(options, "presence_server"), "", "mwi needs msg_storage before it in load_plugins")
    publisher = MwiPublisher(services, messages, options)
    undo = [publisher.close]
    if options.presence_server:
        undo.append(messages.watch(publisher.on_changed))
        if options.at_start:
            services.sessions.spawn(publisher.tell_all())
    if options.subscribe:
        notifier = MwiNotifier(services, messages, options)
        try:
            undo.append(services.sessions.outside.serve("SUBSCRIBE", notifier.on_subscribe))
        except ValueError as error:
            raise ConfigError(*where(options, "subscribe"), "subscribe", f"{error}; subscribe=no leaves it there") from error
        undo += [messages.watch(notifier.on_changed), notifier.close]
    services.registry.register("mwi", publisher)

    def close() -> None:
        for step in reversed(undo):
            step()
        services.registry.unregister("mwi")

    return close
