# SPDX-License-Identifier: GPL-2.0-or-later
"""What a server knows, as text: every attribute of every object that can be reached from some, one line each. To be compared."""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

_SCALARS = (str, int, float, bytes, bool, type(None), enum.Enum)
_OURS = ("di.", "interfaces.", "media.", "tests.")


def state(roots: Mapping[str, object], caches: Iterable[tuple[str, str]] = ()) -> list[str]:
    """Lines `path = value`. `caches`: (class, attribute) that hold nothing but what can be made again."""
    lines: list[str] = []
    seen: set[int] = set()
    skipped = frozenset(caches)
    waiting: deque[tuple[str, Any]] = deque(roots.items())
    while waiting:
        path, value = waiting.popleft()
        if isinstance(value, _SCALARS):
            lines.append(f"{path} = {value!r:.200}")
            continue
        if id(value) in seen:
            continue
        seen.add(id(value))
        waiting.extend((f"{path}{step}", part) for step, part in _parts(value, skipped, lines, path))
    return sorted(lines)


def _parts(value: Any, skipped: frozenset[tuple[str, str]], lines: list[str], path: str) -> list[tuple[str, Any]]:
    if isinstance(value, Mapping):
        lines.append(f"{path} has {len(value)}")
        return [(f"[{key!r:.80}]", part) for key, part in value.items()]
    if isinstance(value, (list, tuple, deque)):
        lines.append(f"{path} has {len(value)}")
        return [(f"[{index}]", part) for index, part in enumerate(value)]
    if isinstance(value, (set, frozenset)):
        lines.append(f"{path} has {len(value)}")
        return [(f"[{number}]", part) for number, part in enumerate(sorted(value, key=repr))]
    if not type(value).__module__.startswith(_OURS):
        return []
    names = [*getattr(value, "__dict__", ()), *(slot for cls in type(value).__mro__ for slot in getattr(cls, "__slots__", ()))]
    return [
        (f".{name}", getattr(value, name))
        for name in names
        if (type(value).__name__, name) not in skipped and hasattr(value, name)
    ]
