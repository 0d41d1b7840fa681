# SPDX-License-Identifier: GPL-2.0-or-later
"""Ids of sessions: their shape, and that none repeats."""

from __future__ import annotations

import re
from random import Random

from di.kernel.ids import IdMaker


def test_ids_have_the_shape_and_never_repeat() -> None:
    maker = IdMaker(Random(1), 4711)
    ids = [maker.new_id(1_700_000_000.25) for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert all(re.fullmatch(r"[0-9A-F]{8}-[0-9A-F]{16}-[0-9A-F]{8}", id) for id in ids)
