# SPDX-License-Identifier: GPL-2.0-or-later
"""A day of operating the real program: what it prints, its options, its log, a reload; as an operator sees it."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.support.baresip import module_folder
from tests.support.ports import free_port, free_ports
from tests.support.server import ROOT, Server, wait_until
from tests.support.sipp import Sipp, place_calls

pytestmark = pytest.mark.peers

NOBODY = 65534


def cordboard(*arguments: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("CORDBOARD_")}
    return subprocess.run(
        [sys.executable, "-m", "di", *arguments],
        cwd=cwd, env={**ours, "PYTHONPATH": str(ROOT), **environment}, capture_output=True, text=True, check=False, timeout=110,
    )  # fmt: skip


def over(server: Server) -> list[str]:
    """The lines of calls that are over."""
    return [line for line in server.log.splitlines() if ": over: " in line]


# ----------------------------------------------------------------------------------------------------------------- the commands
def test_the_command_alone_prints_its_help() -> None:
    done = cordboard()
    assert done.returncode == 0 and done.stdout.startswith("usage: cordboard COMMAND") and not done.stderr
    unknown = cordboard("nonsense")
    assert unknown.returncode == 1 and "there is no command 'nonsense'" in unknown.stderr


def test_banner_and_tools_say_where_this_server_is(tmp_path: Path) -> None:
    mapping = "^sip:(mail|post)=>announcement\n^sip:echo@=>echo\n^sip:[0-9]{4}@=>webconference\n"
    plugins = (
        "monitoring;announcement;webconference;conference;echo;di_dial;\\\n  dsm;xmlrpc2di; \\\n\tweb"  # as on the 2009 slides
    )
    with Server(tmp_path, {"app_mapping.conf": mapping}, "application=$(app_mapping)", plugins) as server:
        wait_until(lambda: "docs/" in server.log, "the whole banner")
        place = f"127.0.0.1:{server.sip_port}"
        for text in (
            f"SIP       {place} (udp,tcp)",
            f"sip:mail1@{place} → announcement",
            f"sip:echo@{place} → echo",
            "^sip:[0-9]{4}@ → webconference",
            f"modules   are configured in {server.etc}",
        ):
            assert text in server.log
        file = ("-f", str(server.etc / "sems.conf"))
        assert cordboard("rpc", *file, "calls").stdout == "0\n"
        assert json.loads(cordboard("rpc", *file, "core.get_loglevel").stdout) == [3]
        assert cordboard("top", *file, "--once").stdout.startswith("calls 0 ")
        missing = cordboard("rpc", *file, "core.post_event", "x")
        assert missing.returncode == 1 and "missing: params; right is core.post_event(call, params)" in missing.stderr
        exported = cordboard("rpc", *file, "postDSMEvent", "x")
        assert exported.returncode == 1 and "missing: pairs; right is dsm.postDSMEvent(session_id, pairs)" in exported.stderr
        elsewhere = cordboard("rpc", "calls", cwd=tmp_path)  # etc/sems.conf there is this server's
        assert elsewhere.stdout == "0\n"
    gone = cordboard("rpc", *file, "calls")
    assert gone.returncode == 1 and f"http://127.0.0.1:{server.xml_port}: Connection refused" in gone.stderr


def test_who_is_in_a_room_is_who_is_there_now(tmp_path: Path) -> None:
    """Not who left within the collector's ten seconds; SEMS's answers to `list` and `get` stay."""
    with Server(tmp_path) as server, Sipp("call", server.sip_port, calls=2, user="room7", hold_ms=60_000) as sipp:
        there = wait_until(lambda: len(server.xml.listByFilter(["conf_id", "room7"])) == 2, "both are in the room")
        ids = server.xml.listByFilter(["conf_id", "room7"])
        assert there and server.xml.di("core", "hangup", ids[0]) == [200, "OK"]
        wait_until(lambda: server.xml.calls() == 1, "one has gone")
        wait_until(lambda: server.xml.listByFilter(["conf_id", "room7"]) == [ids[1]], "the other one is left")
        assert sorted(server.xml.di("monitoring", "list")) == sorted(ids)
        assert server.xml.di("monitoring", "get", ids[0])[0]["conf_id"] == "room7"
        sipp.stop()


# ----------------------------------------------------------------------------------------------------------------- users, start
def compile_kernels() -> str:
    """What set-up does; what numba says of its cache when it is done once more."""
    command = [sys.executable, "-m", "media.engine.warm"]
    subprocess.run(command, cwd=ROOT, check=True, timeout=110)
    environment = {**os.environ, "NUMBA_DEBUG_CACHE": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, check=True, timeout=60, capture_output=True, text=True).stdout


def taken_from_the_cache(text: str) -> Counter[str]:
    """How often each file of machine code was."""
    return Counter(re.findall(r"\[cache\] data loaded from '([^']+)'", text))


@pytest.mark.skipif(os.getuid() != 0, reason="becoming another user needs root")
def test_another_user_without_a_home_starts_at_once_and_its_pid_file_is_written() -> None:
    with tempfile.TemporaryDirectory(prefix="cordboard-") as name:
        folder, run = Path(name), Path(name, "run")
        folder.chmod(0o755)
        run.mkdir(mode=0o755)
        server = Server(folder)
        pid_file = run / "cordboard.pid"
        server.options = ["-u", "nobody", "-g", str(NOBODY), "-P", str(pid_file)]
        server.environment.update(HOME="/nonexistent", NUMBA_DEBUG_CACHE="1", PYTHONUNBUFFERED="1")
        compiled = taken_from_the_cache(compile_kernels())
        with server:
            assert pid_file.read_text() == f"{server.pid}\n"
            for pid in (server.pid, *server.children().values()):
                status = Path(f"/proc/{pid}/status").read_text()
                assert re.search(r"^Uid:\t65534\t65534", status, re.MULTILINE)
            names = {role: Path(f"/proc/{pid}/comm").read_text().strip() for role, pid in server.children().items()}
            assert names == {"sip": "cordboard-sip", "media": "cordboard-media"}
            assert Path(f"/proc/{server.pid}/comm").read_text() == "cordboard\n"
            assert place_calls(1, "announce", server.sip_port).successful == 1
            os.kill(server.children()["media"], signal.SIGKILL)
            wait_until(lambda: "the media process is up again" in server.log, "the media process is back")
        assert pid_file.read_text() == ""  # it may not remove it there
        taken = taken_from_the_cache(server.log)
        assert compiled and {name: taken[name] for name in compiled} == dict.fromkeys(compiled, 2), (
            "kernels are compiled at a start"
        )


def test_options_that_cannot_be_done_are_named(tmp_path: Path) -> None:
    server = Server(tmp_path)
    file = ("serve", "-f", str(server.etc / "sems.conf"))
    for options, wanted in (
        (("-u", "nobody-of-that-name"), "cordboard: -u nobody-of-that-name: there is no such user"),
        (("-g", "no-such-group"), "cordboard: -g no-such-group: there is no such group"),
        (
            ("-P", f"{tmp_path}/nowhere/pid"),
            f"cordboard: -P {tmp_path}/nowhere/pid: cannot be written (No such file or directory)",
        ),
    ):
        done = cordboard(*file, *options)
        assert (done.returncode, done.stderr.splitlines()[-1]) == (1, wanted)


@pytest.mark.parametrize("after_s", [0.2, 0.4, 0.6, 0.9, 1.2, 1.6, 2.0, 2.5])
def test_ctrl_c_during_the_start_leaves_no_traceback_and_no_process(tmp_path: Path, after_s: float) -> None:
    server = Server(tmp_path)
    server.launch()
    time.sleep(after_s)
    children = server.children()
    os.kill(server.pid, signal.SIGINT)
    assert server.wait_status(60) in (0, -signal.SIGINT), server.log
    for text in ("Traceback", "Task was destroyed", "never retrieved", "KeyboardInterrupt"):
        assert text not in server.log, server.log
    wait_until(lambda: not [pid for pid in children.values() if Path(f"/proc/{pid}").exists()], "children gone")


# --------------------------------------------------------------------------------------------------------------------- the log
def test_each_call_leaves_one_line(tmp_path: Path) -> None:
    with Server(tmp_path, settings="loglevel=2") as server:
        assert place_calls(1, "echo", server.sip_port, hold_ms=3000).successful == 1
        (line,) = wait_until(lambda: over(server), "its line")
        wanted = r"hub \[\d+/end_lines\.py:\d+\] INFO: call [0-9A-F-]+: over: in, echo, .*<sip:.*> to sip:echo@127\.0\.0\.1\S*, "
        said = re.search(wanted + r"(\d+\.\d) s, BYE of the peer, (no packet came|\d+ of \d+ packets lost)", line)
        assert said is not None and float(said[1]) > 1, line
        assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} hub \[", line)


def test_the_line_comes_without_its_numbers_when_the_media_process_is_gone(tmp_path: Path) -> None:
    with Server(tmp_path, settings="loglevel=2") as server:
        with Sipp("called_off", server.sip_port, calls=3, user="announce", hold_ms=60_000) as sipp:
            wait_until(lambda: sipp.answered == 3, "three calls")
            os.kill(server.children()["media"], signal.SIGKILL)
            wait_until(lambda: len(over(server)) == 3, "three lines")
        assert all("ended here (media process lost)" in line for line in over(server)), over(server)


def test_json_from_all_processes(tmp_path: Path) -> None:
    with Server(tmp_path, settings="log_format=json\nloglevel=2") as server:
        assert place_calls(1, "echo", server.sip_port).successful == 1
        wait_until(lambda: '"over: in, echo' in server.log, "the call's line")
        os.kill(server.children()["media"], signal.SIGTERM)
        wait_until(lambda: "is up again" in server.log, "the media process is back")
    lines = [json.loads(line) for line in server.log.splitlines() if line.startswith("{")]
    plain = [line for line in server.log.splitlines() if not line.startswith("{")]
    assert plain and all(line.startswith(("cordboard is up", "  ")) for line in plain), plain  # the banner alone
    assert {line["process"] for line in lines} >= {"hub", "sip"}
    (call,) = [line for line in lines if line["message"].startswith("over: ")]
    assert re.fullmatch(r"[0-9A-F-]+", call["call"]) and call["level"] == "info"


def test_the_journal_gets_priorities(tmp_path: Path) -> None:
    """As under systemd: stderr is a socket or pipe that JOURNAL_STREAM names."""
    server = Server(tmp_path, settings="tls_prot=1")
    server.journal = True
    with server:
        os.kill(server.children()["sip"], signal.SIGKILL)
        wait_until(
            lambda: "the SIP process is up again" in server.log or "the sip process is up again" in server.log, "it is back"
        )
    lines = [line for line in server.log.splitlines() if " [" in line]
    assert all(re.match(r"<[3467]>(hub|sip|media) \[", line) for line in lines), lines
    assert any(line.startswith("<4>hub") and "unknown key tls_prot" in line for line in lines)
    assert any(line.startswith("<3>hub") and "process is lost" in line for line in lines)
    assert any(line.startswith("<6>hub") and "plug-in echo is loaded" in line for line in lines)


SILENT = """
import(mod_redis);
initial state ASK enter {
  redis.connect(redis://tcp:127.0.0.1;port=@PORT@);
  redis.execCommand(result, GET messages);
  playFile(you_have_messages.wav);
};
transition "gone" ASK - hangup / stop(false) -> END;
transition "key" ASK - key / redis.execCommand(result, GET messages) -> ASK;
state END;
"""


def test_nothing_fails_silently_in_a_script(tmp_path: Path) -> None:
    """A database that is down, a prompt that is not there, neither looked at by the script: the call's id, the line, the cause; once."""
    files = {
        "dsm/silent.dsm": SILENT.replace("@PORT@", str(free_port())),
        "dsm.conf": "diag_path=dsm/\nload_diags=silent\nregister_apps=silent\n",
        "app_mapping.conf": ".*=>silent\n",
    }
    with Server(tmp_path, files, "loglevel=1") as server:
        assert place_calls(1, "x", server.sip_port, hold_ms=1000).successful == 1
        wait_until(lambda: server.xml.calls() == 0, "the call is over")

        def warnings(text: str) -> list[str]:
            return [line for line in server.log.splitlines() if "WARNING: call " in line and text in line]

        (connect,) = wait_until(lambda: warnings("redis.connect: connection: cannot connect to 127.0.0.1"), "the connection")
        assert re.search(r"WARNING: call [0-9A-F-]+: \S*silent\.dsm:4:3: redis\.connect: connection: ", connect)
        (command,) = wait_until(lambda: warnings("redis.execCommand: connection: there is no connection"), "the command")
        assert "silent.dsm:5:3" in command
        (prompt,) = wait_until(
            lambda: warnings("playFile: exception file: path 'you_have_messages.wav', text 'there is no "), "the prompt"
        )
        assert "silent.dsm:6:3" in prompt and prompt.endswith("no transition takes it")


def test_a_database_that_is_down_is_told_of_the_presentations_program(tmp_path: Path) -> None:
    """As on the slide, which looks at nothing and plays on: who operates it hears of it, without the password."""
    slide = (ROOT / "tests/vectors/dsm/presentation_2009_mysql.dsm").read_text()
    files = {
        "dsm/slide.dsm": slide.replace("user:pwd@domain/db", f"user:pwd@127.0.0.1:{free_port()}/db"),
        "dsm.conf": "diag_path=dsm/\nload_diags=slide\nregister_apps=slide\n",
        "app_mapping.conf": ".*=>slide\n",
    }
    with Server(tmp_path, files, "loglevel=1") as server:
        (server.etc / "hello.wav").write_bytes((server.etc / "prompts" / "beep.wav").read_bytes())
        assert place_calls(1, "stefan", server.sip_port, hold_ms=1000).successful == 1
        told = wait_until(
            lambda: len(found := [line for line in server.log.splitlines() if "mysql." in line]) >= 2 and found, "the warnings"
        )
        assert re.search(r"WARNING: call [0-9A-F-]+: \S*slide\.dsm:8:5: mysql\.connect: connection: ", told[0]), told
        assert len(told) == 2 and "slide.dsm:9:5: mysql.queryGetResult: connection: there is no database connection" in told[1]
        assert "pwd" not in server.log


# ------------------------------------------------------------------------------------------------------------------- reloading
def test_sighup_reads_anew_and_ends_no_call(tmp_path: Path) -> None:
    with (
        Server(tmp_path, settings="loglevel=1") as server,
        Sipp("call", server.sip_port, calls=2, user="lobby", hold_ms=60_000) as sipp,
    ):
        wait_until(lambda: sipp.answered == 2, "two calls")
        before = server.children()
        (server.etc / "app_mapping.conf").write_text("^sip:new=>fresh\n" + (server.etc / "app_mapping.conf").read_text())
        (server.etc / "dsm" / "fresh.dsm").write_text(
            'initial state HALL; state END;\ntransition "gone" HALL - hangup / stop(false) -> END;\n'
        )
        conf = (server.etc / "dsm.conf").read_text()
        conf = conf.replace("load_diags=lobby", "load_diags=lobby,fresh").replace(
            "register_apps=lobby", "register_apps=lobby,fresh"
        )
        (server.etc / "dsm.conf").write_text(conf)
        sems = (server.etc / "sems.conf").read_text()
        (server.etc / "sems.conf").write_text(sems.replace("loglevel=1", "loglevel=3") + "max_calls=99\n")
        os.kill(server.pid, signal.SIGHUP)
        wait_until(lambda: "no call was touched" in server.log, "the reload")
        wait_until(lambda: re.search(r"sems\.conf:\d+: max_calls has changed; that needs a restart", server.log), "its line")
        assert server.xml.di("core", "get_loglevel") == 3
        for process in ("sip", "media"):
            wait_until(lambda process=process: re.search(rf" {process} \[.* INFO: log level is now INFO", server.log), process)
        assert place_calls(1, "new", server.sip_port, hold_ms=500).successful == 1
        assert any(", fresh, " in line for line in wait_until(lambda: over(server), "the new call's line"))
        assert (server.xml.calls(), server.children()) == (2, before)


def test_sighup_keeps_what_was_good_where_the_new_is_bad(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        mapping = (server.etc / "app_mapping.conf").read_text()
        (server.etc / "app_mapping.conf").write_text(mapping + "(=>echo\n")
        os.kill(server.pid, signal.SIGHUP)
        wait_until(
            lambda: re.search(r"ERROR: reload: .*app_mapping\.conf:\d+: .*everything stays as it was", server.log), "the fault"
        )
        (server.etc / "app_mapping.conf").write_text(mapping)
        (server.etc / "dsm" / "lobby.dsm").write_text("initial state A enter { playFile(x };\n")
        (server.etc / "announcement.conf").write_text("announce_path=prompts/\ndefault_announce=nowhere.wav\n")
        os.kill(server.pid, signal.SIGHUP)
        wait_until(lambda: "no call was touched" in server.log, "the reload")
        for module, place in (("dsm", r"lobby\.dsm:1:"), ("announcement", r"announcement\.conf:2: default_announce")):
            assert re.search(rf"ERROR: reload: .*{place}.*", server.log)
            assert f"{module} goes on with what it had" in server.log
        for user in ("announce", "lobby"):
            assert place_calls(1, user, server.sip_port, hold_ms=300).successful == 1
        assert "Traceback" not in server.log


# -------------------------------------------------------------------------------------------------------------------- README
def test_the_readmes_phone_line_works_as_printed(tmp_path: Path) -> None:
    """Only the port is this server's, and the phone's sound card one that this machine has: none."""
    (line,) = re.findall(r"^baresip .*$", (ROOT / "README.md").read_text(), re.MULTILINE)
    folder = tmp_path / "phone"
    folder.mkdir()
    modules = module_folder()
    (folder / "config").write_text(
        f"module_path {modules}\nmodule g711.so\nmodule aubridge.so\nmodule_tmp uuid.so\nmodule_tmp account.so\nmodule_app menu.so\n"
        f"audio_source aubridge,nowhere\naudio_player aubridge,nowhere\naudio_alert aubridge,nowhere\nsip_listen 127.0.0.1:{free_ports(2)}\n"
    )
    for name in ("accounts", "contacts"):
        (folder / name).write_text("")
    with Server(tmp_path, settings="loglevel=2") as server:
        arguments = shlex.split(line.replace("@127.0.0.1'", f"@127.0.0.1:{server.sip_port}'"))
        done = subprocess.run(
            [*arguments, "-f", str(folder), "-t", "6"], stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60
        )
        told = wait_until(lambda: over(server), f"its call, of\n{done.stdout.decode()}")
    assert len(told) == 1 and "announcement, <sip:me@127.0.0.1> to sip:announce@127.0.0.1" in told[0]
    seconds = re.search(r", (\d+\.\d) s, ", told[0])
    assert seconds is not None and float(seconds[1]) > 1.5, told
