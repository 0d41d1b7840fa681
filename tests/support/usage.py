# SPDX-License-Identifier: GPL-2.0-or-later
"""What a process uses, as the kernel counts it."""

from __future__ import annotations

from pathlib import Path


def cpu_us(pid: int) -> float:
    """User and system time of all its threads so far."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e3


def resident_kb(pid: int) -> int:
    """Its memory."""
    return int(Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()[0])
