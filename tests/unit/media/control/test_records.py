# SPDX-License-Identifier: GPL-2.0-or-later
"""Which records are for one leg."""

from media.control import records, wire


def test_one_look_tells_what_is_for_a_leg() -> None:
    made = [object.__new__(kind) for kind in (*records.COMMANDS, *records.EVENTS, wire.Hello, wire.Ping)]
    told = {type(record) for record in made if records.is_for_leg(record)}
    assert told == set(records.LEG_COMMANDS)
