# SPDX-License-Identifier: GPL-2.0-or-later
"""`allow_subless_notify`: who has asked for notifications inside a call (RFC 6665 §4.1, RFC 3515 §2.4.4). Pure."""

from __future__ import annotations

_ASKING = ("SUBSCRIBE", "REFER")


class AskedSides:
    """`subless`: notifications pass though nobody has asked."""

    def __init__(self, subless: bool) -> None:
        self._subless = subless
        self._asked: set[str] = set()

    def passes(self, side: str, method: str) -> bool:
        """A request comes from a side, "a" or "b": whether it passes. A NOTIFY that does not is answered 481."""
        if method in _ASKING:
            self._asked.add(side)
        return method != "NOTIFY" or self._subless or bool(self._asked - {side})
