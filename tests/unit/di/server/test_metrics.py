# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from di.kernel.event_log import EventFilter, Snapshot
from di.kernel.ports import MEDIA_FIGURES
from di.kernel.server_options import CoreOptions, Limit
from di.server import health
from di.server.metrics import Metrics
from di.server.services import Services
from di.sip.records import SipHeld
from di.stores import monitoring
from tests.support.bare_hub import HandClock, bare_services, invoke


@pytest.fixture
def hub() -> tuple[Services, HandClock]:
    services, clock = bare_services()
    monitoring.PLUGIN.start(services, monitoring.Options())
    return services, clock


def scrape(metrics: Metrics) -> dict[str, float]:
    """Sample name with labels → value; the parser refuses a page that Prometheus would refuse."""
    return {
        sample.name + ("" if not sample.labels else str(sample.labels)): sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
    }


def test_the_names_of_semss_exporter(hub: tuple[Services, HandClock]) -> None:
    names = set(scrape(Metrics(hub[0])))
    assert names >= {
        *("sems_active_calls", "sems_sessions_total", "sems_calls_avg", "sems_calls_max", "sems_cps_avg", "sems_cps_max"),
        *("sems_shutdown_mode", "sems_cps_hard_limit", "sems_cps_soft_limit", "sems_monitoring_active_sessions"),
        *("sems_monitoring_finished_sessions", "sems_reg_active", "sems_registrations", "sems_registered_uas"),
    }


def test_a_scrape_changes_nothing(hub: tuple[Services, HandClock]) -> None:
    services, clock = hub
    metrics, other = Metrics(services), Metrics(services)
    limits = services.sessions.limits
    for _ in range(10):
        limits.begin(clock.now_ns())
    for _ in range(7):
        limits.end(clock.now_ns())
    for _ in range(5):
        page = scrape(metrics)
        assert scrape(other)["sems_calls_max"] == page["sems_calls_max"] == 10
        assert page["sems_cps_max"] == 2
        assert page["sems_active_calls"] == 3
        assert page["sems_sessions_total"] == 10
    assert invoke(services, "core", "get_callsmax") == 10
    assert scrape(metrics)["sems_calls_max"] == 3


def test_what_the_sip_process_holds(hub: tuple[Services, HandClock]) -> None:
    services, _ = hub
    names = ("cordboard_sip_calls", "cordboard_sip_dialogs", "cordboard_sip_transactions")
    page = scrape(Metrics(services))
    assert [page[name] for name in names] == [0, 0, 0]
    services.sip_held = SipHeld(3, 2, 7)
    page = scrape(Metrics(services))
    assert [page[name] for name in names] == [3, 2, 7]


def test_the_average_is_that_of_the_last_minute_whoever_looks(hub: tuple[Services, HandClock]) -> None:
    services, clock = hub
    often, seldom = Metrics(services), Metrics(services)
    scrape(often)
    scrape(seldom)
    limits = services.sessions.limits
    limits.begin(clock.now_ns())
    for _ in range(30):
        clock.advance(1)
        scrape(often)
    limits.begin(clock.now_ns())
    clock.advance(30)
    assert scrape(often)["sems_calls_avg"] == scrape(seldom)["sems_calls_avg"] == pytest.approx(1.5)
    assert scrape(often)["cordboard_call_seconds_total"] == pytest.approx(90)
    for _ in range(70):
        clock.advance(1)
        page = scrape(often)
    assert page["sems_calls_avg"] == pytest.approx(2)


def test_the_store_is_counted_by_what_records_have(hub: tuple[Services, HandClock]) -> None:
    services, clock = hub
    services.monitoring.log("a", reg_active=1, registrations=2)
    services.monitoring.log("b", reg_active=0, registrations=None)
    services.monitoring.mark_finished("c")
    invoke(services, "monitoring", "addSample", "a", 'odd "name"\n', 3)
    clock.advance(1)
    page = scrape(Metrics(services))
    assert page["sems_reg_active"] == 2
    assert page["sems_registrations"] == 1
    assert page["sems_registered_uas"] == 0
    assert page["sems_monitoring_active_sessions"] == 2
    assert page["sems_monitoring_finished_sessions"] == 1
    assert page["sems_monitoring_count" + str({"name": 'odd "name"\n'})] == 3
    assert invoke(services, "monitoring", "get", "b") == [{"reg_active": 0, "registrations": None}]


def test_each_media_process_is_seen(hub: tuple[Services, HandClock]) -> None:
    services, _ = hub
    assert not [name for name in scrape(Metrics(services)) if "cordboard_media" in name]
    services.capabilities.provide(MEDIA_FIGURES, lambda: {0: {"legs": 3, "restarts": 1}, 1: {"legs": 4, "cpu": 0.25}})
    page = scrape(Metrics(services))
    assert page["cordboard_media_legs{'process': '1'}"] == 4
    assert page["cordboard_media_cpu{'process': '1'}"] == 0.25
    assert page["cordboard_media_restarts_total{'process': '0'}"] == 1


def test_labels_are_bounded(hub: tuple[Services, HandClock]) -> None:
    services, _ = hub
    for number in range(1000):
        invoke(services, "monitoring", "addSample", "a", f"s{number}\udcff")
    assert sum(name.startswith("sems_monitoring_count") for name in scrape(Metrics(services))) == 200


def test_events_and_logins(hub: tuple[Services, HandClock]) -> None:
    services, _ = hub
    services.events.subscribe(limit=2)
    services.events.publish("x")
    page = scrape(Metrics(services))
    assert (page["cordboard_events_total"], page["cordboard_event_subscribers"], page["cordboard_event_waiting_max"]) == (1, 1, 1)
    services.events.publish("x")
    services.events.publish("x")
    page = scrape(Metrics(services))
    assert (page["cordboard_event_subscribers"], page["cordboard_event_subscribers_dropped_total"]) == (0, 1)
    assert page["cordboard_login_failures_total"] == 0


def test_without_the_monitoring_module() -> None:
    services, _ = bare_services()
    page = scrape(Metrics(services))
    assert "sems_active_calls" in page and "sems_reg_active" not in page


class Port:
    def send(self, command: object) -> None:
        """Nothing."""


def test_ready_only_when_a_call_would_be_taken() -> None:
    services, clock = bare_services(core=CoreOptions(session_limit=Limit(2, 503, "x"), cps_limit=Limit(1, 503, "x")))
    assert health.healthz() == (200, "ok\n")
    status, text = health.readyz(services)
    assert status == 503 and "SIP process is not up" in text and "media process is not up" in text
    services.sessions.sip = services.sessions.media = Port()
    assert health.readyz(services) == (200, "ready\n")
    assert scrape(Metrics(services))["cordboard_ready"] == 1
    limits = services.sessions.limits
    for _ in range(2):
        limits.begin(clock.now_ns())
    assert health.readyz(services) == (503, "session_limit: 2 calls of 2\n")
    assert limits.refusal(clock.now_ns()) is not None
    limits.end(clock.now_ns())
    services.sessions.set_shutdown_mode(True)
    assert health.readyz(services) == (503, "shutdown: shutdown mode: new calls are refused, 1 are left\n")
    services.sessions.set_shutdown_mode(False)
    for _ in range(10):
        limits.begin(clock.now_ns())
        limits.end(clock.now_ns())
    assert health.readyz(services)[1].startswith("cps_limit: ")
    clock.advance(10)
    assert health.readyz(services) == (200, "ready\n")


def test_a_snapshot_has_calls_and_rooms(hub: tuple[Services, HandClock]) -> None:
    services, _ = hub
    services.monitoring.log("c1", app="webconference")
    services.sessions.rooms.join("r1", "c1")
    services.sessions.rooms.join("r2", "c2")
    snapshot = services.events.subscribe(snapshot=True).take()
    assert isinstance(snapshot, Snapshot)
    assert snapshot.state == {"rooms": {"r1": ["c1"], "r2": ["c2"]}, "calls": {"c1": {"app": "webconference"}}, "sessions": {}}
    snapshot = services.events.subscribe(EventFilter(rooms=frozenset({"r2"})), snapshot=True).take()
    assert isinstance(snapshot, Snapshot) and snapshot.state["rooms"] == {"r2": ["c2"]}
