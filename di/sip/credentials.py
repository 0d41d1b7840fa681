# SPDX-License-Identifier: GPL-2.0-or-later
"""Digest credentials of a call out (spec core.md §7.6)."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Credential:
    """Answers a challenge of `realm`; the password is never shown."""

    realm: str
    user: str
    password: str = field(repr=False)
