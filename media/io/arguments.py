# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line of the media process."""

from __future__ import annotations

import argparse

from media.control.log_lines import STYLES
from media.control.records import RtpAddress
from media.io.loader import DEFAULT_CACHE_BYTES
from media.io.span_links import parse_link
from media.io.writer import DEFAULT_BACKLOG_BYTES


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m media.io.process", description="cordboard's media process")
    parser.add_argument("--fd", type=int, required=True, help="connected Unix stream socket to the hub")
    parser.add_argument(
        "--address",
        type=RtpAddress.parse,
        action="append",
        metavar="IP:LOW-HIGH",
        help="address of RTP with its first RTP and last RTCP port, IPv6 in brackets; may be repeated (127.0.0.1:10000-19999)",
    )
    parser.add_argument("--legs-per-port", type=int, default=512, help="legs that may share one RTP port")
    parser.add_argument("--rest-ms", type=int, default=5000, help="rest of a port or address after its leg has closed")
    parser.add_argument("--latch-window-ms", type=int, default=10000, help="how long a peer's unknown address is waited for")
    parser.add_argument("--idle-ms", type=int, default=60_000, help="how long a port without legs stays open")
    parser.add_argument("--kept-ports", type=int, default=16, help="RTP ports that stay open without legs")
    parser.add_argument("--prompt-cache-mb", type=int, default=DEFAULT_CACHE_BYTES >> 20, help="memory for audio files")
    parser.add_argument(
        "--recording-backlog-kb",
        type=int,
        default=DEFAULT_BACKLOG_BYTES >> 10,
        help="memory for recordings that wait for the disk",
    )
    parser.add_argument("--grace-ms", type=int, default=2000, help="how long to go on without a hub")
    parser.add_argument(
        "--nice", type=int, default=-10, help="priority: a tick should not wait for the hub; needs the right to it"
    )
    parser.add_argument(
        "--span-link",
        type=parse_link,
        action="append",
        default=[],
        metavar="PROCESS:FD",
        help="connected Unix datagram socket to another media process, for rooms that span both; may be repeated",
    )
    parser.add_argument("--log-level", default="INFO", choices=["DEBUG", "INFO", "WARNING", "ERROR"])
    parser.add_argument("--log-format", default="text", choices=STYLES)
    options = parser.parse_args(arguments)
    options.address = options.address or [RtpAddress()]
    return options
