# SPDX-License-Identifier: GPL-2.0-or-later
"""The parameters of a challenge or of credentials (RFC 7235 §2.1). Any text is accepted."""

from __future__ import annotations


def parameters(text: str) -> dict[str, str]:
    """`name=value, name="quoted, value"` as a dict with lower-case names. Never raises; what is no pair is left out."""
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        equals = text.find("=", at)
        if equals < 0:
            break
        name = text[at:equals].strip(" \t,").lower()
        at = equals + 1
        while at < len(text) and text[at] in " \t":
            at += 1
        value, at = _quoted(text, at + 1) if text[at : at + 1] == '"' else _bare(text, at)
        if name:
            found.setdefault(name, value)
    return found


def _bare(text: str, at: int) -> tuple[str, int]:
    end = text.find(",", at)
    end = len(text) if end < 0 else end
    return text[at:end].strip(), end + 1


def _quoted(text: str, at: int) -> tuple[str, int]:
    """The text of a quoted string that begins at `at`, escapes undone, and where the next pair begins."""
    taken = []
    while at < len(text) and text[at] != '"':
        if text[at] == "\\" and at + 1 < len(text):
            at += 1
        taken.append(text[at])
        at += 1
    comma = text.find(",", at)
    return "".join(taken), len(text) if comma < 0 else comma + 1
