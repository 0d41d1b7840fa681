# SPDX-License-Identifier: GPL-2.0-or-later
"""Addresses as sems.conf may give them: an IP, or the name of a network device (spec core.md §3.1)."""

from __future__ import annotations

import fcntl
import ipaddress
import socket
import struct

from di.kernel.errors import ConfigError

_SIOCGIFADDR = 0x8915


def resolve(text: str, key: str, file: str, line: int) -> str:
    """The IP for an address, a device name or `localhost`. Raises ConfigError when it is none of them."""
    text = text.strip("[]")
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        pass
    if text == "localhost":
        return "127.0.0.1"
    address = device_address(text)
    if address is None:
        names = ", ".join(name for _, name in socket.if_nameindex())
        raise ConfigError(file, line, key, f"{text!r} is neither an IP address nor a device with one; devices here: {names}")
    return address


def device_address(name: str) -> str | None:
    """The IPv4 address of a network device, or None."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            packed = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
        except OSError:
            return None
    return socket.inet_ntoa(packed[20:24])
