# SPDX-License-Identifier: GPL-2.0-or-later
"""The example programs of `clients/examples` with real calls: a prepaid monitor, a contact centre's queue, a report from call records."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from xmlrpc.client import ServerProxy

import pytest

from clients.examples.agents import Queue
from clients.examples.prepaid_monitor import CreditFile, Monitor
from tests.support.browser import Callers
from tests.support.server import PLUGINS, ROOT, Server, wait_until
from tests.support.sipp import Sipp, place_calls

pytestmark = pytest.mark.peers

ANNA_HZ, BERT_HZ, CARL_HZ = TONES = [500.0, 900.0, 1300.0]
WATCH = "call_control=watch\nwatch_module=cc_call_timer\nwatch_timer=7200\n"


def test_the_monitor_ends_calls_without_credit(tmp_path: Path) -> None:
    """Each is charged to its caller; who has nothing, and who is not known, is sent away; the file is right afterwards."""
    book = tmp_path / "credits.csv"
    book.write_text("# account,seconds\ncaller,3\nrich,1000\n")
    server = Server(tmp_path / "server", {"call_control.conf": WATCH}, plugins=f"{PLUGINS};cc_call_timer;call_control")
    with server:
        proxy = ServerProxy(f"http://127.0.0.1:{server.xml_port}")
        monitor = Monitor(proxy, CreditFile(book))
        with Sipp("called_off", server.sip_port, user="echo", trace=False) as caller:
            wait_until(lambda: server.xml.calls() == 1, "the call is up")
            ended = wait_until(monitor.look, "the monitor ends it")
            assert caller.wait().successful == 1, "the phone got a BYE"
        assert len(ended) == 1 and server.record_of("echo").get("dir") in (None, "in")
        assert book.read_text() == "caller,0\nrich,1000\n"
        again = Monitor(proxy, CreditFile(book))  # one that starts anew knows what is left
        with Sipp("called_off", server.sip_port, user="echo", trace=False) as caller:
            wait_until(again.look, "no credit: ended at once")
            wait_until(lambda: server.xml.calls() == 0, "the call is over, or has never come about")
            caller.stop()
        assert not again.look(), "a call that is over is no longer charged"


def test_who_waits_longest_gets_the_free_agent(tmp_path: Path) -> None:
    """The agent hears the first caller and the second only after that; a caller whose agent goes away waits again, first of all."""
    with Server(tmp_path) as server, Callers(server.sip_port) as callers:
        queue = Queue(ServerProxy(f"http://127.0.0.1:{server.xml_port}"), ["room-desk1", "room-desk2"])
        bert = callers.call("Bert", "help1", BERT_HZ)
        wait_until(lambda: server.record_of("help1").get("position") == "lobby", "Bert waits")
        assert queue.look() == [], "nobody is there to speak to"
        callers.call("Carl", "help2", CARL_HZ)
        wait_until(lambda: server.record_of("help2").get("position") == "lobby", "Carl waits")
        queue.look()
        anna = callers.call("Anna", "room-desk1", ANNA_HZ)
        taken = wait_until(queue.look, "the agent gets a caller")
        assert [room for _, room in taken] == ["room-desk1"]
        wait_until(lambda: callers.hears(anna, TONES) == {BERT_HZ}, "Anna hears Bert alone")
        wait_until(lambda: callers.hears(bert, TONES) == {ANNA_HZ}, "Bert hears Anna")
        assert queue.look() == [], "Carl waits while she speaks"
        server.json("core.hangup", taken[0][0])
        wait_until(queue.look, "Carl comes")
        wait_until(lambda: callers.hears(anna, TONES) == {CARL_HZ}, "Anna hears Carl")


def test_the_report_shows_the_night(tmp_path: Path) -> None:
    """Records of real calls: answered and refused ones; what a caller wrote is text in the page; a record that comes twice counts once."""
    night = tmp_path / "night.jsonl"
    conf = f"sinks=jsonl\njsonl_path={night}\nspool={tmp_path}/spool.db\n"
    with Server(tmp_path / "server", {"cdr.conf": conf}, plugins=f"{PLUGINS};cdr") as server:
        assert place_calls(3, "echo", server.sip_port).successful == 3
        server.json("core.set_shutdownmode", True)
        place_calls(1, "echo", server.sip_port)
        wait_until(lambda: night.exists() and night.read_text().count("\n") >= 4, "four records")
    kept = night.read_text()
    strange = {**json.loads(kept.splitlines()[0]), "id": "another", "app": "<script>", "start": ""}
    night.write_text(kept + kept.splitlines()[0] + "\nno record\n" + json.dumps(strange) + "\n")
    page = tmp_path / "report.html"
    made = subprocess.run(
        [sys.executable, "-m", "clients.examples.nightly_report", str(night), str(page)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "night.jsonl:" in made.stderr and "no call record" in made.stderr
    assert made.stdout.startswith("5 calls, 4 answered"), made.stdout
    text = page.read_text()
    assert "<svg" in text and "answered" in text and "<td>&lt;script&gt;" in text and "<td><script" not in text
    assert "<td>echo<td class=n>" in text and "503" in text


def test_the_programs_start_and_stop(tmp_path: Path) -> None:
    """As their users start them."""
    book = tmp_path / "credits.csv"
    book.write_text("caller,3\n")
    with Server(tmp_path / "server", {"call_control.conf": WATCH}, plugins=f"{PLUGINS};cc_call_timer;call_control") as server:
        url = f"http://127.0.0.1:{server.xml_port}"
        for arguments in (("prepaid_monitor", str(book), "--every", "0.2"), ("agents", "room-desk1", "--every", "0.2")):
            name, *rest = arguments
            program = subprocess.Popen(
                [sys.executable, "-m", f"clients.examples.{name}", *rest, "--server", url],
                cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )  # fmt: skip
            stop = threading.Timer(60, program.kill)
            stop.start()
            if name == "prepaid_monitor":
                book.write_text("caller,1\n")
                with Sipp("called_off", server.sip_port, user="echo", trace=False) as caller:
                    assert caller.wait().successful == 1, "it ends the call"
            else:
                wait_until(lambda program=program: "listByFilter" in server.log or program.poll() is None, "it looks")
            program.terminate()
            output, _ = program.communicate(timeout=30)
            stop.cancel()
            assert "Traceback" not in output, output
