# SPDX-License-Identifier: GPL-2.0-or-later
"""Starts that must fail with a message that helps, and stops that leave nothing behind: real processes."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest

from tests.support.server import Server, wait_until
from tests.support.sipp import Sipp

pytestmark = pytest.mark.peers


def fails(server: Server, *wanted: str) -> str:
    """Start, expect exit status 255 and one line that says all that is wanted, no traceback."""
    server.launch()
    assert server.wait_status(60) == 255, server.log
    wait_until(lambda: all(text in server.log for text in wanted), f"{wanted} in:\n{server.log}")
    assert "Traceback" not in server.log
    return server.log


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ("sip_port=many", ("sems.conf:11: sip_port", "'many'", "from 0 to 65535")),
        ("loglevel=loud", ("sems.conf:11: loglevel", "'loud'", "0 to 3")),
        ("session_limit=a;b;c", ("sems.conf:11: session_limit", "N;code;reason")),
        ("shutdown_mode_reply=no", ("sems.conf:11: shutdown_mode_reply", "503 Server shutting down")),
        ("load_plugins=anouncement", ("sems.conf:11: load_plugins", "did you mean announcement?")),
        ("application=$(mappings)", ("sems.conf:11: application", "$(mapping)")),
        ("sip_ip=nosuchdevice0", ("sems.conf:11: sip_ip", "neither an IP address nor a device")),
        ('signature="never closed', ("sems.conf:11: signature", "closing")),
        ("@missing.conf", ("sems.conf:11: @missing.conf", "cannot be read")),
    ],
)
def test_bad_value_stops_the_start_with_file_line_key_and_what_is_right(
    tmp_path: Path, settings: str, wanted: tuple[str, ...]
) -> None:
    fails(Server(tmp_path, settings=f"\n{settings}"), *wanted)


def test_missing_default_announcement(tmp_path: Path) -> None:
    files = {"announcement.conf": "announce_path=prompts/\ndefault_announce=nothing.wav\n"}
    fails(Server(tmp_path, files), "announcement.conf:2: default_announce", "nothing.wav")


def test_bad_mapping_line(tmp_path: Path) -> None:
    fails(Server(tmp_path, {"app_mapping.conf": "^sip:a=>echo\n(=>echo\n"}), "app_mapping.conf:2")


def test_module_without_its_file(tmp_path: Path) -> None:
    server = Server(tmp_path)
    (server.etc / "webconference.conf").unlink()
    fails(server, "webconference.conf", "does not exist")


@pytest.mark.parametrize("which", ["sip", "xmlrpc", "web"])
def test_port_in_use(tmp_path: Path, which: str) -> None:
    server = Server(tmp_path)
    kind = socket.SOCK_DGRAM if which == "sip" else socket.SOCK_STREAM
    port = {"sip": server.sip_port, "xmlrpc": server.xml_port, "web": server.web_port}[which]
    file = {"sip": "sems.conf", "xmlrpc": "xmlrpc2di.conf", "web": "web.conf"}[which]
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(kind == socket.SOCK_STREAM))  # as every TCP server
        taken.bind(("127.0.0.1", port))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        fails(server, file, "127.0.0.1", str(port), "port")


def test_open_address_without_access_rules(tmp_path: Path) -> None:
    server = Server(tmp_path)
    (server.etc / "xmlrpc2di.conf").write_text(f"xmlrpc_port={server.xml_port}\nserver_ip=0.0.0.0\n")
    fails(server, "xmlrpc2di.conf:2: server_ip", "0.0.0.0")


def test_unknown_key_warns_and_the_server_runs(tmp_path: Path) -> None:
    with Server(tmp_path, settings="sip_prot=5061") as server:
        wait_until(lambda: "unknown key sip_prot" in server.log, "the warning")
        assert "did you mean sip_port?" in server.log
        assert server.xml.calls() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_leaves_nothing_running(tmp_path: Path, number: signal.Signals) -> None:
    server = Server(tmp_path)
    server.start()
    children = server.children()
    assert set(children) == {"sip", "media"}
    os.kill(server.pid, number)
    assert server.wait_status() == 0, server.log
    assert not [pid for pid in children.values() if Path(f"/proc/{pid}").exists()]
    assert "Traceback" not in server.log


def test_children_leave_when_the_hub_is_killed(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.start()
    children = server.children()
    os.kill(server.pid, signal.SIGKILL)
    server.wait_status()
    wait_until(lambda: not [pid for pid in children.values() if Path(f"/proc/{pid}").exists()], "children gone")


def test_a_stop_does_not_wait_for_peers_that_are_gone(tmp_path: Path) -> None:
    server = Server(tmp_path, settings="max_shutdown_time=1")
    server.start()
    children = server.children()
    with Sipp("call", server.sip_port, calls=3, user="announce", hold_ms=60000) as sipp:
        wait_until(lambda: sipp.answered == 3, "three calls")
        os.kill(sipp.pid, signal.SIGSTOP)  # it is there and does not answer
        os.kill(server.pid, signal.SIGTERM)
        assert server.wait_status() == 0, server.log
    assert not [pid for pid in children.values() if Path(f"/proc/{pid}").exists()]


def test_a_second_signal_forces_the_stop(tmp_path: Path) -> None:
    server = Server(tmp_path, settings="max_shutdown_time=0")
    server.start()
    children = server.children()
    with Sipp("call", server.sip_port, user="announce", hold_ms=60000) as sipp:
        wait_until(lambda: sipp.answered == 1, "a call")
        os.kill(sipp.pid, signal.SIGSTOP)
        os.kill(server.pid, signal.SIGTERM)
        wait_until(lambda: "once more forces it" in server.log, "the first signal")
        os.kill(server.pid, signal.SIGTERM)
        assert server.wait_status() == 1, server.log
    wait_until(lambda: not [pid for pid in children.values() if Path(f"/proc/{pid}").exists()], "children gone")
