# SPDX-License-Identifier: GPL-2.0-or-later
"""Counters by name, of a process and of a leg, as the hub gets them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from media.engine.counters import COUNTERS
from media.engine.leg import Leg
from media.engine.leg_table import SOURCE_RELAY
from media.engine.parts import Parts


def process_counters(parts: Parts) -> dict[str, float]:
    """Return the counters of all legs together."""
    rows, connections = parts.legs.rows, parts.connections
    counters: dict[str, float] = {name: int(value) for name, value in zip(COUNTERS, parts.counters, strict=True)}
    counters["legs"] = len(parts.legs)
    counters["packets_relayed"] = parts.relays.passed_on
    counters["rooms"] = len(parts.rooms)
    counters["legs_secure"] = len(parts.secure)
    counters["ports"] = connections.ports
    counters["ports_used"] = connections.ports_used
    counters["packets_sent"] = connections.packets_sent_closed + int(rows["packets_sent"].sum())
    counters |= parts.spans.statistics()
    counters["frames_concealed"] = int(rows["frames_concealed"].sum())
    received, lost = received_and_lost(rows[rows["packets_received"] != 0])
    counters["packets_expected"] = int((received + lost).sum())
    counters["packets_lost"] = int(lost.sum())
    return counters


def received_and_lost(rows: NDArray[np.void]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the packets that have come and those that have not, int64 (rows,), of all streams: a peer may change its SSRC."""
    highest = rows["sequence_max"].astype(np.int64) + (rows["sequence_cycles"].astype(np.int64) << 16)
    received = rows["packets_received"]
    lost = np.maximum(highest - rows["sequence_base"] + 1 - received, 0)
    return received + rows["received_before"], np.where(received != 0, lost, 0) + rows["lost_before"]


def leg_counters(parts: Parts, leg: Leg) -> dict[str, float]:
    """Return the counters of a leg."""
    row = parts.legs.rows[leg.row]
    names = ("bytes_received", "packets_sent", "bytes_sent", "packets_late", "packets_duplicate", "packets_too_long",
             "frames_concealed", "resyncs", "locked", "delay_samples")  # fmt: skip
    counters: dict[str, float] = {name: int(row[name]) for name in names} | parts.secure.counted(row)
    clock_hz = max(int(row["clock_hz"]), 1)
    counters["jitter_us"] = int(row["jitter_q4"]) * 1_000_000 // (16 * clock_hz)
    if row["peer_lost_q8"] >= 0:
        counters["peer_lost_percent"] = int(row["peer_lost_q8"]) * 100 / 256
        counters["peer_jitter_us"] = int(row["peer_jitter"]) * 1_000_000 // clock_hz
    if row["round_trip_us"] >= 0:
        counters["round_trip_us"] = int(row["round_trip_us"])
    counters["relayed"] = int(row["source"] == SOURCE_RELAY)
    received, lost = received_and_lost(parts.legs.rows[leg.row : leg.row + 1])
    counters["packets_received"], counters["packets_lost"] = int(received[0]), int(lost[0])
    return counters
