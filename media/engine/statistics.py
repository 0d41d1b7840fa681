# SPDX-License-Identifier: GPL-2.0-or-later
"""Counters by name, of a process and of a leg, as the hub gets them."""

from __future__ import annotations

import numpy as np

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
    begun = rows[rows["started"] != 0]
    cycles = begun["sequence_cycles"].astype(np.int64) << 16
    expected = begun["sequence_max"].astype(np.int64) + cycles - begun["sequence_base"] + 1
    counters["packets_expected"] = int(expected.sum())
    counters["packets_lost"] = int(np.maximum(expected - begun["packets_received"], 0).sum())
    return counters


def leg_counters(parts: Parts, leg: Leg) -> dict[str, float]:
    """Return the counters of a leg."""
    row = parts.legs.rows[leg.row]
    names = ("packets_received", "bytes_received", "packets_sent", "bytes_sent", "packets_late", "packets_duplicate", "packets_too_long",
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
    expected = int(row["sequence_max"]) + (int(row["sequence_cycles"]) << 16) - int(row["sequence_base"]) + 1
    counters["packets_lost"] = max(expected - int(row["packets_received"]), 0) if row["started"] else 0
    return counters
