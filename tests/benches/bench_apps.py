# SPDX-License-Identifier: GPL-2.0-or-later
"""One menu written three times, and what a mad program costs its neighbours.

    python -m tests.benches.bench_apps [calls] [rate] [hold_s]       default: 1000 calls at 200/s that wait 5 s: 1000 at once
    python -m tests.benches.bench_apps mad [seconds]                 default: 5 s of each misbehaviour

A call: INVITE, answer, a prompt, a key by INFO, a farewell of 100 ms, BYE of the server. As a Python application (a process of its own), as a
DSM script, as an application inside the hub. CPU is what the processes used, counted by the kernel, over all calls; sipp is not in it.

Mad programs: a call of each beside four calls of a good one; how late the 20 ms tick began and how long a trivial RPC took meanwhile.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
import urllib.error
from pathlib import Path
from typing import Any

from tests.support.server import WITH_APPS, Server, wait_until
from tests.support.sipp import Sipp
from tests.support.tones import tone, write_wav

PYTHON = """
from clients.app import App, Call

app = App()


@app.call
async def menu(call: Call) -> None:
    await call.answer()
    chosen = await call.menu("menu.wav", {"1": "one"}, tries=1)
    call.log(chosen=chosen)
    await call.play("bye.wav")
"""
DSM = """
import(mod_monitoring);
initial state begin enter {{ playFile({folder}/menu.wav); }};
state chosen;
state end;
transition "a key" begin - key(#key == 1) / {{ flushPlaylist(); monitoring.log(chosen, #key); playFile({folder}/bye.wav); }} -> chosen;
transition "said" chosen - noAudio / stop(true) -> end;
transition "gone" (begin, chosen) - hangup / stop(false) -> end;
"""
MAD = """
import asyncio
import os
import sys
import time
from clients.app import App, Call

app = App()
KEPT = []


@app.call
async def mad(call: Call) -> None:
    await call.answer()
    await globals()["do_" + call.user.partition("-")[2]](call)


async def do_nothing(call: Call) -> None:
    await call.ended()


async def do_block(call: Call) -> None:
    while True:
        pass


async def do_leak(call: Call) -> None:
    while True:
        KEPT.append(bytearray(1 << 20))
        await asyncio.sleep(0)


async def do_raise(call: Call) -> None:
    raise ValueError("mad")


async def do_exit(call: Call) -> None:
    os._exit(1)


async def do_kill(call: Call) -> None:
    os.kill(os.getpid(), 9)


async def do_ops(call: Call) -> None:
    while True:
        for _ in range(1000):
            call.log(n=1)
        await asyncio.sleep(0)


async def do_di(call: Call) -> None:
    while True:
        await asyncio.gather(*(call.worker.di("core", "calls") for _ in range(200)))


async def do_print(call: Call) -> None:
    while True:
        print("mad " * 20)
        await asyncio.sleep(0)


async def do_junk(call: Call) -> None:
    while True:
        for _ in range(1000):
            call.ask("play", {"path": "nothing.wav"})
        await asyncio.sleep(0)
"""
MADNESS = ("nothing", "block", "leak", "raise", "exit", "kill", "ops", "junk", "di", "print")
APPS = {"Python application": "menu", "DSM script": "dsm_menu", "application in the hub": "bench_menu"}


def started(folder: Path) -> Server:
    """A server with all of them."""
    scripts, diagrams = folder / "scripts", folder / "diagrams"
    for one in (scripts, diagrams):
        one.mkdir()
    (scripts / "menu.py").write_text(PYTHON)
    (scripts / "mad.py").write_text(MAD)
    (diagrams / "dsm_menu.dsm").write_text(DSM.format(folder=folder))
    for place in (folder, scripts):
        write_wav(place / "menu.wav", tone(500, 20_000))
        write_wav(place / "bye.wav", tone(700, 100))
    files = {
        "apps.conf": f"script_path={scripts}\nmax_calls=5000\nmemory_mb=1024\n",
        "dsm.conf": f"diag_path={diagrams}\nload_diags=dsm_menu\nregister_apps=dsm_menu\nload_prompts=\nload_prompt_sets=\n",
        "bench_menu.conf": f"folder={folder}\n",
        "app_mapping.conf": "^sip:(menu|dsm_menu|bench_menu|mad)=>\\1\n",
    }
    settings = (
        "log_sessions=no\nloglevel=1\nsip_trusted_requests_per_second=100000\nsip_requests_per_second=100000\ncps_limit=0\n"
    )
    settings += "rtp_low_port=30000\nrtp_high_port=38199\nmax_calls=4000\n"
    plugins = "monitoring;dsm;apps;bench_menu;xmlrpc2di;web"
    return Server(folder, files, settings, plugins=plugins, program=WITH_APPS)


def cpu_s(server: Server) -> dict[str, float]:
    """CPU of each process so far, the program's own among them."""
    used = {str(row["role"]): float(row["cpu_s"]) for row in server.json("status.processes")}
    used["program"] = 0.0
    for row in server.json("apps.workers", "menu"):
        fields = Path(f"/proc/{row['pid']}/stat").read_text().rpartition(")")[2].split()
        used["program"] += (int(fields[11]) + int(fields[12])) / 100
    return used


def load(calls: int, rate: int, hold_s: float) -> None:
    """The three of them in turn, each on a new server."""
    for title, app in [*APPS.items(), *APPS.items()]:
        with tempfile.TemporaryDirectory() as name, started(Path(name)) as server:
            before = cpu_s(server)
            begun_s, most = time.monotonic(), 0
            sipp = Sipp(
                "menu", server.sip_port, calls=calls, rate=rate, hold_ms=round(hold_s * 1000), user=app, trace=False,
                timeout_s=300, media_port_base=20000,
            )  # fmt: skip
            while sipp.running:
                most = max(most, server.xml.calls())
                time.sleep(0.2)
            result = sipp.wait()
            wait_until(lambda server=server: server.xml.calls() == 0, "all are over", 60)  # type: ignore[misc]
            took_s = time.monotonic() - begun_s
            used = {role: 1e6 * (after - before[role]) / calls for role, after in cpu_s(server).items()}
            shares = "   ".join(f"{role} {us:5.0f}" for role, us in used.items())
            print(
                f"  {title:<24} {result.successful}/{calls} calls, {most} at once, {took_s:5.1f} s   "
                f"us of CPU a call: {shares}   all {sum(used.values()):6.0f}   repeats {result.retransmissions}",
                flush=True,
            )
            if result.failed:
                print("   ", "\n    ".join(result.errors.splitlines()[:6]), flush=True)


def quantile(values: list[float], share: float) -> float:
    """Of a list."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def mad(seconds: float) -> None:
    """Each kind of misbehaviour beside four good calls."""
    with tempfile.TemporaryDirectory() as name, started(Path(name)) as server:
        for kind in MADNESS:
            wait_until(lambda: any(one["ready"] for one in server.json("apps.workers", "mad")), "the program is there", 60)
            good = Sipp("menu", server.sip_port, calls=4, rate=20, hold_ms=round(seconds * 1000) + 1500, user="menu", trace=False)
            wait_until(lambda good=good: good.answered == 4, "the good ones are up")
            first = media(server)
            bad = Sipp("call", server.sip_port, calls=1, user=f"mad-{kind}", hold_ms=round(seconds * 1000), trace=False)
            answers_ms: list[float] = []
            end_s = time.monotonic() + seconds
            while time.monotonic() < end_s:
                begun_s = time.perf_counter()
                try:
                    server.json("core.calls")
                except (urllib.error.URLError, TimeoutError, AssertionError):
                    answers_ms.append(10_000.0)
                answers_ms.append((time.perf_counter() - begun_s) * 1e3)
                time.sleep(0.01)
            last = media(server)
            done = good.wait()
            bad.stop()
            late = last["ticks_late"] - first["ticks_late"]
            print(
                f"  {kind:<8} good calls {done.successful}/4   RPC median {quantile(answers_ms, 0.5):6.1f} ms, p99 "
                f"{quantile(answers_ms, 0.99):6.1f}, longest {max(answers_ms):6.1f}   of {last['ticks'] - first['ticks']:4.0f} ticks "
                f"late {late:3.0f}, skipped {last['ticks_skipped'] - first['ticks_skipped']:.0f}",
                flush=True,
            )
            server.xml.calls()
            for row in server.json("apps.workers", "mad"):
                if kind in ("block", "leak", "ops", "junk", "di", "print") and row["pid"]:
                    os.kill(row["pid"], signal.SIGKILL)
            wait_until(lambda: server.xml.calls() == 0, "all are over", 60)


def media(server: Server) -> dict[str, Any]:
    """The media process's figures, newly reported."""
    time.sleep(1.2)
    (only,) = server.json("status.media")
    return dict(only)


def main() -> None:
    """Run what is asked for."""
    if sys.argv[1:2] == ["mad"]:
        mad(float(sys.argv[2]) if len(sys.argv) > 2 else 5.0)
        return
    numbers = [float(text) for text in sys.argv[1:]]
    calls, rate, hold_s = [*numbers, *[1000, 200, 5][len(numbers) :]]
    load(int(calls), int(rate), hold_s)


if __name__ == "__main__":
    main()
