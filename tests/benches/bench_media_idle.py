# SPDX-License-Identifier: GPL-2.0-or-later
"""What an idle media process costs after a peak: CPU share of a core without a call, once every leg of the peak had a port of its own.

.venv/bin/python tests/benches/bench_media_idle.py [LEGS] [SECONDS]
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from media.control.records import CloseLeg, LegOpened, OpenLeg
from tests.support.media_server import MediaServer


def cpu_s(pid: int) -> float:
    """CPU time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def share_percent(server: MediaServer, seconds: float) -> float:
    """Share of a core over so many seconds."""
    before, begun = cpu_s(server.process.pid), time.monotonic()
    time.sleep(seconds)
    return 100 * (cpu_s(server.process.pid) - before) / (time.monotonic() - begun)


def main() -> None:
    legs, seconds = (int(sys.argv[i]) if len(sys.argv) > i else default for i, default in ((1, 400), (2, 20)))
    with MediaServer("--rest-ms", "500", ports=2 * legs + 200) as server:
        time.sleep(2)
        fresh = share_percent(server, seconds / 2)
        for number in range(1, legs + 1):  # the peer is not known yet: each has a port
            server.send(OpenLeg(number))
            server.wait_for(LegOpened, leg=number)
        server.send(*(CloseLeg(number) for number in range(1, legs + 1)))
        time.sleep(3)
        ports = int(server.statistics()["ports"])
        after = share_percent(server, seconds)
    print(
        f"media process: {fresh:.2f} % of a core before its first call, {after:.2f} % idle after a peak that opened {ports} ports"
    )


if __name__ == "__main__":
    main()
