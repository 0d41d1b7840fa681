# SPDX-License-Identifier: GPL-2.0-or-later
"""A real Chromium, driven by Playwright; and people who call in, each with a name and a tone of his own.

Without Chromium a test skips on a desk and fails where the environment variable CI is set.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.support import tones
from tests.support.rtp_peer import Peer, PeerGroup
from tests.support.sipp import SCENARIOS, Sipp

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
)  # fmt: skip


def find_chromium() -> str:
    """The program; without it skips, or fails under CI."""
    found = shutil.which("chromium")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("chromium is missing: install the package chromium")
        pytest.skip("chromium is missing (Debian package chromium)")
    return found


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """A browser with a fresh profile, which is thrown away."""
    program = find_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


class Callers:
    """People on the phone, real calls by sipp with real RTP; their audio runs in a thread of its own."""

    def __init__(self, sip_port: int) -> None:
        self._sip_port = sip_port
        self._folder = tempfile.TemporaryDirectory(prefix="callers-")
        self._group = PeerGroup()
        self._sipps: list[Sipp] = []
        self._stop = threading.Event()
        self._gate = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Callers:
        self._group.__enter__()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join(10)
        self._group.__exit__(kind, error, trace)
        for sipp in self._sipps:
            sipp.__exit__(kind, error, trace)
        self._folder.cleanup()

    def call(self, name: str, user: str, tone_hz: float = 0.0) -> Peer:
        """Call `sip:user@…` with that display name; the call lasts until the server ends it."""
        with self._gate:
            peer = self._group.peer(tone_hz=tone_hz)
        text = (SCENARIOS / "called_off.xml").read_text()
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        assert "]]>" not in quoted, "the scenario's text is CDATA"
        scenario = Path(self._folder.name) / f"caller{len(self._sipps)}.xml"
        scenario.write_text(text.replace('"Caller"', f'"{quoted}"'))
        self._sipps.append(Sipp(scenario, self._sip_port, user=user, media_port_base=peer.port, trace=False, timeout_s=600))
        return peer

    def _run(self) -> None:
        while not self._stop.is_set():
            with self._gate:
                self._group.run_ms(100)
                for peer in self._group.peers:
                    if peer.remote is None and peer.packets:
                        peer.remote = peer.packets[0].source
            time.sleep(0.001)

    def hears(self, peer: Peer, candidates_hz: list[float], length_ms: int = 1000) -> set[float]:
        """Which tones a caller hears from now on."""
        with self._gate:
            peer.forget()
        time.sleep(length_ms / 1000 + 0.2)
        with self._gate:
            return tones.heard(peer.heard(), candidates_hz)
