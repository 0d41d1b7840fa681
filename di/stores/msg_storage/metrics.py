# SPDX-License-Identifier: GPL-2.0-or-later
"""The message storage's part of /metrics."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, Metric

from di.server.metrics import gauge
from di.stores.msg_storage.storage import MessageStorage


def collect(storage: MessageStorage, totals: tuple[int, int, int, int]) -> Iterator[Metric]:
    """`totals`: boxes, new messages, read messages, bytes, as of the last sweep."""
    events = CounterMetricFamily("cordboard_message_events", "Messages stored, marked read, deleted.", labels=["event"])
    for event, count in storage.counts.items():
        events.add_metric([event], count)
    yield events
    refused = CounterMetricFamily("cordboard_messages_refused", "Messages that could not be stored.", labels=["cause"])
    for code, count in storage.refused.items():
        refused.add_metric([code.name.lower()], count)
    yield refused
    yield gauge("cordboard_message_jobs", "Jobs that wait for the storage's thread.", storage.waiting)
    boxes, new, read, size = totals
    yield gauge("cordboard_message_boxes", "Boxes at the last sweep.", boxes)
    yield gauge("cordboard_messages_new", "New messages at the last sweep.", new)
    yield gauge("cordboard_messages_read", "Messages that were heard, at the last sweep.", read)
    yield gauge("cordboard_message_bytes", "Size of all messages at the last sweep.", size)
