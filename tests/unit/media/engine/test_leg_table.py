# SPDX-License-Identifier: GPL-2.0-or-later
"""Rows and rings of the leg table: cleared when taken, never shared, used again when given back."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from media.engine.leg_table import FIRST_ROWS, LEG, MISSING, LegTable, Sockaddr
from media.engine.receive import RECEIVING_BYTES


def ring_of(table: LegTable, row: int) -> tuple[int, int]:
    """First and last address of a row's ring."""
    first, samples = int(table.rows[row]["ring_address"]), int(table.rows[row]["ring_samples"])
    return first, first + 2 * samples


def test_rings_are_apart_whatever_their_sizes() -> None:
    table = LegTable()
    rows = [table.take() for _ in range(3 * FIRST_ROWS)]
    for row in rows:
        table.set_ring(row, (100, 2048, 5000)[row % 3])
    bounds = sorted(ring_of(table, row) for row in rows)
    assert all(end <= first for (_, end), (first, _) in itertools.pairwise(bounds))
    assert {int(table.rows[row]["ring_samples"]) for row in rows} == {128, 2048, 8192}


def test_ring_given_back_is_used_again_and_comes_empty() -> None:
    table = LegTable()
    row = table.take()
    table.set_ring(row, 2048)
    before = ring_of(table, row)
    table._rings[row][:] = 7
    table.release(row)
    again = table.take()
    table.set_ring(again, 2048)
    assert ring_of(table, again) == before
    assert (table._rings[again] == MISSING).all()


def test_ring_of_another_size_takes_the_old_ones_place() -> None:
    table = LegTable()
    first, second = table.take(), table.take()
    table.set_ring(first, 2048)
    small = ring_of(table, first)
    table.set_ring(first, 4096)
    table.set_ring(second, 2048)
    assert ring_of(table, second) == small


def test_what_arrival_touches_is_in_the_part_of_a_row_that_is_fetched() -> None:
    fields = LEG.fields or {}
    touched = ("locked", "timed_out", "play_ts", "ring_address", "arrived_ns", "packets_received", "bytes_received", "resyncs")
    assert all(fields[name][1] + np.dtype(fields[name][0]).itemsize <= RECEIVING_BYTES for name in touched)


def test_a_row_as_attributes_is_the_row_field_by_field() -> None:
    table = LegTable()
    row = table.take()
    values = {name: 3 + at % 100 for at, name in enumerate(LEG.names or ()) if not LEG[name].shape}
    view = table.row(row)
    for name, value in values.items():
        setattr(view, name, value)
    view.name = Sockaddr.from_buffer_copy(bytes(range(28)))
    assert {name: table.rows[row][name] for name in values} == values
    assert table.rows[row]["name"].tobytes() == bytes(range(28))
    table.rows[row]["ts_out"] = 2**32 - 1
    assert view.ts_out == 2**32 - 1
    with pytest.raises(AttributeError):
        view.no_such_field = 1


def test_a_row_taken_afresh_is_that_of_the_table_that_has_grown() -> None:
    table = LegTable()
    first = table.take()
    table.row(first).ssrc_out = 7
    for _ in range(FIRST_ROWS):
        table.take()
    table.row(first).sequence_out = 8
    assert (int(table.rows[first]["ssrc_out"]), int(table.rows[first]["sequence_out"])) == (7, 8)
