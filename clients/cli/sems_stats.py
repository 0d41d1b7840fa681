# SPDX-License-Identifier: GPL-2.0-or-later
"""`sems-stats [-s server] [-p port] [-c command] [-t seconds]`: one command to the statistics server (spec core.md §14.2)."""

from __future__ import annotations

import argparse
import socket
import sys
from collections.abc import Sequence

_MAX_BYTES = 65536


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask and print; the exit status is 1 when no answer comes, 2 when receiving fails."""
    parser = argparse.ArgumentParser("sems-stats", description="Send one command to the statistics server; `which` lists them.")
    parser.add_argument("-s", default="127.0.0.1", metavar="SERVER", help="host (default: %(default)s)")
    parser.add_argument("-p", default=5040, type=int, metavar="PORT", help="UDP port (default: %(default)s)")
    parser.add_argument("-c", default="calls", metavar="COMMAND", help="the command (default: %(default)s)")
    parser.add_argument("-t", default=5, type=float, metavar="SECONDS", help="how long to wait (default: %(default)s)")
    options = parser.parse_args(arguments)
    print(rf"sending '{options.c}\n' to {options.s}:{options.p}", flush=True)
    try:
        answer = ask(options.s, options.p, options.c, options.t)
    except TimeoutError:
        print("read timeout!", file=sys.stderr)
        return 1
    except (OSError, OverflowError) as error:
        print(f"sems-stats: {options.s}:{options.p}: {error}", file=sys.stderr)
        return 2
    print(f"received:\n{answer}")
    return 0


def ask(host: str, port: int, command: str, timeout_s: float) -> str:
    """Send a command, return the answer without its NUL. Raises TimeoutError or another OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(timeout_s)
        sock.connect((host, port))
        sock.send(command.encode("utf-8", "surrogateescape") + b"\n")
        return sock.recv(_MAX_BYTES).rstrip(b"\0").decode("utf-8", "replace")


if __name__ == "__main__":
    sys.exit(main())
