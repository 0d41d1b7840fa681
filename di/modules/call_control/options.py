# SPDX-License-Identifier: GPL-2.0-or-later
"""call_control.conf: the chain, and the values of each of its links, as an sbc profile of SEMS writes them (spec applications.md §22.3)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from di.kernel.options import further_keys, option

_UP_S = 60
_GO_ON = re.compile(r"(refuse)|(allow|go_on) +([0-9]+)")


@dataclass(frozen=True, slots=True)
class WhenUnreachable:
    """What becomes of a new call, and of one that is up, when a control does not answer: so many more seconds; 0: refused, ended."""

    new_s: int = 0
    up_s: int = _UP_S


def parse_names(text: str) -> tuple[str, ...]:
    """Read a list of instances; what holds a `$` is a text that names them for each call."""
    names = tuple(name.strip() for name in re.split(r",(?![^(]*\))", text) if name.strip())
    wrong = [name for name in names if "$" not in name and not re.fullmatch(r"[A-Za-z][A-Za-z0-9]*", name)]
    if wrong or not names or len(set(names)) != len(names):
        raise ValueError("right is a list of names of letters and digits, or patterns like $H(P-Call-Control), each once")
    return names


def parse_when(text: str) -> WhenUnreachable:
    """Read `refuse`, `allow S` (a new call gets S seconds), `go_on S` (one that is up), the last two also together."""
    new_s, up_s = 0, _UP_S
    for part in text.split(","):
        match = _GO_ON.fullmatch(part.strip())
        if match is None:
            raise ValueError("right is refuse, allow SECONDS, go_on SECONDS, or two of them with a comma: allow 60, go_on 30")
        if match[2] == "allow":
            new_s = int(match[3])
        elif match[2]:
            up_s = int(match[3])
    return WhenUnreachable(new_s, up_s)


@dataclass(frozen=True)
class Options:
    """Keys of call_control.conf."""

    call_control: tuple[str, ...] = option(
        (),
        help="Controls in the order in which they are asked; a pattern like $H(P-Call-Control) names them for each call.",
        parse=parse_names,
    )
    direction: str = option("both", help="Which calls are asked about.", choices=("in", "out", "both"))
    second_legs: bool = option(False, help="Ask about second legs, too; else a conversation is asked about, and paid for, once.")
    deadline_ms: int = option(
        2000, help="How long a control may think before it counts as unreachable.", unit="ms", minimum=10, maximum=30_000
    )
    on_unreachable: WhenUnreachable = option(
        WhenUnreachable(),
        help="What then: refuse, allow SECONDS for a new call, go_on SECONDS for one that is up.",
        parse=parse_when,
    )
    values: dict[str, str] = further_keys("*_*", help="INSTANCE_module, and INSTANCE_KEY: its values, with replacement patterns.")


def values_of(name: str, given: Mapping[str, str]) -> dict[str, str]:
    """The values of one instance, `module` among them."""
    return {key[len(name) + 1 :]: value for key, value in given.items() if key.startswith(f"{name}_")}
