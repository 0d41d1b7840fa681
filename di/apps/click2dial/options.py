# SPDX-License-Identifier: GPL-2.0-or-later
"""click2dial.conf."""

from __future__ import annotations

from dataclasses import dataclass

from di.apps.api import option


@dataclass(frozen=True)
class Options:
    """What the first party hears, and how the second one is called."""

    announce_path: str = option(
        "prompts/", help="Folder of the announcements: <host of the first party>/<announcement>.wav, <announcement>.wav."
    )
    default_announce: str = option("default.wav", help="Played where there is no such file; must exist.")
    relay_early_media: bool = option(True, help="The first party hears what the second one's network plays before the answer.")
    ring_time: int = option(0, help="How long the second party may ring; 0: `sip_timer_C`.", unit="s", maximum=3600)
    busy_prompt: str = option("", help="Played to the first party when the second one is busy; empty: none, the call ends.")
    no_answer_prompt: str = option("", help="Played when nobody answers.")
    failed_prompt: str = option("", help="Played when the second party cannot be reached otherwise.")
