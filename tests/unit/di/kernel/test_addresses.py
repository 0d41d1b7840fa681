# SPDX-License-Identifier: GPL-2.0-or-later
"""Addresses as a configuration gives them: an IP, `localhost` or a device; what is none is named with what there is."""

from __future__ import annotations

import errno
import socket

import pytest

from di.kernel.addresses import address_here, bind_hint, probe, resolve, route
from di.kernel.errors import ConfigError
from interfaces.gateway import bind_address


@pytest.mark.parametrize(
    ("text", "ip"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:DB8::0:1", "2001:db8::1"),
        ("localhost", "127.0.0.1"),
        ("lo", "127.0.0.1"),
        ("nodevice0", None),
        ("192.0.2", None),
        ("", None),
    ],
)
def test_an_address_a_device_or_localhost(text: str, ip: str | None) -> None:
    assert address_here(text) == ip
    if text and ip:
        assert resolve(text, "sip_ip", "sems.conf", 3) == bind_address(text) == ip
    else:
        with pytest.raises(ConfigError, match=r"devices here: .*\blo\b"):
            resolve(text, "sip_ip", "sems.conf", 3)


def test_brackets_are_for_sems_conf_only_and_empty_is_loopback_for_gateways_only() -> None:
    assert resolve("[::1]", "sip_ip", "sems.conf", 3) == "::1" and bind_address("") == "127.0.0.1"
    with pytest.raises(ValueError, match="right is an IP address or the name of a network interface"):
        bind_address("[::1]")


@pytest.mark.parametrize("udp", [False, True])
def test_a_port_that_somebody_has_is_found_taken_and_then_free(udp: bool) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM) as holder:
        holder.bind(("127.0.0.1", 0))
        if not udp:
            holder.listen(1)
        port = holder.getsockname()[1]
        with pytest.raises(OSError) as taken:
            probe("127.0.0.1", port, udp=udp)
        assert bind_hint("127.0.0.1", port, taken.value)[0] is False
    probe("127.0.0.1", port, udp=udp)
    probe("127.0.0.1", port, udp=udp)  # it has let go


def test_an_address_of_somebody_else_is_to_blame_itself() -> None:
    with pytest.raises(OSError) as foreign:
        probe("192.0.2.7", 0, udp=True)
    assert foreign.value.errno == errno.EADDRNOTAVAIL
    to_blame, text = bind_hint("192.0.2.7", 5060, foreign.value)
    assert to_blame and "192.0.2.7 is no address of this machine" in text


def test_the_way_to_this_machine_is_itself() -> None:
    assert (route("127.0.0.9"), route("no address")) == ("127.0.0.1", "")
