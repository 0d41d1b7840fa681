# SPDX-License-Identifier: GPL-2.0-or-later
"""Trouble with what calls leave behind, while calls are up: a full disk, a folder that cannot be written, a log that nobody reads any more.

What is said, what goes on, and that nothing is left: the small disk of the test can be unmounted afterwards.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.server import Server, wait_until
from tests.support.sipp import Sipp, place_calls

pytestmark = pytest.mark.peers

CALLS = 50
DISK_BYTES = 512 << 10
RECORDS = """
initial state BEGIN; state ON; state END;
transition "up" BEGIN - sessionStart / { sets($file="@FOLDER@/@(local_tag).wav"); recordFile($file); } -> ON;
transition "gone" (BEGIN, ON) - hangup / stop(false) -> END;
"""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, too small for what the calls record."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("this user may not mount a disk")
    yield folder
    done = subprocess.run(["umount", str(folder)], check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"something is left open there: {done.stderr}"


def open_files(pid: int) -> list[str]:
    """What a process has open, without what it closes meanwhile."""
    names = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            names.append(os.readlink(link))
    return names


def recording_server(folder: Path, records_in: Path) -> Server:
    files = {
        "dsm/records.dsm": RECORDS.replace("@FOLDER@", str(records_in)),
        "dsm.conf": "diag_path=dsm/\nload_diags=records\nregister_apps=records\n",
        "app_mapping.conf": "^sip:announce=>announcement\n.=>records\n",
    }
    return Server(folder, files, "loglevel=2", start=False)


def test_a_full_disk(tmp_path: Path, disk: Path) -> None:
    with recording_server(tmp_path, disk) as server:
        server.start()
        with Sipp("called_off", server.sip_port, calls=CALLS, rate=20, user="x") as calls:
            wait_until(lambda: server.log.count(f"ERROR: recording: {disk}/") >= CALLS, "each recording is told")
            wait_until(lambda: calls.answered == CALLS, "each is up: its phone has the answer")
            assert server.xml.calls() == CALLS  # they go on
            assert place_calls(1, "announce", server.sip_port, hold_ms=500).successful == 1
            for id in server.xml.listActive():
                server.json("core.hangup", id)
            assert calls.wait().successful == CALLS
        wait_until(lambda: server.xml.calls() == 0, "all calls are over")
        told = [line for line in server.log.splitlines() if " media [" in line and "ERROR: recording: " in line]
        assert len(told) == CALLS
        assert all(re.search(rf"recording: {disk}/[0-9A-F-]+\.wav: No space left on device$", line) for line in told), told[:2]
        wait_until(lambda: server.log.count(" ended: ") >= CALLS, "each call's application is told")
        of_calls = [
            line for line in server.log.splitlines() if re.search(r"WARNING: call [0-9A-F-]+: recording .* ended: ", line)
        ]
        assert len(of_calls) == CALLS and all("No space left on device" in line for line in of_calls)
        assert "Traceback" not in server.log
        media = server.children()["media"]
        wait_until(lambda: not [name for name in open_files(media) if str(disk) in name], "files are closed")


@pytest.mark.skipif(os.getuid() != 0, reason="becoming another user needs root")
def test_a_folder_that_cannot_be_written() -> None:
    """Not below pytest's folder: each pytest that starts on the machine takes it from other users again."""
    with tempfile.TemporaryDirectory(prefix="cordboard-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        server = recording_server(folder, folder)
        server.options = ["-u", "nobody"]
        with server:
            server.start()
            assert place_calls(CALLS, "x", server.sip_port, hold_ms=1000).successful == CALLS
            wait_until(lambda: server.xml.calls() == 0, "all calls are over")
            wait_until(lambda: server.log.count("recordFile: exception file") >= CALLS, "each is told")
            told = [line for line in server.log.splitlines() if "recordFile: exception file" in line]
            assert len(told) == CALLS
            assert all(re.search(r"WARNING: call [0-9A-F-]+: \S*records\.dsm:3:\d+: recordFile: ", line) for line in told)
            assert all(f"folder {folder} cannot be written" in line for line in told)


def test_a_log_that_nobody_reads_any_more(tmp_path: Path) -> None:
    """As `cordboard serve | head`: the reader goes. Calls go on, and the stop is an orderly one."""
    server = Server(tmp_path, settings="loglevel=3", start=False)
    with server:
        server.start()
        children = server.children()
        with Sipp("called_off", server.sip_port, calls=CALLS, user="announce", hold_ms=60_000) as calls:
            wait_until(lambda: calls.answered == CALLS, "all calls are up")
            server.close_log()
            assert place_calls(CALLS, "lobby", server.sip_port, hold_ms=500).successful == CALLS
            wait_until(lambda: server.xml.calls() == CALLS, "the others are over, these go on")
            assert server.children() == children
            os.kill(server.pid, signal.SIGTERM)
            assert calls.wait().successful == CALLS
        assert server.process is not None and server.process.wait(30) == 0
    assert not [pid for pid in children.values() if Path(f"/proc/{pid}").exists()]
