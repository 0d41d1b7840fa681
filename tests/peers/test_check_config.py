# SPDX-License-Identifier: GPL-2.0-or-later
"""`check-config` against `serve`: the same configuration, the same words, by the real command; and it leaves nothing behind."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.server import ROOT, Server
from tests.support.tls import self_signed

pytestmark = pytest.mark.peers


def check(server: Server, *options: str) -> tuple[int, str]:
    """Run it: exit status and all that was printed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CORDBOARD_")}
    done = subprocess.run(
        [sys.executable, "-m", "di", "check-config", "-f", str(server.etc / "sems.conf"), *options],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def told(server: Server, *options: str) -> str:
    """What a configuration that cannot be used gets: one line."""
    status, text = check(server, *options)
    lines = [line for line in text.splitlines() if line.startswith("cordboard: ") and not line.startswith("cordboard: warning")]
    assert (status, len(lines)) == (255, 1), text  # a script's fault has a second and third one, with the caret
    return lines[0]


def broken(folder: Path, kind: str) -> tuple[Server, str]:
    """A configuration that is broken in one way, and where the fault is."""
    files: dict[str, str] = {}
    settings = ""
    match kind:
        case "foreign sip_ip":
            settings, wanted = "sip_ip=198.51.100.1", "sems.conf:10: sip_ip: 198.51.100.1 is no address of this machine"
        case "foreign media_ip":
            settings, wanted = "media_ip=198.51.100.2", "sems.conf:10: media_ip: 198.51.100.2 is no address of this machine"
        case "foreign further_sip":
            settings, wanted = "further_sip=198.51.100.3:5070", "sems.conf:10: further_sip: 198.51.100.3 is no address"
        case "foreign interface":
            settings = "interfaces=outer,inner\nsip_ip_outer=127.0.0.1\nsip_ip_inner=127.0.0.1\nsip_port_inner=5099\nmedia_ip_inner=198.51.100.5"
            wanted = "sems.conf:14: media_ip_inner: 198.51.100.5 is no address of this machine"
        case "foreign gateway":
            files["web.conf"] = "server_ip=198.51.100.4\n"
            files["access.secrets"] = "role x di.*\n"
            wanted = "web.conf:1: server_ip: 198.51.100.4 is no address of this machine"
        case "open gateway":
            files["web.conf"] = "server_ip=0.0.0.0\n"
            wanted = "web.conf:1: server_ip: 0.0.0.0 can be reached from elsewhere and nobody would have to log in"
        case "missing diagram":
            files["dsm.conf"] = "diag_path=dsm/\nload_diags=lobby,attic\n"
            wanted = "attic.dsm cannot be read"
        case "broken diagram":
            files["dsm/lobby.dsm"] = "initial state A enter { playFile(x };\n"
            wanted = "lobby.dsm:1:"
        case "start diagram":
            files["dsm.conf"] = "diag_path=dsm/\nload_diags=lobby\ninbound_start_diag=attic\n"
            wanted = "inbound_start_diag=attic"
        case "missing prompt":
            files["announcement.conf"] = "default_announce=nothing.wav\n"
            wanted = "announcement.conf:1: default_announce: there is no file"
        case "missing certificate":
            settings = "tls_port=5061\ntls_certificate=/nowhere.pem\ntls_key=/nowhere.key"
            wanted = "sems.conf:11: tls_certificate: /nowhere.pem cannot be read"
        case "certificate of a gateway":
            files["web.conf"] = "tls_certificate=/nowhere.pem\n"
            wanted = "web.conf:1: tls_certificate: certificate '/nowhere.pem'"
        case "plug-ins":
            settings = "load_plugins=echo;py_sems;ecko;webconferenze"
            wanted = (
                "sems.conf:10: load_plugins: SEMS's plug-in py_sems is not in cordboard: take the name out; "
                "there is no plug-in 'ecko'; did you mean echo?; there is no plug-in 'webconferenze'; did you mean webconference?"
            )
        case "enumeration":
            files["conference.conf"] = "playout_type=fast\n"
            wanted = "conference.conf:1: playout_type: 'fast' cannot be used: right is adaptive, adaptive_jb or simple"
        case "switch of the announcement":
            files["announcement.conf"] = "loop=always\n"
            wanted = "announcement.conf:1: loop: 'always' cannot be used: right is true or false"
        case _:
            raise AssertionError(kind)
    server = Server(folder, files, settings, start=False)
    if "access.secrets" in files:
        (server.etc / "access.secrets").chmod(0o600)
    return server, wanted


@pytest.mark.parametrize(
    "kind",
    [
        "foreign sip_ip", "foreign media_ip", "foreign further_sip", "foreign interface", "foreign gateway", "open gateway", "missing diagram",
        "broken diagram", "start diagram", "missing prompt", "missing certificate", "certificate of a gateway", "enumeration",
        "switch of the announcement", "plug-ins",
    ],
)  # fmt: skip
def test_what_serve_would_say(tmp_path: Path, kind: str) -> None:
    server, wanted = broken(tmp_path, kind)
    line = told(server)
    assert wanted in line
    server.launch()
    assert server.wait_status(60) == 255, server.log
    assert line in server.log and "Traceback" not in server.log


def test_two_faults_are_told_in_one_go(tmp_path: Path) -> None:
    server = Server(tmp_path, {"announcement.conf": "default_announce=no.wav\n"}, "sip_ip=198.51.100.1", start=False)
    status, text = check(server)
    assert status == 255 and "sip_ip: 198.51.100.1" in text and "default_announce: there is no file" in text


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_a_key_that_does_not_fit_its_certificate_names_both(tmp_path: Path) -> None:
    one, other = (self_signed(made(tmp_path / name)) for name in ("one", "other"))
    server = Server(tmp_path, settings=f"tls_port=5061\ntls_certificate={one}\ntls_key={other}", start=False)
    line = told(server)
    assert "sems.conf:11: tls_certificate:" in line and "KEY_VALUES_MISMATCH" in line and "two matching PEM files" in line


@pytest.mark.parametrize("which", ["sip", "xmlrpc", "web", "stats"])
def test_ports_in_use_are_told_when_asked_for(tmp_path: Path, which: str) -> None:
    udp = which in ("sip", "stats")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM) as taken:
        taken.bind(("127.0.0.1", 0))
        if not udp:
            taken.listen()
        port = taken.getsockname()[1]
        files = {
            "xmlrpc": {"xmlrpc2di.conf": f"xmlrpc_port={port}\n"},
            "web": {"web.conf": f"port={port}\n"},
            "stats": {"stats.conf": f"monit_udp_ip=127.0.0.1\nmonit_udp_port={port}\n"},
        }.get(which, {})
        settings = "load_plugins=monitoring;announcement;webconference;echo;dsm;xmlrpc2di;web;stats\n"
        settings += f"sip_port={port}" if which == "sip" else ""
        server = Server(tmp_path, {"stats.conf": "monit_udp_ip=127.0.0.1\nmonit_udp_port=0\n", **files}, settings, start=False)
        assert check(server)[0] == 0
        key = {"sip": "sip_port", "xmlrpc": "xmlrpc_port", "web": "port", "stats": "monit_udp_port"}[which]
        line = told(server, "--ports")
        assert f": {key}: cannot listen on 127.0.0.1:{port} (Address already in use)" in line


def test_unknown_applications(tmp_path: Path) -> None:
    """Calls to them get 404; the server runs all the same, and says so."""
    mapping = {"app_mapping.conf": "^sip:echo=>echo\n^sip:mail=>voicemail\n^sip:(.*)@=>\\1\n"}
    server = Server(tmp_path, mapping, start=False)
    line = told(server)
    assert "app_mapping.conf:2: ^sip:mail: there is no application 'voicemail', such calls get 404; loaded: " in line
    with server:
        server.start()
        assert line.removeprefix("cordboard: ") in server.log


def test_unknown_application_of_all_calls(tmp_path: Path) -> None:
    server = Server(tmp_path, settings="application=voicemail", start=False)
    assert "sems.conf:10: application: there is no application 'voicemail', every call gets 404" in told(server)


def test_a_missing_prompt_of_a_room_is_told_too(tmp_path: Path) -> None:
    server = Server(tmp_path, {"webconference.conf": "enter_pin=nowhere.wav\n"}, start=False)
    assert "webconference: prompt enter_pin: there is no file" in told(server)


def test_it_leaves_nothing_behind(tmp_path: Path) -> None:
    """No file is written, no script of the server runs, no port is kept, and the running server does not notice."""
    files = {
        "webconference.conf": f"feedback_file={tmp_path}/feedback\nstats_dir={tmp_path}\n",
        "dsm/system.dsm": f"import(mod_sys); initial state A enter {{ sys.mkdir({tmp_path}/made) }}; state B;\n",
        "dsm.conf": "diag_path=dsm/\nload_diags=lobby,system\nregister_apps=lobby\nrun_system_dsms=system\n",
    }
    server = Server(tmp_path, files, start=False)
    before = sorted(path.name for path in tmp_path.iterdir())
    status, text = check(server, "--ports")
    assert status == 0 and "good" in text, text
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    with server:
        server.start()
        assert (tmp_path / "made").is_dir()
        assert check(server)[0] == 0
        assert server.xml.calls() == 0
