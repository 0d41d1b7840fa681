# SPDX-License-Identifier: GPL-2.0-or-later
"""The exporter as a program, over HTTP, in front of an XML-RPC server."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
import xmlrpc.server
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from prometheus_client.parser import text_string_to_metric_families

from clients.exporter.__main__ import server
from clients.exporter.scrape import label, page


class Sems:
    """The built-ins of SEMS, with a count of what was asked."""

    def __init__(self, own: bool) -> None:
        self.asked: list[str] = []
        self.own = own

    def _dispatch(self, method: str, params: tuple[object, ...]) -> object:
        name = method if method != "di" else ".".join(str(p) for p in params)
        self.asked.append(name)
        answers: dict[str, object] = {
            "calls": 3,
            "get_sessioncount": 17,
            "get_callsavg": 2,
            "get_callsmax": 5,
            "get_cpsavg": 1,
            "get_cpsmax": 4,
            "get_shutdownmode": 0,
            "get_cpslimit": "10 8",
            "monitoring.listActive": ["a", "b"],
            "monitoring.listFinished": [],
        }
        if self.own:
            answers["core.statistics"] = {
                "calls": 3,
                "sessions": 17,
                "calls_max": 6,
                "cps": 1,
                "cps_max": 4,
                "shutdown_mode": False,
            }
            answers["monitoring.countAttribute.reg_active"] = [7]
            answers["monitoring.sampleRates"] = {'odd "name"\\\n': 9}
        if name not in answers:
            raise xmlrpc.client.Fault(504, f"no {name}")
        return answers[name]


@contextmanager
def serving(running: object) -> Iterator[int]:
    thread = threading.Thread(target=running.serve_forever, args=(0.01,))  # type: ignore[attr-defined]
    thread.start()
    try:
        yield running.server_address[1]  # type: ignore[attr-defined]
    finally:
        running.shutdown()  # type: ignore[attr-defined]
        running.server_close()  # type: ignore[attr-defined]
        thread.join()


@contextmanager
def exported(sems: Sems) -> Iterator[str]:
    rpc = xmlrpc.server.SimpleXMLRPCServer(("127.0.0.1", 0), logRequests=False, allow_none=True)
    rpc.register_instance(sems)
    with serving(rpc) as rpc_port, serving(server(["--url", f"http://127.0.0.1:{rpc_port}", "--listen", "127.0.0.1:0"])) as port:
        yield f"http://127.0.0.1:{port}"


def fetch(url: str) -> tuple[dict[str, float], str]:
    with urllib.request.urlopen(url, timeout=40) as answer:
        assert answer.headers["Connection"] == "close"
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        text = answer.read().decode()
    samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
    return {sample.name: sample.value for sample in samples}, text


def test_metrics_of_sems() -> None:
    sems = Sems(own=False)
    with exported(sems) as url:
        values, _ = fetch(url + "/metrics")
    assert values == {
        "sems_active_calls": 3,
        "sems_sessions_total": 17,
        "sems_calls_avg": 2,
        "sems_calls_max": 5,
        "sems_cps_avg": 1,
        "sems_cps_max": 4,
        "sems_shutdown_mode": 0,
        "sems_cps_hard_limit": 10,
        "sems_cps_soft_limit": 8,
        "sems_monitoring_active_sessions": 2,
        "sems_monitoring_finished_sessions": 0,
    }
    assert not [name for name in sems.asked if "getAttribute" in name], "asking that way would create attributes"


def test_metrics_of_cordboard_reset_nothing() -> None:
    sems = Sems(own=True)
    with exported(sems) as url:
        values, text = fetch(url + "/metrics?x=1")
    assert values["sems_calls_max"] == 6 and values["sems_shutdown_mode"] == 0 and values["sems_reg_active"] == 7
    assert 'sems_monitoring_count{name="odd \\"name\\"\\\\\\n"} 9' in text
    assert not {"get_callsmax", "get_cpsmax"} & set(sems.asked)


def test_a_server_that_is_down_is_a_comment() -> None:
    with serving(server(["--url", "http://127.0.0.1:1", "--listen", "127.0.0.1:0"])) as port:
        values, text = fetch(f"http://127.0.0.1:{port}/metrics")
    assert values == {}
    assert "# error querying sems_active_calls: " in text and "cpslimit" not in text


def test_other_pages() -> None:
    with exported(Sems(own=False)) as url:
        with urllib.request.urlopen(url + "/", timeout=40) as answer:
            assert 'href="/metrics"' in answer.read().decode()
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(url + "/x", timeout=40)
        assert caught.value.code == 404 and caught.value.read() == b"Not Found\n"
        caught.value.close()


@pytest.mark.parametrize(
    "words", [["--help"], ["-h"], ["--bogus"], ["--listen", "x"], ["--listen", "127.0.0.1:x"], ["--url", "ftp://x"]]
)
def test_usage_goes_to_stderr(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        server(words)
    assert caught.value.code == 1
    assert "usage: sems-prometheus-exporter" in capsys.readouterr().err


@pytest.mark.parametrize("answer", [None, "x", [], {}, {"calls": "many"}, [[1]], "1 2 3", 1e400])
def test_odd_answers_are_comments_at_worst(answer: object) -> None:
    text = page(lambda method, *arguments: answer)
    list(text_string_to_metric_families(text))


def test_labels_are_escaped() -> None:
    assert label('a"b\\c\nd\udcff') == 'a\\"b\\\\c\\nd?'
