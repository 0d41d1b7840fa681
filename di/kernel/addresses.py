# SPDX-License-Identifier: GPL-2.0-or-later
"""Addresses as sems.conf may give them: an IP, or the name of a network device (spec core.md §3.1)."""

from __future__ import annotations

import errno
import fcntl
import ipaddress
import socket
import struct

from di.kernel.errors import ConfigError

_SIOCGIFADDR = 0x8915


def resolve(text: str, key: str, file: str, line: int) -> str:
    """The IP for an address, a device name or `localhost`. Raises ConfigError when it is none of them."""
    text = text.strip("[]")
    address = address_here(text)
    if address is None:
        names = ", ".join(name for _, name in socket.if_nameindex())
        raise ConfigError(file, line, key, f"{text!r} is neither an IP address nor a device with one; devices here: {names}")
    return address


def address_here(text: str) -> str | None:
    """The IP for an address, which need be none of ours, a device name or `localhost`; None for what is none of them."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return "127.0.0.1" if text == "localhost" else device_address(text)


def device_address(name: str) -> str | None:
    """The IPv4 address of a network device, or None."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            packed = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
        except OSError:
            return None
    return socket.inet_ntoa(packed[20:24])


def probe(ip: str, port: int, *, udp: bool = False) -> None:
    """Bind and let go. Port 0 asks for the address only. Raises OSError."""
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM) as sock:
        if not udp:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that are closing do not hold a listener
        sock.bind((ip, port))
        if port and not udp:
            sock.listen(1)


def bind_hint(ip: str, port: int, error: OSError) -> tuple[bool, str]:
    """Whether the address is to blame rather than the port, and what to say."""
    if error.errno == errno.EADDRNOTAVAIL:
        return True, f"{ip} is no address of this machine; name one that is, or a device"
    if error.errno == errno.EACCES:
        return False, f"port {port} is for root only; take one from 1024 up, or give the program the right (CAP_NET_BIND_SERVICE)"
    reason = error.strerror or str(error)
    return False, f"cannot listen on {ip}:{port} ({reason}); stop the other program or take another port"


def route(ip: str) -> str:
    """The address of ours that packets to another one leave from; empty: there is no route. Sends nothing."""
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect((ip, 9))
            return str(sock.getsockname()[0])
    except OSError:
        return ""
