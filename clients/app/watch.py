# SPDX-License-Identifier: GPL-2.0-or-later
"""A file that is being written, at work: its process is attached to a server, and followed by another one when the file changes.

process 1 ═══ new calls ═══════╗ leaves, ends with its last call
      a file beside it changes ╚═► process 2: imported, ready ═══ new calls ═══►       one that cannot be imported changes nothing
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

_LOOK_S = 0.3
_PATIENCE_S = 30.0
"""How long a file may take until it is ready, its `setup` included."""


def seen(folder: Path) -> Mapping[Path, int]:
    """The files that an application is made of, below a folder of Python files, and when each was written."""
    found = {}
    for pattern in ("*.py", "*.conf", "*/*.py"):
        for path in folder.glob(pattern):
            try:
                found[path] = path.stat().st_mtime_ns
            except OSError:
                continue  # it has just gone
    return found


class Watched:
    """`door`: where to attach. What happens is printed."""

    def __init__(self, file: Path, door: str, name: str, token: str) -> None:
        self._file, self._door, self._name, self._token = file, door, name, token
        self._current: subprocess.Popen[bytes] | None = None
        self._leaving: list[subprocess.Popen[bytes]] = []

    def run(self, follow: bool) -> int:
        """Run until it ends, or Ctrl-C; with `follow` through all changes. Returns the exit status."""
        before = seen(self._file.parent)
        try:
            self._renew()
            while follow or (self._current is not None and self._current.poll() is None):
                time.sleep(_LOOK_S)
                self._leaving = [one for one in self._leaving if one.poll() is None]
                now = seen(self._file.parent) if follow else before
                if now != before:
                    before = now
                    self._renew()
        except KeyboardInterrupt:
            print("no new calls; it ends with its last one (Ctrl-C: at once)", flush=True)
        return self._end()

    def _renew(self) -> None:
        """Start a process; the one before leaves when this one is ready."""
        print(f"{self._file}: {'starting' if self._current is None else 'changed, starting anew'}", flush=True)
        ours, theirs = os.pipe()
        command = [sys.executable, "-m", "clients.app.worker", "--attach", self._door, "--name", self._name, "--exclusive"]
        environment = {**os.environ, "CORDBOARD_TOKEN": self._token}
        new = subprocess.Popen(
            [*command, "--arrows", "--ready-fd", str(theirs), str(self._file)], pass_fds=(theirs,), env=environment
        )
        os.close(theirs)
        with os.fdopen(ours, "rb", buffering=0) as pipe:
            readable, _, _ = select.select([pipe], [], [], _PATIENCE_S)
            ready = bool(readable) and pipe.read(1) == b"1"
        if not ready:
            kept = ", the one before goes on" if self._current is not None else ""
            print(f"{self._file}: it is not taken{kept}", flush=True)
            new.terminate()
            self._leaving.append(new)
            return
        if self._current is not None:
            self._current.send_signal(signal.SIGTERM)
            self._leaving.append(self._current)
        self._current = new

    def _end(self) -> int:
        """Let all leave; returns the status of the one in service."""
        processes = [*self._leaving, *([self._current] if self._current is not None else [])]
        for one in processes:
            if one.poll() is None:
                one.send_signal(signal.SIGTERM)
        try:
            for one in processes:
                one.wait()
        except KeyboardInterrupt:
            for one in processes:
                one.kill()
                one.wait()
        return self._current.returncode if self._current is not None else 1
