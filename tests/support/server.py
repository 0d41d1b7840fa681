# SPDX-License-Identifier: GPL-2.0-or-later
"""A whole cordboard server under a test's control: real processes, own ports, own configuration folder, ended by its PID.

with Server(tmp_path) as server:
    server.xml.calls()
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
import xmlrpc.client
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from di.spoken.texts import read_sentences
from di.spoken.tones import melody, write
from tests.support.ports import free_port, free_ports
from tests.support.printed import Printed

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = "monitoring;announcement;webconference;conference;echo;di_dial;dsm;xmlrpc2di;web"
RTP_PORTS = 400
APPS = ROOT / "tests" / "support" / "apps"
WITH_APPS = f"""
import di.apps
from di.__main__ import main
di.apps.__path__.append({str(APPS)!r})
raise SystemExit(main())
"""
"""A program for `Server` that finds the applications of the tests, too."""
START_S = 110.0
"""How long a start may take on a busy machine, where a change of the kernels has them compiled first; below the time limit of a test."""


def wait_until(condition: Callable[[], Any], what: str, seconds: float = 40.0) -> Any:
    """Poll until the condition gives something true; fails naming `what`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds:.0f} s: {what}")


def write_tones(folder: Path) -> None:
    """A folder of prompts as set-up makes it where nothing can speak: melodies that an FFT tells apart, one rate, all languages.

    The files are those of all servers of this process: a test that wants another one takes the old one away (`unlink`) first.
    """
    languages = (folder, folder / "de", folder / "en")
    for language in languages:
        (language / "annrecorder").mkdir(parents=True, exist_ok=True)
    for name, (made, written_ns) in _melodies().items():
        assert made.stat().st_mtime_ns == written_ns, f"a test has written into the {name} of all: it must unlink its own first"
        for language in languages:
            _link(made, language / name)


@functools.cache
def _melodies() -> dict[str, tuple[Path, int]]:
    """All prompts, made once in a process: name → file and when it was written."""
    folder = Path(tempfile.mkdtemp(prefix="cordboard-test-melodies-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    made = {}
    for name in {name for language in ("en", "de") for name in read_sentences(ROOT / "etc" / "prompts" / f"{language}.txt")}:
        path = folder / f"{name}.wav"
        write(path, melody(name))
        made[f"{name}.wav"] = path, path.stat().st_mtime_ns
    return made


def _link(made: Path, path: Path) -> None:
    try:
        os.link(made, path)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EMLINK):
            raise
        shutil.copyfile(made, path)  # the test's folder is on another disk


class Server:
    """`python -m di serve` in a copy of etc/. `files` replaces or adds files there; `settings` are lines put behind sems.conf.

    `environment` is added to the server's own; without `start` the test puts more files there and starts it itself. `program`: Python
    source to run instead of the main module, e.g. `WITH_APPS`. `spoken`: with the prompts that set-up made; else each is its melody.
    """

    def __init__(
        self,
        folder: Path,
        files: Mapping[str, str] | None = None,
        settings: str = "",
        plugins: str = PLUGINS,
        environment: Mapping[str, str] | None = None,
        start: bool = True,
        program: str = "",
        spoken: bool = False,
    ) -> None:
        self._program = ["-c", program] if program else ["-m", "di"]
        self._start = start
        self.options: list[str] = []
        """Further ones of `serve`."""
        self.journal = False
        """Whether its output looks like the system's journal, as systemd would have it."""
        self.environment = dict(environment or {})
        self.etc = folder / "etc"
        shutil.copytree(
            ROOT / "etc", self.etc, ignore=shutil.ignore_patterns("setup", "access.secrets", *([] if spoken else ["*.wav"]))
        )
        if not spoken:
            write_tones(self.etc / "prompts")
        self.sip_port, self.xml_port, self.web_port = free_port(), free_port(), free_port()
        low = free_ports(RTP_PORTS)
        lines = (
            f"sip_ip=127.0.0.1\nsip_port={self.sip_port}\nmedia_ip=127.0.0.1\nrtp_low_port={low}\nrtp_high_port={low + RTP_PORTS - 1}\n"
            f"load_plugins={plugins}\napplication=$(mapping)\nplugin_config_path={self.etc}/\nloglevel=3\n{settings}\n"
        )
        (self.etc / "sems.conf").write_text(lines)
        (self.etc / "xmlrpc2di.conf").write_text(
            f"xmlrpc_port={self.xml_port}\nserver_ip=127.0.0.1\ndirect_export=monitoring;webconference;dsm\n"
        )
        (self.etc / "web.conf").write_text(f"port={self.web_port}\n")
        for name, text in (files or {}).items():
            (self.etc / name).write_text(text)
        self.process: subprocess.Popen[str] | None = None
        self._lines: list[str] = []
        self._printed: Printed | None = None

    # ---------------------------------------------------------------------------------------------------------------- running
    def __enter__(self) -> Server:
        if self._start:
            self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def launch(self) -> None:
        """Start the process without waiting for its banner."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CORDBOARD_")}
        output, theirs = os.pipe()
        if self.journal:
            status = os.fstat(theirs)
            environment["JOURNAL_STREAM"] = f"{status.st_dev}:{status.st_ino}"
        self.process = subprocess.Popen(
            [sys.executable, *self._program, "serve", "-f", str(self.etc / "sems.conf"), *self.options],
            cwd=ROOT,
            env={**environment, **self.environment},
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        self._printed = Printed(output, self._lines)

    def start(self) -> None:
        """Start and wait for the banner."""
        self.launch()
        try:
            wait_until(lambda: "cordboard is up" in self.log or self.status is not None, "the banner", START_S)
        except AssertionError:
            self.end()  # `with` has not begun: nobody else would
            raise
        assert self.status is None, f"the server did not start:\n{self.log}"

    def close_log(self) -> None:
        """Read no more of what it prints: its pipe has no reader from now on."""
        assert self._printed is not None
        self._printed.close()
        os.kill(self.pid, signal.SIGUSR1)  # a line, so that the reader looks up
        self._printed.join(10)

    def forget_log(self) -> None:
        """Before another start."""
        self._lines.clear()

    @property
    def log(self) -> str:
        """All lines that were printed so far."""
        if self._printed is not None:
            self._printed.look()
        return "".join(self._lines)

    @property
    def status(self) -> int | None:
        """Exit status, None while it runs."""
        return self.process.poll() if self.process is not None else None

    @property
    def pid(self) -> int:
        """The hub's process id."""
        assert self.process is not None
        return self.process.pid

    def wait_status(self, seconds: float = 60.0) -> int:
        """Wait for the end and return the exit status."""
        assert self.process is not None
        status = self.process.wait(seconds)
        assert self._printed is not None
        self._printed.join(10)  # all that it printed has been read
        return status

    def end(self) -> None:
        """Stop in order; insist by PID when it does not stop."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(40)
        except subprocess.TimeoutExpired:
            for pid in (*self.children().values(), self.process.pid):
                os.kill(pid, signal.SIGKILL)
            self.process.wait()
            raise AssertionError(f"the server did not stop:\n{self.log[-4000:]}") from None

    def children(self) -> dict[str, int]:
        """Process ids by role: `sip` and `media`."""
        found: dict[str, int] = {}
        for task in Path(f"/proc/{self.pid}/task").glob("*/children"):
            for pid in task.read_text().split():
                command = ""
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just gone
                    command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
                match = re.search(r"interfaces\.(sip)\.process|(media)\.io\.process", command)
                if match:
                    found[match[1] or match[2]] = int(pid)
        return found

    def media_processes(self) -> dict[int, range]:
        """Process ids of the media processes with the RTP ports of each."""
        found: dict[int, range] = {}
        for task in Path(f"/proc/{self.pid}/task").glob("*/children"):
            for pid in task.read_text().split():
                command = ""
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just gone
                    command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
                match = re.search(r"media\.io\.process.*? --address \S+:(\d+)-(\d+)", command)
                if match:
                    found[int(pid)] = range(int(match[1]), int(match[2]) + 1)
        return found

    # -------------------------------------------------------------------------------------------------------------------- RPC
    @property
    def xml(self) -> Any:
        """A Python prompt's view of the server."""
        return xmlrpc.client.ServerProxy(f"http://127.0.0.1:{self.xml_port}/")

    def record_of(self, user: str) -> dict[str, object]:
        """The monitoring record of the call to a user; empty while there is none."""
        for id in self.xml.listActive():
            record = dict(self.xml.di("monitoring", "get", id)[0])
            if f"sip:{user}@" in str(record.get("ruri", "")):
                return record
        return {}

    def json(self, method: str, *params: object) -> Any:
        """Call by JSON-RPC over HTTP as curl does. Raises AssertionError for an error answer."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.web_port}/jsonrpc", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=40) as answer:
            message = json.loads(answer.read())
        assert "error" not in message, message
        return message["result"]
