# SPDX-License-Identifier: GPL-2.0-or-later
"""What the panel costs a browser and the server, with calls up: `python -m tests.benches.bench_panel [CALLS …]`.

Real calls of sipp wait in the lobby, without RTP. Figures of the page are CPU time of its main thread, until the first rows stand there and then
per second while it is looked at, so other load on the machine hardly changes them; the hub's is its CPU for one load of the page.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser

from tests.benches.bench_sip import cpu_us
from tests.support.browser import chromium
from tests.support.server import Server, wait_until
from tests.support.sipp import Sipp

BUDGET_MS = 1000
"""The first page stands there within a second; CPU alone must leave room for the network."""
_LOOK_S = 10
_SNAPSHOT = """async () => {
  const socket = new WebSocket(`ws://${location.host}/ws`);
  await new Promise((done) => socket.onopen = done);
  const length = new Promise((done) => socket.onmessage = ({ data }) => data.includes("events.snapshot") && done(data.length));
  socket.send(JSON.stringify({ jsonrpc: "2.0", id: 1, method: "events.subscribe", params: { snapshot: true } }));
  return await length;
}"""


def page_cost(browser: Browser, server: Server, width: int) -> str:
    """Load the page once and look at it for a while."""
    with browser.new_context(viewport={"width": width, "height": 850}) as context:
        page = context.new_page()
        session = context.new_cdp_session(page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})

        def busy_ms() -> float:
            metrics: list[dict[str, Any]] = session.send("Performance.getMetrics")["metrics"]
            return next(float(metric["value"]) for metric in metrics if metric["name"] == "TaskDuration") * 1000

        before_us, begun_ms = cpu_us(server.pid), busy_ms()
        page.goto(f"http://127.0.0.1:{server.web_port}/")
        page.locator("table.calls tbody tr").first.wait_for(timeout=60_000)
        first_ms, hub_ms = busy_ms() - begun_ms, (cpu_us(server.pid) - before_us) / 1000
        page.wait_for_timeout(2000)
        begun_ms = busy_ms()
        page.wait_for_timeout(_LOOK_S * 1000)
        each_ms = (busy_ms() - begun_ms) / _LOOK_S
        size_kb = page.evaluate(_SNAPSHOT) / 1000
    return (
        f"{width} px: first rows after {first_ms:.0f} ms CPU of the page ({first_ms / BUDGET_MS:.2f} of the budget) and {hub_ms:.0f} ms of the hub; "
        f"then {each_ms:.0f} ms CPU a second; snapshot {size_kb:.0f} kB"
    )


def measure(calls: int) -> None:
    """Print what the page costs with so many calls."""
    settings = f"rtp_low_port=20000\nrtp_high_port=29999\nmax_calls={max(calls, 1000)}\nloglevel=1"
    with (
        tempfile.TemporaryDirectory(prefix="bench-panel-") as folder,
        Server(Path(folder), settings=settings) as server,
        chromium() as browser,
        Sipp("called_off", server.sip_port, calls=calls, rate=60, user="lobby", trace=False, timeout_s=900),
    ):
        wait_until(lambda: server.json("core.statistics")["calls"] >= calls, f"{calls} calls", 120 + calls / 20)
        for width in (1400, 390):
            print(f"{calls} calls, {page_cost(browser, server, width)}", flush=True)


def main() -> None:
    """Measure with each number of calls."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("calls", nargs="*", type=int, default=[10, 1000])
    for calls in parser.parse_args().calls:
        measure(calls)
    print(f"load of the machine: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
