# SPDX-License-Identifier: GPL-2.0-or-later
"""Controls that a text names, as SEMS has them in a header: `ctl;RURI=sip:x@y;append_headers="P-A: 1, 2",cc_pcalls;uuid=7`. Pure."""

from __future__ import annotations

import re

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_-]*\Z")
_LONGEST = 16_384


def parse(text: str) -> list[tuple[str, dict[str, str]]]:
    r"""Names and their values. A value in quotes may hold commas and semicolons, and `\` before a quote. Raises ValueError."""
    if len(text) > _LONGEST:
        raise ValueError(f"{len(text)} letters; right are up to {_LONGEST}")
    found = []
    for entry in _split(text, ","):
        name, *pairs = (part.strip() for part in _split(entry, ";"))
        if not _NAME.match(name):
            raise ValueError(f"{name[:80]!r} is no name of a control: letters, digits and _")
        values: dict[str, str] = {}
        for pair in pairs:
            key, equals, value = pair.partition("=")
            key = key.strip()
            if not equals or not _KEY.match(key):
                raise ValueError(f"{pair[:80]!r}: right is key=value")
            values[key] = _unquoted(value.strip())
        found.append((name, values))
    return found


def _split(text: str, mark: str) -> list[str]:
    """Parts between marks that stand in no quotes; empty ones are left out. Raises ValueError for a quote that is not closed."""
    parts, part, quoted, escaped = [], "", False, False
    for letter in text:
        if escaped:
            escaped = False
        elif letter == "\\" and quoted:
            escaped = True
        elif letter == '"':
            quoted = not quoted
        elif letter == mark and not quoted:
            parts.append(part)
            part = ""
            continue
        part += letter
    if quoted:
        raise ValueError(f"a quote is not closed in {text[:80]!r}")
    return [part.strip() for part in (*parts, part) if part.strip()]


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] == '"':
        return re.sub(r"\\(.)", r"\1", value[1:-1], flags=re.DOTALL)
    return value
