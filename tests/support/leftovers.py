# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether something is left when many calls are over: gauges that are not back at 0, memory that goes on growing. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prometheus_client.parser import text_string_to_metric_families

NOT_AT_REST = {
    "sems_calls_avg": "an average over the last minute",
    "sems_calls_max": "a maximum since somebody asked for it",
    "sems_cps_max": "likewise",
    "cordboard_ready": "1 when all is well",
    "cordboard_media_cpu": "ticks go on without calls",
    "cordboard_media_tick_lateness_p999_us": "of the last ticks, whatever they had to do",
    "cordboard_media_ports": "some stay open for the next calls; those in use are told apart",
}
"""Gauges of /metrics that need not be 0 without calls, and why."""
GROWTH_SHARE, GROWTH_KB = 0.02, 2048
"""A process whose memory grows by less than one of these is flat: pages come and go."""


def left_over(page: str) -> list[str]:
    """Gauges of a /metrics page that say that something is still there. One that is new is among them unless it is named above."""
    found = []
    for family in text_string_to_metric_families(page):
        if family.type != "gauge" or family.name in NOT_AT_REST or family.name.startswith("process_"):
            continue
        for sample in family.samples:
            if sample.value:
                labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
                found.append(f"{sample.name}{f'{{{labels}}}' if labels else ''} {sample.value:g}")
    return found


def gauges(page: str) -> int:
    """How many of them there are to be looked at."""
    families = text_string_to_metric_families(page)
    return sum(one.type == "gauge" and one.name not in NOT_AT_REST and not one.name.startswith("process_") for one in families)


def growth_kb(parts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    """How much more each process had in the last part than in the first of the last half; nothing for a single part."""
    half = parts[len(parts) // 2 :]
    return {role: half[-1][role] - half[0].get(role, half[-1][role]) for role in half[-1]} if half else {}


def grown(parts: Sequence[Mapping[str, int]]) -> list[str]:
    """Processes whose memory (kB, by process and part) was not flat over the last half of the parts."""
    return [
        f"{role} grew by {kb} kB over the last half, to {parts[-1][role]} kB"
        for role, kb in growth_kb(parts).items()
        if kb > max(GROWTH_KB, GROWTH_SHARE * (parts[-1][role] - kb))
    ]
