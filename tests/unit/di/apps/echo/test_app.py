# SPDX-License-Identifier: GPL-2.0-or-later
"""The echo and its key."""

from __future__ import annotations

from di.apps.echo import PLUGIN
from media.control.play_items import PlayEcho
from tests.support.playbook import Playbook


def test_star_cycles_the_playout_buffer() -> None:
    book = Playbook()
    book.load(PLUGIN)
    session = book.up("echo")
    leg = book.media.legs[session.leg]
    assert leg.playlist == [PlayEcho()]
    seen = [leg.playout]
    for _ in range(3):
        book.media.press(session.leg, "*")
        book.run(1)
        seen.append(leg.playout)
    assert seen == ["adaptive", "adaptive_jb", "simple", "adaptive"]
    book.media.press(session.leg, "5")
    book.run(1)
    assert leg.playout == "adaptive"
