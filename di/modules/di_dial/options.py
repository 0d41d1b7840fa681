# SPDX-License-Identifier: GPL-2.0-or-later
"""di_dial.conf: `dialout_pin0`, `dialout_pin1`, … each `pin;user part;realm;user;password`."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from di.kernel.options import further_keys

log = logging.getLogger(__name__)

MAX_PINS = 100


@dataclass(frozen=True, slots=True)
class DialPin:
    """What a dial-out pin stands for."""

    user_part: str
    realm: str
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Options:
    """The pins, as written."""

    lines: dict[str, str] = further_keys("dialout_pin*", help="dialout_pinN = pin;user part;realm;user;password, N from 0 up.")


def read_pins(lines: Mapping[str, str]) -> dict[str, DialPin]:
    """Pin → account. Reading stops at the first number that is missing or has not five fields, as in SEMS; the log names it."""
    pins: dict[str, DialPin] = {}
    for number in range(MAX_PINS):
        text = lines.get(f"dialout_pin{number}")
        if text is None:
            break
        fields = text.split(";")
        if len(fields) == 6 and not fields[5]:
            fields.pop()
        if len(fields) != 5 or not fields[0]:
            log.error(
                "di_dial.conf: dialout_pin%d has not the five fields pin;user part;realm;user;password; it and the rest are out",
                number,
            )
            break
        pins[fields[0]] = DialPin(fields[1], fields[2], fields[3], fields[4])
    return pins
