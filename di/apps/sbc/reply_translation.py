# SPDX-License-Identifier: GPL-2.0-or-later
"""`reply_translations`: `from=>code reason`, separated by `|` (spec applications.md §22.3). Pure.

A reply stays what it is to the transaction: provisional, success or failure, since the rest of the call follows from that.
"""

from __future__ import annotations

from di.apps.sbc.refusal import parse_reply

Translations = tuple[tuple[int, int, str], ...]
"""Code, the code that it becomes, and the reason, empty for the one that came."""


def parse_translations(text: str) -> Translations:
    """Read them. Raises ValueError; of two for one code the later one counts."""
    found: dict[int, tuple[int, int, str]] = {}
    for part in text.split("|"):
        if not part.strip():
            continue
        before, arrow, after = part.partition("=>")
        if not arrow:
            raise ValueError(f"{part.strip()!r}: right is `from=>code reason`, e.g. 603=>488 Not acceptable here")
        code, _ = parse_reply(before)
        new, reason = parse_reply(after)
        if _kind(code) != _kind(new):
            raise ValueError(f"{part.strip()!r}: a provisional reply, a success and a failure cannot become each other")
        if 100 in (code, new) and code != new:
            raise ValueError(f"{part.strip()!r}: 100 goes from hop to hop and is never passed on")
        found[code] = code, new, reason
    return tuple(found.values())


def _kind(code: int) -> int:
    return min(code // 100, 3)


def translated(translations: Translations, code: int, reason: str) -> tuple[int, str]:
    """A reply as it goes on; a translation without a reason keeps the one that came."""
    new, text = next(((new, text) for known, new, text in translations if known == code), (code, reason))
    return new, text or reason
