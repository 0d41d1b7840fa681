# SPDX-License-Identifier: GPL-2.0-or-later
"""SIP messages as packets of a capture file, and where such a file may be (msg_logger_path). Pure.

The link type is raw IP. A message that came by TCP or TLS stands there as a datagram, too: the file is for reading what was said.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path

import dpkt

from di.apps.api import MessageSeen

_RAW_IP = 101
"""LINKTYPE_RAW of the registry of link types."""
_LONGEST_DATA = 65_000
"""Of a datagram, with its headers; what is longer is cut."""

HEADER_BYTES = 24
_LONGEST_PART = 200


def packet(message: MessageSeen) -> bytes:
    """A message as IP datagram, checksums and all."""
    source, target = ip_address(message.source_ip), ip_address(message.target_ip or _unknown(message.source_ip))
    data = message.data[:_LONGEST_DATA]
    udp = dpkt.udp.UDP(sport=message.source_port, dport=message.target_port, ulen=8 + len(data), data=data)
    if source.version == 6 or target.version == 6:
        ends = {"src": _sixteen(source.packed), "dst": _sixteen(target.packed)}
        return bytes(dpkt.ip6.IP6(**ends, nxt=dpkt.ip.IP_PROTO_UDP, hlim=64, plen=len(udp), data=udp))
    return bytes(dpkt.ip.IP(src=source.packed, dst=target.packed, p=dpkt.ip.IP_PROTO_UDP, ttl=64, len=20 + len(udp), data=udp))


def _unknown(other: str) -> str:
    return "::" if ":" in other else "0.0.0.0"


def _sixteen(packed: bytes) -> bytes:
    return packed if len(packed) == 16 else bytes(10) + b"\xff\xff" + packed


def capture(messages: Iterable[MessageSeen], with_header: bool) -> bytes:
    """Bytes to be appended to a capture file; `with_header`: it is empty so far."""
    room = io.BytesIO()
    writer = dpkt.pcap.Writer(room, linktype=_RAW_IP, snaplen=_LONGEST_DATA + 100)
    if not with_header:
        room.seek(0)
        room.truncate()
    for message in messages:
        writer.writepkt(packet(message), ts=message.epoch_us / 1e6)
    return room.getvalue()


def fixed_folder(pattern: str) -> str:
    """The folder that a path names before its first pattern."""
    return pattern.partition("$")[0].rpartition("/")[0] or "/"


def part_of_name(value: str) -> str:
    """What a pattern gave, as part of a file's name: no folders, no hidden file, and no longer than names are."""
    visible = value.lstrip(".")
    return ("_" * (len(value) - len(visible)) + visible).replace("/", "_")[:_LONGEST_PART]


def is_ours(begin: bytes) -> bool:
    """Whether a file that begins so is a capture file as `capture` makes them, or empty: other ones are not appended to."""
    return begin in (b"", capture((), with_header=True))


def path_of(pattern: str, filled: str) -> Path:
    """The file for a call. Raises ValueError for one that leads out of the folder that the profile names: values come from callers."""
    folder, path = Path(fixed_folder(pattern)), Path(filled)
    if not path.is_absolute():
        raise ValueError(f"{filled!r} is no absolute path")
    if ".." in path.parts or not path.is_relative_to(folder) or path == folder or not filled.isprintable():
        raise ValueError(f"{filled!r} leads out of {folder}")
    return path
