# SPDX-License-Identifier: GPL-2.0-or-later
"""The functions of `registrar_client`."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily

from di.calls.events import EventPosted
from di.calls.registering import REGISTRATIONS, Registering
from di.kernel.errors import CallFailed
from di.kernel.registry import di_method
from di.kernel.value import Value
from di.modules.registrar_client.options import Options
from di.sip.registration.account import RegisterAccount, RegisterPolicy
from di.sip.registration.binding import Happened, RegisterState
from di.sip.registration.pacing import RegisterPace

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from di.server.plugin import Closer
    from di.server.services import Services

log = logging.getLogger(__name__)

KIND = "registration"
"""`EventPosted.kind` of what is posted to an event sink."""
_NUMBERS = {RegisterState.PENDING: 0, RegisterState.LEAVING: 0, RegisterState.ACTIVE: 1, RegisterState.EXPIRED: 2}


class RegistrarClient:
    """Registrations by handle, and who wants to hear of them."""

    def __init__(self, services: Services, registering: Registering, policy: RegisterPolicy) -> None:
        self._sessions, self._queues = services.sessions, services.queues
        self._registering, self._policy = registering, policy
        self._sinks: dict[str, str] = {}
        registering.listen(self._on_news)

    @di_method("createRegistration", dangerous=True)
    def create(
        self,
        domain: str,
        user: str,
        display_name: str,
        auth_user: str,
        pwd: str,
        event_sink: str,
        proxy: str = "",
        contact: str = "",
        handle: str = "",
    ) -> list[Value]:
        """Register user@domain and keep it registered; answers with the handle at once. A handle that is in use is replaced."""
        account = RegisterAccount(
            handle or self._sessions.new_id(), domain, user, display_name, auth_user or user, pwd, proxy, contact
        )
        if problem := account.problem():
            raise CallFailed(f"createRegistration: {problem}")
        self._sinks[account.handle] = event_sink
        self._registering.add(account, self._policy)
        return [account.handle]

    @di_method("removeRegistration")
    def remove(self, handle: str) -> None:
        """Take a registration back at the registrar, and forget it."""
        self._registering.remove(handle)

    @di_method("getRegistrationState", changes=False)
    def state(self, handle: str) -> list[Value]:
        """Return [1, state, seconds left] with state 0 pending, 1 active, 2 expired; [0] for an unknown handle."""
        binding = self._registering.book.find(handle)
        if binding is None:
            return [0]
        return [1, _NUMBERS[binding.state], binding.expires_left_s(self._registering.now_ns())]

    @di_method("listRegistrations", changes=False)
    def list(self) -> Value:
        """Return a struct for each registration, without passwords; nothing when there is none."""
        found: list[Value] = []
        for binding in self._registering.book:
            account = binding.account
            found.append(
                {
                    "handle": account.handle,
                    "domain": account.domain,
                    "user": account.user,
                    "name": account.display_name,
                    "auth_user": account.auth_user,
                    "proxy": account.proxy,
                    "event_sink": self._sinks.get(account.handle, ""),
                    "contact": account.contact,
                }
            )
        return found or None

    def _on_news(self, news: Happened) -> None:
        sink = self._sinks.pop(news.handle, "") if news.over else self._sinks.get(news.handle, "")
        if not sink:
            return
        params = {"type": str(int(news.news)), "handle": news.handle, "code": str(news.code), "reason": news.reason}
        if not self._queues.post(sink, EventPosted(params, KIND)):
            log.debug("registration %s: there is no queue %r for its news", news.handle, sink)


def start(services: Services, options: Options) -> Closer:
    """Register the functions, and provide the registrations for other modules."""
    pace = RegisterPace(options.every_ns, 1, services.clock.now_ns())
    registering = Registering(services.sessions, options.policy(keep=True), pace, "registrar_client")
    services.registry.register(
        "registrar_client", RegistrarClient(services, registering, options.policy(keep=options.keep_trying))
    )
    withdraw = services.capabilities.provide(REGISTRATIONS, registering)

    def metrics() -> Iterator[Metric]:
        return states_metric("registrar_client", registering)

    services.metric_sources.append(metrics)

    async def close() -> None:
        withdraw()
        services.registry.unregister("registrar_client")
        services.metric_sources.remove(metrics)
        await registering.close()

    return close


def states_metric(module: str, registering: Registering) -> Iterator[Metric]:
    """How many registrations are in which state."""
    gauge = GaugeMetricFamily("cordboard_registrations", "Registrations of ours by state", labels=("module", "state"))
    for state, count in registering.states().items():
        gauge.add_metric((module, state), count)
    yield gauge
