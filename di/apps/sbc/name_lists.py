# SPDX-License-Identifier: GPL-2.0-or-later
"""`<what>_filter` and its list: which names pass (spec applications.md §22.3). Pure.

`transparent`: all · `whitelist`: those of the list · `blacklist`: all others. Names are compared without case, those of headers in their long form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from di.apps.api import end_to_end, long_name


def passes(kind: str, listed: Iterable[str], name: str, key: Callable[[str], str] = str) -> bool:
    """Whether a name passes. `key`: makes names comparable that are written in several ways."""
    if kind == "transparent":
        return True
    wanted = key(name.strip()).lower()
    return any(key(one.strip()).lower() == wanted for one in listed) == (kind == "whitelist")


def passing_headers(kind: str, listed: Iterable[str], headers: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Those of a message's headers, as lines, that go on. What belongs to one dialog, hop or body never does."""
    names = tuple(listed)
    return end_to_end(pair for pair in headers if passes(kind, names, pair[0], long_name))


def codec_passes(kind: str, listed: Iterable[str], codec: str) -> bool:
    """Whether a codec (`PCMU/8000`) passes; a name of the list without clock means all its clocks."""
    if kind == "transparent":
        return True
    return any(is_codec(one, codec) for one in listed) == (kind == "whitelist")


def is_codec(said: str, codec: str) -> bool:
    """Whether what a profile says (`pcmu`, `PCMU/8000`, `opus/48000/2`) is that codec."""
    words = said.strip().upper().split("/")
    return words[:2] == codec.upper().split("/")[: len(words[:2])]


def attribute_passes(kind: str, listed: Iterable[str], line: str) -> bool:
    """Whether an attribute line (`a=name:value`) passes; the list has names."""
    return passes(kind, listed, line.removeprefix("a=").partition(":")[0])
