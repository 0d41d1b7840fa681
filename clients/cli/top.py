# SPDX-License-Identifier: GPL-2.0-or-later
"""`cordboard top`: watch a running server: counters, and the calls with what they log."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from collections.abc import Sequence
from typing import Any

from clients.cli.rpc import CONFIGURATION, JSON_URL, FindUrls, urls
from clients.rpc import CallError, JsonRpc, RpcError

_CLEAR = "\x1b[H\x1b[2J"
_COLUMNS = ("app", "dir", "from", "to", "conf_id", "dsm_state")
_WIDTHS = (14, 4, 26, 26, 12, 14)


def main(argv: Sequence[str] | None = None, find_urls: FindUrls | None = None) -> int:
    """Run the command until Ctrl-C; returns 1 when the server does not answer. `find_urls` reads what `-f` names."""
    parser = argparse.ArgumentParser("cordboard top", description="Watch a running server.")
    parser.add_argument(
        "-f", dest="file", metavar="FILE", help=f"the server's configuration, which says its port ({CONFIGURATION})"
    )
    parser.add_argument("--url", default="", help=f"the port to call, or CORDBOARD_URL (without either {JSON_URL})")
    parser.add_argument("--token", default=os.environ.get("CORDBOARD_TOKEN", ""), help="a token; better in CORDBOARD_TOKEN")
    parser.add_argument("-n", "--interval", type=float, default=2.0, metavar="SECONDS", help="time between two looks")
    parser.add_argument("--once", action="store_true", help="look once; also when the output is no terminal")
    arguments = parser.parse_args(argv)
    once = arguments.once or not sys.stdout.isatty()
    try:
        with JsonRpc(urls(arguments.url, arguments.file, find_urls)["json"], arguments.token) as server:
            while True:
                lines = screen(server, shutil.get_terminal_size((120, 40)))
                print(("" if once else _CLEAR) + "\n".join(lines), flush=True)
                if once:
                    return 0
                time.sleep(max(arguments.interval, 0.2))
    except KeyboardInterrupt:
        return 0
    except (RpcError, ValueError) as error:
        print(f"cordboard top: {error}", file=sys.stderr)
        return 1


def screen(server: JsonRpc, size: os.terminal_size) -> list[str]:
    """What is shown: a line of counters, the names of the columns, a line a call. Raises RpcError."""
    numbers = server.call("core.statistics")
    try:
        ids = server.call("monitoring.listActive")
    except CallError as error:
        ids = []
        note = f"no list of calls: {error}"
    else:
        note = ""
    shown = ids[-(size.lines - 5) :] if size.lines > 5 else []
    records = server.batch([("monitoring.get", [id]) for id in shown])
    lines = [summary(numbers), generated(server)]
    lines.append(note or row("id", _COLUMNS))
    for id, record in zip(shown, records, strict=True):
        found = record[0] if isinstance(record, list) and record and isinstance(record[0], dict) else {}
        lines.append(row(id, tuple(plain(found.get(name, "")) for name in _COLUMNS)))
    if len(ids) > len(shown):
        lines.append(f"… and {len(ids) - len(shown)} more")
    return [line[: size.columns] for line in lines]


def generated(server: JsonRpc) -> str:
    """How far the load generator is; empty where there is none, or it has nothing to do."""
    try:
        found = server.call("callgen.status")
    except CallError:
        return ""
    if not (found.get("active") or found.get("target") or found.get("scheduled")):
        return ""
    ends = ", ".join(f"{plain(name)} {count}" for name, count in sorted(found.get("results", {}).items()))
    text = f"generated calls {found['active']} of {found['target'] or found['active'] + found['scheduled']}   placed {found['total']}"
    return text + (f"   refused {found['refused']}" if found["refused"] else "") + (f"   over: {ends}" if ends else "")


def summary(numbers: dict[str, Any]) -> str:
    """The counters in one line."""
    limit = numbers.get("session_limit")
    parts = [
        f"calls {numbers.get('calls', '?')}" + (f" of {limit}" if limit else ""),
        f"most {numbers.get('calls_max', '?')}",
        f"since start {numbers.get('sessions', '?')}",
        f"calls/s {numbers.get('cps', '?')}",
        f"rooms {numbers.get('rooms', '?')}",
    ]
    if numbers.get("shutdown_mode"):
        parts.append("SHUTDOWN MODE: new calls are refused")
    return "   ".join(parts)


def row(id: str, values: Sequence[str]) -> str:
    """One line of the table."""
    cells = [f"{value[:width]:<{width}}" for value, width in zip(values, _WIDTHS, strict=True)]
    return f"{id[:34]:<34}  " + "  ".join(cells)


def plain(value: object) -> str:
    """A value without control characters: what callers put into headers must not steer the terminal."""
    return "".join(character if character.isprintable() else "·" for character in str(value))


if __name__ == "__main__":
    sys.exit(main())
