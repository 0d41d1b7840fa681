# SPDX-License-Identifier: GPL-2.0-or-later
"""SEMS's own little programs, by their names and with their output (spec monitoring.md §5.1, §5.2).

    sems-list-calls [--full]            sems-list-finished-calls
    sems-list-active-calls [--full]     sems-get-callproperties <ltag>

All take `--url URL` (default http://localhost:8090) and the variable CORDBOARD_TOKEN.
"""

from __future__ import annotations

import os
import pprint
import sys
from collections.abc import Callable, Sequence

from clients.rpc import RpcError, XmlRpc

DEFAULT_URL = "http://localhost:8090"
_LISTS = {"sems-list-calls": "list", "sems-list-active-calls": "listActive"}
_USAGES = {
    "sems-list-calls": "[--full] [--url <url>]",
    "sems-list-active-calls": "[--full] [--url <url>]",
    "sems-list-finished-calls": "[--url <url>]",
    "sems-get-callproperties": "<ltag> [--url <url>]",
}


class _Usage(Exception):
    pass


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program named by the first argument; returns its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    name = os.path.basename(words[0]) if words else ""
    if name not in _USAGES:
        print(f"usage: one of {', '.join(_USAGES)}", file=sys.stderr)
        return 1
    try:
        url, rest = _url(words[1:])
        with XmlRpc(url, os.environ.get("CORDBOARD_TOKEN", "")) as server:
            _PROGRAMS[name](server, name, rest)
    except _Usage:
        print(f"usage: {name} {_USAGES[name]}", file=sys.stderr)
        return 1
    except (RpcError, ValueError) as error:
        print(f"Error calling {error}", file=sys.stderr)
        return 1
    return 0


def _url(words: list[str]) -> tuple[str, list[str]]:
    if "--url" not in words:
        return DEFAULT_URL, words
    at = words.index("--url")
    if at + 1 >= len(words):
        raise _Usage
    return words[at + 1], words[:at] + words[at + 2 :]


def _show(value: object) -> None:
    pprint.PrettyPrinter(indent=4).pprint(value)


def _list(server: XmlRpc, name: str, words: list[str]) -> None:
    if words not in ([], ["--full"]):
        raise _Usage
    print("Active calls:", server.call("calls"))
    ids = server.call("di", "monitoring", _LISTS[name])
    if not words:
        _show(ids)
        return
    for id in ids:
        try:
            record = server.call("di", "monitoring", "get", id)
        except RpcError:
            continue
        print(f"----- {id} -----")
        _show(record)


def _list_finished(server: XmlRpc, name: str, words: list[str]) -> None:
    if words:
        raise _Usage
    print("Active calls:", server.call("calls"))
    print(server.call("di", "monitoring", "listFinished"))


def _properties(server: XmlRpc, name: str, words: list[str]) -> None:
    if len(words) != 1 or words[0].startswith("--"):
        raise _Usage
    print("Active calls:", server.call("calls"))
    _show(server.call("di", "monitoring", "get", words[0]))


_PROGRAMS: dict[str, Callable[[XmlRpc, str, list[str]], None]] = {
    "sems-list-calls": _list,
    "sems-list-active-calls": _list,
    "sems-list-finished-calls": _list_finished,
    "sems-get-callproperties": _properties,
}


if __name__ == "__main__":
    sys.exit(main())
