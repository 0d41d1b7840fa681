# SPDX-License-Identifier: GPL-2.0-or-later
"""cc_rest.conf. SEMS has none."""

from __future__ import annotations

from dataclasses import dataclass

from di.kernel.options import option


@dataclass(frozen=True)
class Options:
    """Keys of cc_rest.conf."""

    timeout_ms: int = option(
        1500, help="How long to wait for the web server; then the call goes on unchanged.", unit="ms", minimum=50, maximum=30_000
    )
    longest_answer: int = option(64, help="What is longer counts as a failed fetch.", unit="kB", minimum=1, maximum=1024)
