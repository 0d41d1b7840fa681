# SPDX-License-Identifier: GPL-2.0-or-later
"""callgen.conf."""

from __future__ import annotations

from dataclasses import dataclass

from di.apps.api import option


@dataclass(frozen=True)
class Options:
    """What generated calls play, and how fast they may come."""

    play_file: str = option("default.wav", help="File that each call plays again and again; must exist.")
    digits_dir: str = option(
        "", help="Folder of 0.wav … 9.wav, s.wav (`*`) and p.wav (`#`), for calls that say digits; empty: none."
    )
    from_host: str = option("callgen.example.net", help="Host of the From header, `sip:callgen@<from_host>`.")
    calls_per_second: int = option(
        50, help="Most calls that are placed within a second, whatever is asked for.", minimum=1, maximum=1000
    )
