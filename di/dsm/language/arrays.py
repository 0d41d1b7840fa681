# SPDX-License-Identifier: GPL-2.0-or-later
"""Arrays `a[0]`, `a[1]` … and structs `$s.member`: naming conventions over the flat map of variables (spec dsm.md §2.7, §3.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from di.dsm.language.numbers import format_float
from di.kernel.value import LongLong, Value

Variables = dict[str, str]


def byte_order(names: Iterable[str]) -> list[str]:
    """Names in the order of SEMS's map. Code points sort as UTF-8 bytes do; surrogate escapes are rare enough to be near it."""
    return sorted(names)


def with_prefix(variables: Variables, prefix: str) -> list[str]:
    """Names that start with a prefix, in order."""
    return byte_order(name for name in variables if name.startswith(prefix))


def _elements(variables: Variables, name: str) -> dict[int, list[str]]:
    """Names by index, in one pass: `a[i]` and `a[i].member`, as far as the index is written plainly."""
    found: dict[int, list[str]] = {}
    start = len(name) + 1
    for variable in variables:
        if variable.startswith(name + "["):
            digits = variable[start : variable.find("]", start)]
            if digits.isdecimal() and len(digits) < 10 and str(int(digits)) == digits:
                found.setdefault(int(digits), []).append(variable)
    return found


def array_size(variables: Variables, name: str) -> int:
    """How many consecutive indexes exist from 0, as `a[i]` or as `a[i].member`."""
    elements = _elements(variables, name)
    size = 0
    while size in elements:
        size += 1
    return size


def array_values(variables: Variables, name: str) -> list[str]:
    """The values that `for (v in a)` visits: element by element, members of an element too."""
    elements = _elements(variables, name)
    values: list[str] = []
    for index in range(len(elements)):
        if index not in elements:
            break
        values.extend(variables[found] for found in byte_order(elements[index]))
    return values


def struct_items(variables: Variables, name: str) -> list[tuple[str, str]]:
    """(member, value) for `for (k,v in s)`, in name order."""
    start = len(name) + 1
    return [(found[start:], variables[found]) for found in with_prefix(variables, name + ".") if len(found) > start]


def clear_prefix(variables: Variables, prefix: str) -> None:
    """Delete every variable with this prefix."""
    for name in with_prefix(variables, prefix):
        del variables[name]


def struct_value(variables: Variables, name: str) -> dict[str, Value]:
    """The nested struct made of `name.*`; where a name is both a value and a struct, the struct wins."""
    result: dict[str, Value] = {}
    for path, value in struct_items(variables, name):
        *parents, leaf = path.split(".")
        here = result
        for parent in parents:
            inner = here.get(parent)
            if not isinstance(inner, dict):
                inner = here[parent] = {}
            here = inner
        if not isinstance(here.get(leaf), dict):
            here[leaf] = value
    return result


def plain_array(variables: Variables, name: str) -> list[Value]:
    """`name[0]`, `name[1]` … as far as they go."""
    values: list[Value] = []
    while (value := variables.get(f"{name}[{len(values)}]")) is not None:
        values.append(value)
    return values


def selected(variables: Variables, names: str) -> dict[str, str]:
    """What `postEvent(…, names)` sends: `;`-separated names, `prefix.` for all below it, `var` for everything (spec dsm.md §4.1)."""
    if names == "var":
        return dict(variables)
    chosen: dict[str, str] = {}
    for name in names.split(";"):
        if name.endswith("."):
            chosen.update((found, variables[found]) for found in with_prefix(variables, name))
        elif name in variables:
            chosen[name] = variables[name]
    return chosen


UNKNOWN = "<unknown type>"


def flatten(value: Value, name: str, put: Callable[[str, str], None], null: str = "null", depth: int = 0) -> None:
    """Write structured data into names: `name`, `name[i]`, `name.key` (spec dsm.md §3.8)."""
    if isinstance(value, dict) and depth < 100:
        for key in byte_order(value):
            flatten(value[key], f"{name}.{key}", put, null, depth + 1)
    elif isinstance(value, (list, tuple)) and depth < 100:
        for index, item in enumerate(value):
            flatten(item, f"{name}[{index}]", put, null, depth + 1)
    else:
        put(name, _scalar(value, null))


def _scalar(value: Value, null: str) -> str:
    if value is None:
        return null
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return format_float(value)
    if isinstance(value, int) and not isinstance(value, LongLong):
        return str(value)
    return UNKNOWN
