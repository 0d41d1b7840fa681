# SPDX-License-Identifier: GPL-2.0-or-later
"""sipp as a peer: start it with one of `tests/peers/scenarios`, wait, read what it counted.

`place_calls` is the short way for tests that only need callers; `run_sipp` runs any scenario to its end; `Sipp` is for a peer
that runs beside something else (a UAS). Ports are free ones, processes are stopped by their own id. Without sipp a test skips on
a desk and fails where the environment variable CI is set.
"""

from __future__ import annotations

import contextlib
import csv
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import pytest

from tests.support.ports import free_port, free_ports

SCENARIOS = Path(__file__).parent.parent / "peers" / "scenarios"


@dataclass(frozen=True, slots=True)
class SippResult:
    """What sipp counted. `log`: what the scenario wrote.

    `server_ports`: the media port that the server answered with, by the caller's own media port.
    """

    returncode: int
    successful: int
    failed: int
    retransmissions: int
    server_ports: dict[int, int] = field(default_factory=dict)
    messages: str = ""
    errors: str = ""
    log: str = ""


def find_sipp() -> str:
    """The program; without it skips, or fails under CI."""
    found = shutil.which("sipp")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("sipp is missing: install the package sip-tester")
        pytest.skip("sipp is missing (Debian package sip-tester)")
    return found


class Sipp:
    """A running sipp. Use as a context manager, or call `wait` or `stop`. `hold_ms` None: until `hang_up`, however long a busy machine takes.

    In `user`, `%d` becomes the number of the call and `%t` a tenth of it: ten callers of one room. `timed`: `setup_ms` is wanted.
    """

    def __init__(
        self,
        scenario: str | Path,
        remote_port: int = 0,
        *,
        calls: int = 1,
        rate: int = 10,
        hold_ms: int | None = 200,
        user: str = "test",
        media_port_base: int = 40000,
        replace: Mapping[str, str] | None = None,
        remote_ip: str = "127.0.0.1",
        local_port: int = 0,
        local_ip: str = "127.0.0.1",
        transport: str = "u1",
        arguments: Sequence[str] = (),
        trace: bool = True,
        timed: bool = False,
        timeout_s: int = 60,
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="sipp-")
        self._path = Path(self._folder.name)
        self._timeout_s, self._calls, self._local_ip, self._until_told = timeout_s, calls, local_ip, hold_ms is None
        self.local_port = local_port or free_port()
        command = [find_sipp(), "-sf", str(self._scenario(scenario, replace or {})), "-m", str(calls), "-r", str(rate)]
        command += ["-l", str(calls), "-d", str(hold_ms or 0), "-i", local_ip, "-p", str(self.local_port), "-t", transport]
        command += ["-inf", str(self._callers(calls, user, media_port_base)), "-nostdin", "-trace_stat", "-fd", "1"]
        command += ["-stf", "stat.csv", "-trace_logs", "-log_file", "calls.log", "-trace_err", "-error_file", "errors.log"]
        if "-mp" not in arguments:  # it binds this port and the next but one even when it sends no media
            command += ["-mp", str(free_ports(4))]
        command += ["-trace_msg", "-message_file", "messages.log"] if trace else []
        command += ["-trace_rtt", "-rtt_freq", "1"] if timed else []
        command += ["-timeout", str(timeout_s), "-timeout_error", *arguments]
        if remote_port:
            command.append(f"{remote_ip}:{remote_port}")
        environment = {**os.environ, "TERM": "dumb"}
        with (self._path / "screen.log").open("wb") as screen:
            self._process = subprocess.Popen(
                command, cwd=self._path, stdin=subprocess.DEVNULL, stdout=screen, stderr=screen, env=environment
            )

        if not remote_port:
            self._wait_bound(socket.SOCK_STREAM if transport.startswith("t") else socket.SOCK_DGRAM)

    def _wait_bound(self, kind: int) -> None:
        """Wait until a callee has its port: over TCP an early INVITE would be refused, over UDP retransmitted."""
        for _ in range(500):
            with socket.socket(socket.AF_INET, kind) as probe:
                try:
                    probe.bind(("127.0.0.1", self.local_port))
                except OSError:
                    return
            if self._process.poll() is not None:
                return
            time.sleep(0.01)

    def _scenario(self, scenario: str | Path, replace: Mapping[str, str]) -> Path:
        source = scenario if isinstance(scenario, Path) else SCENARIOS / f"{scenario}.xml"
        text = source.read_text()
        for name, value in replace.items():
            text = text.replace(f"@{name}@", value)
        left = re.search(r"@[A-Z]+@", text)
        if left:
            raise ValueError(f"{source.name} wants a replacement for {left.group()}")
        if self._until_told and "<pause/>" in text:
            before, _, behind = text.partition("<pause/>")
            known = '<action><ereg regexp=".+" search_in="hdr" header="To:" assign_to="to"/>'  # `last_To` is that of what tells it to go on
            before, behind = before.replace("<action>", known, 1), behind.replace("[last_To:]", "To: [$to]")
            text = f'{before}<recv request="INFO"/>{behind}'
        target = self._path / "scenario.xml"
        target.write_text(text)
        return target

    def _callers(self, calls: int, user: str, base: int) -> Path:
        path = self._path / "callers.csv"
        names = (user.replace("%d", str(number)).replace("%t", str(number // 10)) for number in range(calls))
        rows = (f"{name};{base + 2 * number}" for number, name in enumerate(names))
        path.write_text("SEQUENTIAL\n" + "".join(row + "\n" for row in rows))
        return path

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    @property
    def answered(self) -> int:
        """How many calls of a scenario that logs CALL have been answered so far."""
        return len(re.findall(r"^CALL ", self._text("calls.log"), re.M))

    @property
    def server_ports(self) -> dict[int, int]:
        """The media port that the server answered with, by the caller's own media port: of calls that have been answered so far."""
        return {int(ours): int(theirs) for ours, theirs in re.findall(r"^CALL (\d+) (\d+)\s", self._text("calls.log"), re.M)}

    @property
    def setup_ms(self) -> list[int]:
        """From INVITE to 200 of each call that has been answered, as sipp's clock has it (steps of 4 ms): of scenarios that measure it."""
        rows = "".join(path.read_text() for path in self._path.glob("*_rtt.csv")).splitlines()
        return [int(float(row.split(";")[1])) for row in rows if row.count(";") == 2 and row[0].isdigit()]

    @property
    def messages(self) -> str:
        """What it has sent and received so far."""
        return self._text("messages.log")

    @property
    def logged(self) -> str:
        """What the scenario has written so far."""
        return self._text("calls.log")

    def hang_up(self, a_second: int = 0) -> None:
        """Every call that is held until this goes on: it hears a request of ours, which it finds by its Call-ID.

        `a_second`: how many of them, so that many calls do not all end in one moment; 0: at once.
        """
        assert self._until_told, "the calls end by themselves: hold_ms"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as teller:
            for number in range(1, self._calls + 1):
                if a_second and number % 10 == 0:
                    time.sleep(10 / a_second)
                call_id = f"{number}-{self.pid}@{self._local_ip}"
                text = (
                    f"INFO sip:now@test SIP/2.0\r\nVia: SIP/2.0/UDP test;branch=z9hG4bK{number}\r\nFrom: <sip:now@test>;tag=1\r\n"
                    f"To: <sip:now@test>;tag=2\r\nCall-ID: {call_id}\r\nCSeq: 1 INFO\r\nContent-Length: 0\r\n\r\n"
                )
                teller.sendto(text.encode(), (self._local_ip, self.local_port))

    def wait(self, seconds: float | None = None) -> SippResult:
        """Wait for the end, so long at most or as long as sipp was given, and read the counters."""
        try:
            self._process.wait(self._timeout_s + 10 if seconds is None else seconds)
        except subprocess.TimeoutExpired:
            self.stop()
        return self._result()

    def stopped(self) -> SippResult:
        """End it now; what it has counted and said by then."""
        self.stop()
        return self._result()

    def stop(self) -> None:
        """End it now, calls or not."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(5)

    def _result(self) -> SippResult:
        counters: dict[str, str] = {}
        path = self._path / "stat.csv"
        if path.exists():
            rows = list(csv.DictReader(path.open(), delimiter=";"))
            counters = rows[-1] if rows else {}
        log = self._text("calls.log")
        result = SippResult(
            self._process.returncode,
            int(counters.get("SuccessfulCall(C)") or 0),
            int(counters.get("FailedCall(C)") or 0),
            int(counters.get("Retransmissions(C)") or 0),
            self.server_ports,
            self._text("messages.log"),
            self._text("errors.log") or self._text("screen.log")[-2000:],
            log,
        )
        self._folder.cleanup()
        return result

    def _text(self, name: str) -> str:
        path = self._path / name
        return path.read_text(errors="replace") if path.exists() else ""

    def __enter__(self) -> Sipp:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._until_told and self.running:  # a test has failed: its calls shall not stay in a server that others use
            self.hang_up()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(10)
        self.stop()
        self._folder.cleanup()


def run_sipp(scenario: str | Path, remote_port: int = 0, **options: object) -> SippResult:
    """Run a scenario to its end; options as `Sipp` takes them."""
    return Sipp(scenario, remote_port, **options).wait()  # type: ignore[arg-type]


def place_calls(
    calls: int, user: str, port: int, hold_ms: int = 500, media_port_base: int = 40000, rate: int = 50, **options: object
) -> SippResult:
    """Place calls to `sip:user@127.0.0.1:port`, each with its own media port (base, base + 2, …), hold, say BYE.

    `%d` in `user` becomes the number of the call.
    """
    return run_sipp("call", port, calls=calls, user=user, hold_ms=hold_ms, media_port_base=media_port_base, rate=rate, **options)
