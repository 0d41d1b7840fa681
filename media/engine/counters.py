# SPDX-License-Identifier: GPL-2.0-or-later
"""What a media process counts, by index in one array that kernels add to."""

from __future__ import annotations

COUNTERS = (
    "packets_received",
    "packets_dropped_malformed",
    "packets_dropped_stranger",
    "packets_dropped_resting",
    "packets_dropped_payload_type",
    "packets_dropped_not_receiving",
    "packets_late",
    "packets_duplicate",
    "rtcp_received",
    "notes_lost",
    "bytes_received",
    "packets_candidate",
    "rtcp_understood",
    "packets_dropped_too_long",
    "packets_dropped_out_of_time",
    "packets_dropped_not_authentic",
    "packets_dropped_replayed",
    "packets_not_protected",
)
(
    RECEIVED,
    MALFORMED,
    STRANGER,
    RESTED,
    WRONG_TYPE,
    NOT_RECEIVING,
    LATE,
    DUPLICATE,
    RTCP,
    NOTES_LOST,
    BYTES,
    CANDIDATE,
    REPORTS,
    TOO_LONG,
    OUT_OF_TIME,
    NOT_AUTHENTIC,
    REPLAYED,
    NOT_PROTECTED,
) = range(len(COUNTERS))
