# SPDX-License-Identifier: GPL-2.0-or-later
"""monitoring.conf (spec monitoring.md §1). Without the file no collector runs."""

from __future__ import annotations

from dataclasses import dataclass

from di.kernel.options import option


@dataclass(frozen=True)
class Options:
    """Keys of monitoring.conf."""

    run_garbage_collector: bool = option(False, help="Remove finished records from time to time.")
    garbage_collector_interval: int = option(10, help="How often the collector runs.", unit="s", minimum=1, maximum=86400)
    retain_samples_s: int = option(10, help="How long samples are kept; older ones go when queried.", unit="s", maximum=86400)
    max_records: int = option(
        1_000_000,
        help="Records that functions from outside may make; calls have theirs in any case.",
        minimum=1,
        maximum=100_000_000,
    )
    publish_changes: bool = option(True, help="Write each change into the event log as monitoring.changed.")
