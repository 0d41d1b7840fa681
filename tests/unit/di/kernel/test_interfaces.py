# SPDX-License-Identifier: GPL-2.0-or-later
"""Interfaces as a table: which one a call out leaves from, where its audio is, and what stands in its SDP."""

from __future__ import annotations

from dataclasses import replace

import pytest

from di.kernel.interfaces import NetInterface, NetInterfaces
from di.kernel.server_options import CoreOptions, interfaces_of
from media.control.records import RtpAddress

IN, OUT, SIX = (
    RtpAddress("10.0.0.1", 20000, 20999),
    RtpAddress("192.0.2.9", 30000, 30999),
    RtpAddress("2001:db8::1", 20000, 20999),
)
MANY = NetInterfaces(
    (
        NetInterface("in", IN, "10.0.0.1"),
        NetInterface("media", RtpAddress("10.0.0.7", 20000, 20999), public_ip="198.51.100.7"),
        NetInterface("out", OUT, "192.0.2.8", 5070, "203.0.113.1"),
        NetInterface("six", SIX, "2001:db8::1", 5060, "[2001:db8::99]"),
        NetInterface("twin", IN, "10.0.0.1", 5080, "gate.example"),
    )
)
ROUTES = {"10.0.0.44": "10.0.0.1", "198.51.100.4": "192.0.2.8", "2001:db8::44": "2001:db8::1", "127.0.0.1": "127.0.0.1"}


def test_those_with_sip_come_first_and_audio_addresses_are_counted_once() -> None:
    assert [one.name for one in MANY.all] == ["in", "out", "six", "twin", "media"]
    assert MANY.rtp == (IN, OUT, SIX, RtpAddress("10.0.0.7", 20000, 20999))
    assert [MANY.rtp_of(number) for number in range(-1, 6)] == [0, 0, 1, 2, 0, 3, 0]


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("10.0.0.44", "in"), ("198.51.100.4", "out"), ("[2001:db8::44]", "six"), ("127.0.0.1", "in"), ("203.0.113.200", "in"),
        ("gw.example", "in"), ("", "in"),
    ],
)  # fmt: skip
def test_the_interface_that_leads_there(host: str, name: str) -> None:
    assert MANY.all[MANY.towards(host, lambda ip: ROUTES.get(ip, ""))].name == name


def test_with_one_nobody_asks_for_a_route() -> None:
    one = interfaces_of(CoreOptions())
    assert one.towards("10.0.0.44", lambda ip: pytest.fail("asked")) == 0 and not one.many


@pytest.mark.parametrize(
    ("name", "rtp", "ip", "shown"),
    [
        ("in", 0, "10.0.0.1", "10.0.0.1"), ("out", 1, "192.0.2.9", "203.0.113.1"), ("six", 2, "2001:db8::1", "2001:db8::99"),
        ("in", 2, "2001:db8::1", "2001:db8::99"), ("six", 0, "10.0.0.1", "10.0.0.1"), ("twin", 0, "10.0.0.1", "10.0.0.1"),
        ("media", 3, "10.0.0.7", "198.51.100.7"),
    ],
)  # fmt: skip
def test_what_stands_in_sdp(name: str, rtp: int, ip: str, shown: str) -> None:
    """A public address of the family; a name does not stand there."""
    number = MANY.named(name, with_sip=False)
    assert number is not None and MANY.shown(number, rtp, ip) == shown


def test_names() -> None:
    assert MANY.named("out") == 1 and MANY.named("media") is None and MANY.named("nobody", with_sip=False) is None
    assert MANY.names() == "in, out, six, twin, media"


@pytest.mark.parametrize(
    ("host", "media_ips", "expected"),
    [
        ("[::1]", ("127.0.0.1", "::1"), True),
        ("[::1]", ("127.0.0.1", ""), False),
        ("10.0.0.1", ("::1", "127.0.0.1"), False),
        ("10.0.0.1", ("::1", ""), True),
        ("phone.example", ("::1", "127.0.0.1"), True),
        ("phone.example", ("127.0.0.1", "::1"), False),
        ("phone.example", ("", ""), False),
    ],
)
def test_the_family_of_a_dialled_calls_audio(host: str, media_ips: tuple[str, ...], expected: bool) -> None:
    known = interfaces_of(replace(CoreOptions(), media_ip=media_ips[0], further_media_ip=media_ips[1]))
    assert known.over_ipv6(0, host) is expected
