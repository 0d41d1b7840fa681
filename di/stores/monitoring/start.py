# SPDX-License-Identifier: GPL-2.0-or-later
"""Start and stop of the monitoring module: joins store, DI interface, hooks, event log and collector."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

from di.kernel.ports import MONITORING, STANDING_QUERIES
from di.stores.monitoring.hooks import StoreHooks, publisher
from di.stores.monitoring.interface import Monitoring
from di.stores.monitoring.metrics import collect as collect_metrics
from di.stores.monitoring.options import Options
from di.stores.monitoring.samples import Samples
from di.stores.monitoring.standing_queries import calls_snapshot
from di.stores.monitoring.store import Store

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from di.server.plugin import Closer
    from di.server.services import Services

log = logging.getLogger(__name__)


def start(services: Services, options: Options) -> Closer:
    """Publish the DI interface and put the store behind `services.monitoring`. The closer undoes both."""
    epoch_s = services.clock.epoch_s
    store = Store(publisher(services.events) if options.publish_changes else None)
    samples = Samples(options.retain_samples_s)
    interface = Monitoring(store, samples, epoch_s, options.max_records)
    services.registry.register("monitoring", interface)
    hooks = StoreHooks(store, samples, epoch_s)
    withdraw = (services.capabilities.provide(MONITORING, hooks), services.capabilities.provide(STANDING_QUERIES, hooks.watch))

    def metrics() -> Iterator[Metric]:
        return collect_metrics(store, samples, epoch_s)

    services.metric_sources.append(metrics)
    services.events.add_snapshot("calls", lambda chosen: calls_snapshot(store, chosen, int(epoch_s())))
    collector: asyncio.Task[None] | None = None
    if options.run_garbage_collector:
        collector = asyncio.get_running_loop().create_task(
            collect(interface, options.garbage_collector_interval), name="monitoring_gc"
        )

    def close() -> None:
        if collector is not None:
            collector.cancel()
        for undo in withdraw:
            undo()
        services.metric_sources.remove(metrics)
        services.events.remove_snapshot("calls")
        services.registry.unregister("monitoring")

    return close


async def collect(interface: Monitoring, interval_s: int) -> None:
    """Remove finished records every so often (spec monitoring.md §1)."""
    while True:
        await asyncio.sleep(interval_s)
        clearing = interface.clear_finished()
        if not isinstance(clearing, list):
            await clearing
