# SPDX-License-Identifier: GPL-2.0-or-later
"""What a media process is told at start. Times in ns as everywhere in the engine."""

from __future__ import annotations

from dataclasses import dataclass

from media.control.records import RtpAddress


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """`addresses`: by their number in OpenLeg · `legs_per_port`: most legs that share an RTP port ·
    `rest_ns`: how long a port or address rests after its leg has closed · `latch_window_ns`: how long an unknown address is waited for ·
    `idle_ns`: how long a port without legs stays open · `kept_ports`: so many stay open all the same, of each address.
    """

    addresses: tuple[RtpAddress, ...] = (RtpAddress(),)
    legs_per_port: int = 512
    rest_ns: int = 5_000_000_000
    latch_window_ns: int = 10_000_000_000
    idle_ns: int = 60_000_000_000
    kept_ports: int = 16
