# SPDX-License-Identifier: GPL-2.0-or-later
"""The store's part of /metrics (spec monitoring.md §5.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from di.server.metrics import gauge
from di.stores.monitoring.samples import SECOND_US, Samples
from di.stores.monitoring.store import Store

_MAX_NAMES = 200
"""So many sample names become label values; names may come from clients, and each is a time series for whoever collects."""
_REGISTRATION = {
    "reg_active": "Records with attribute reg_active.",
    "registrations": "Records with attribute registrations.",
    "registered_uas": "Records with attribute registered_uas.",
}


def collect(store: Store, samples: Samples, epoch_s: Callable[[], float]) -> Iterator[Metric]:
    """Records, samples, standing queries. Looking changes nothing."""
    now_s = epoch_s()
    finished = store.finished_count(int(now_s))
    yield gauge("sems_monitoring_active_sessions", "Records that are not finished.", len(store) - finished)
    yield gauge("sems_monitoring_finished_sessions", "Records that are finished.", finished)
    for attribute, text in _REGISTRATION.items():
        yield gauge(f"sems_{attribute}", text, store.index.count(attribute))
    rates = GaugeMetricFamily("sems_monitoring_count", "Samples of the last whole second, by name.", labels=["name"])
    for name, count in sorted(samples.rates(int(now_s * SECOND_US)).items())[:_MAX_NAMES]:
        rates.add_metric([name.encode("utf-8", "replace").decode("utf-8")], count)
    yield rates
    yield gauge("cordboard_monitoring_subscriptions", "Standing queries on the store.", store.watch_count)
