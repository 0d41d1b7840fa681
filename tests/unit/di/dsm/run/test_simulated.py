# SPDX-License-Identifier: GPL-2.0-or-later
"""The call without a server does what the ports promise."""

from __future__ import annotations

from di.dsm.run.simulated import SimulatedSession


def test_a_shared_object_is_made_at_first_use_only() -> None:
    made: list[str] = []

    def make() -> list[str]:
        made.append("one")
        return made

    hub = SimulatedSession().hub
    assert hub.shared("pool", make) is hub.shared("pool", make) and made == ["one"]
