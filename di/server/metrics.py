# SPDX-License-Identifier: GPL-2.0-or-later
"""Content of /metrics, read from the live counters when asked. Looking changes nothing, so anybody may look every second.

Names are those of SEMS's exporter where it has one (spec monitoring.md §5.3), with its defects mended: no scrape resets a
maximum, and what it counted over the store counts the records that have the attribute. `cordboard_…` is new.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from di.server import health

if TYPE_CHECKING:
    from di.server.services import Services

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_AVERAGE_NS = 60 * 10**9


class Metrics(Collector):
    """The metrics of one server."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        self._spent: deque[tuple[int, int]] = deque()

    def render(self) -> bytes:
        """The page, to be sent as CONTENT_TYPE. Costs the number of metrics, not that of calls or records."""
        return generate_latest(self._registry)

    def describe(self) -> Iterator[Metric]:
        """Nothing, so that registering does not collect."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Called by prometheus_client for each page."""
        yield from self._core()
        for source in self._services.metric_sources:
            yield from source()
        yield from self._events()
        yield from self._sip()
        yield from self._media()
        yield gauge("cordboard_ready", "1 when a new call would be taken now.", not health.problems(self._services))
        yield counter("cordboard_login_failures", "Wrong credentials at the RPC gateways.", self._services.access.failures)

    def _core(self) -> Iterator[Metric]:
        limits, now_ns = self._services.sessions.limits, self._services.clock.now_ns()
        yield gauge("sems_active_calls", "Calls now.", limits.active)
        yield counter("sems_sessions", "Calls since the start.", limits.created)
        yield gauge(
            "sems_calls_avg", "Calls at once, averaged over the last minute.", self._average(limits.call_ns(now_ns), now_ns)
        )
        yield gauge("sems_calls_max", "Most calls at once since get_callsmax was last called.", limits.peek_max_active())
        yield gauge("sems_cps_avg", "Calls per second over the last 5 s.", limits.rate(now_ns))
        yield gauge("sems_cps_max", "Highest rate since get_cpsmax was last called.", limits.peek_max_cps())
        yield gauge("sems_shutdown_mode", "1 while new calls are refused.", limits.shutdown_mode)
        yield gauge("sems_cps_hard_limit", "Hard limit of calls per second, 0: none.", limits.hard_cps)
        yield gauge("sems_cps_soft_limit", "Soft limit of calls per second, 0: none.", limits.soft_cps)
        yield from self._toll()
        yield counter("cordboard_call_seconds", "Time of all calls, added up.", limits.call_ns(now_ns) / 1e9)
        yield gauge("cordboard_rooms", "Rooms with somebody in them.", len(self._services.sessions.rooms.names()))

    def _sip(self) -> Iterator[Metric]:
        held = self._services.sip_held
        yield gauge(
            "cordboard_sip_calls", "Calls that the SIP process has, those included that wait for the answer to a BYE.", held.calls
        )
        yield gauge(
            "cordboard_sip_dialogs",
            "SIP dialogs, those of subscriptions included; each stands as long as one of its transactions.",
            held.dialogs,
        )
        yield gauge("cordboard_sip_transactions", "SIP transactions; each stands for 32 s after its end.", held.transactions)

    def _toll(self) -> Iterator[Metric]:
        toll = self._services.sessions.toll
        yield gauge("cordboard_calls_out", "Calls out now.", toll.active.total())
        yield counter("cordboard_dialout_placed", "Calls out that the dial control let pass.", toll.placed)
        refused = CounterMetricFamily(
            "cordboard_dialout_refused", "Attempts to dial that were refused, by cause.", labels=["cause"]
        )
        for cause, count in sorted(toll.refused.items()):
            refused.add_metric([cause], count)
        yield refused

    def _average(self, spent_ns: int, now_ns: int) -> float:
        """Calls at once since the oldest look of the last minute.

        Every look adds a point, none takes one from the others.
        """
        points = self._spent
        while len(points) > 1 and points[1][0] <= now_ns - _AVERAGE_NS:
            points.popleft()
        if not points or now_ns - points[-1][0] >= 10**9:
            points.append((now_ns, spent_ns))
        past_ns, past_spent_ns = points[0]
        return (
            (spent_ns - past_spent_ns) / (now_ns - past_ns) if now_ns > past_ns else float(self._services.sessions.limits.active)
        )

    def _media(self) -> Iterator[Metric]:
        figures = self._services.media_figures()
        for name, family, text in _MEDIA:
            metric = family(f"cordboard_media_{name}", text, labels=["process"])
            for number, values in sorted(figures.items()):
                metric.add_metric([str(number)], values.get(name, 0.0))
            if figures:
                yield metric

    def _events(self) -> Iterator[Metric]:
        events = self._services.events
        yield counter("cordboard_events", "Events published.", events.last_sequence)
        yield gauge("cordboard_event_subscribers", "Subscribers to the event stream.", len(events.subscribers))
        waiting = max((subscriber.waiting for subscriber in events.subscribers), default=0)
        yield gauge("cordboard_event_waiting_max", "Events that wait for the slowest subscriber.", waiting)
        yield counter(
            "cordboard_event_subscribers_dropped", "Subscribers dropped because they were too slow.", events.dropped_count
        )


_MEDIA: tuple[tuple[str, type[GaugeMetricFamily] | type[CounterMetricFamily], str], ...] = (
    ("legs", GaugeMetricFamily, "Legs that a media process has now."),
    ("legs_secure", GaugeMetricFamily, "Those of them with SRTP."),
    ("ports", GaugeMetricFamily, "RTP ports that are open."),
    ("ports_used", GaugeMetricFamily, "Those of them that have a leg."),
    ("cpu", GaugeMetricFamily, "Share of a CPU that its ticks use."),
    ("ticks_late", CounterMetricFamily, "Ticks that began over 2 ms late."),
    ("tick_lateness_p999_us", GaugeMetricFamily, "Lateness of a tick, 99.9th percentile, microseconds."),
    ("packets_received", CounterMetricFamily, "Packets that came."),
    ("packets_late", CounterMetricFamily, "Packets that came too late to be played."),
    ("packets_dropped_stranger", CounterMetricFamily, "Packets that came from no peer's address."),
    ("packets_dropped_too_long", CounterMetricFamily, "Packets of over 200 ms, not played."),
    ("packets_dropped_out_of_time", CounterMetricFamily, "Packets whose timestamps belong nowhere, not played."),
    (
        "packets_dropped_not_authentic",
        CounterMetricFamily,
        "Packets to legs with SRTP that were not protected with the peer's key.",
    ),
    ("packets_dropped_replayed", CounterMetricFamily, "Packets to legs with SRTP that had come before."),
    ("recording_waiting_bytes", GaugeMetricFamily, "Recorded audio that waits for the disk."),
    ("restarts", CounterMetricFamily, "How often it was started again."),
    ("span_rooms", GaugeMetricFamily, "Its rooms that span other media processes."),
    ("span_missed", CounterMetricFamily, "Ticks in which another process's voices were not there in time."),
)
"""What is shown of each media process: name of the figure and metric, its kind, its meaning."""


def gauge(name: str, text: str, value: float) -> Metric:
    """A figure that goes up and down."""
    return GaugeMetricFamily(name, text, value=value)


def counter(name: str, text: str, value: float) -> Metric:
    """A figure that only grows."""
    return CounterMetricFamily(name, text, value=value)
