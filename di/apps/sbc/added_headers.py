# SPDX-License-Identifier: GPL-2.0-or-later
"""`append_headers` and its like: header lines that a filled-in profile adds. Pure.

Lines are separated by CR LF. One without a value is dropped (its pattern gave nothing), and one that cannot be sent: a value may have come
from outside.
"""

from __future__ import annotations

import logging

from di.apps.api import header_lines, header_problem

log = logging.getLogger(__name__)


def added(text: str) -> tuple[str, ...]:
    """The lines of a text that can be sent."""
    found = []
    for line in header_lines(text, newline=""):
        if not line.partition(":")[2].strip():
            continue
        if problem := header_problem(line):
            log.warning("sbc: a header of the profile is left out: %s", problem)
        else:
            found.append(line)
    return tuple(found)
