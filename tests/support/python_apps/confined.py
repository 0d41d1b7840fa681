# SPDX-License-Identifier: GPL-2.0-or-later
"""What a process of an application may do, told by itself. The application of tests/peers/test_apps_confined.py."""

from __future__ import annotations

import os
import resource
from pathlib import Path

from clients.app import App, Call

app = App()
KEPT: list[bytearray] = []


@app.di_method
def rights(path: str) -> dict[str, str]:
    """Who the process is, and what becomes of reading a file."""
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    try:
        read = str(len(Path(path).read_text()))
    except OSError as error:
        read = type(error).__name__
    return {
        "uid": str(os.getuid()),
        "groups": " ".join(map(str, os.getgroups())),
        "no_new_privs": status["NoNewPrivs"].strip(),
        "effective": status["CapEff"].strip(),
        "files": str(resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
        "core": str(resource.getrlimit(resource.RLIMIT_CORE)[0]),
        "nice": str(os.nice(0)),
        "read": read,
    }


@app.di_method
def write(path: str, megabytes: int) -> str:
    """Write a long file; how that ends."""
    try:
        with open(path, "wb") as file:
            for _ in range(megabytes):
                file.write(bytes(1 << 20))
    except OSError as error:
        return type(error).__name__
    return "written"


@app.call
async def confined(call: Call) -> None:
    """`leak` takes memory until there is none."""
    await call.answer()
    if call.user.endswith("leak"):
        while True:
            KEPT.append(bytearray(16 << 20))
    await call.ended()
