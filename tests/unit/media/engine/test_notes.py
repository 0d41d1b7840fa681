# SPDX-License-Identifier: GPL-2.0-or-later
"""What the receiving kernels leave to Python: the note says all that is needed of a packet, and none is written where there is no room."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from media.engine import notes
from media.engine.addresses import ENTRY, NAME_BYTES
from media.engine.counters import COUNTERS, NOTES_LOST, TOO_LONG
from media.engine.leg_table import LEG
from media.engine.secure import SECURE

HEADER_BYTES = 12
ROW, SOCKET, INDEX = 1, 4, 3


def receiver(most: int = 4, longest: int = 8) -> notes.Receiver:
    """Two legs, room for so many notes and for payloads so long."""
    _, count, _ = notes.empty_notes()
    return notes.Receiver(
        np.zeros(2, LEG), np.zeros(4, ENTRY), np.full(5, -1, np.int32), np.zeros(len(COUNTERS), np.int64), np.zeros(most, notes.NOTE),
        count, np.zeros((most, longest), np.uint8), np.zeros(1, SECURE), np.zeros(8, np.uint64),
    )  # fmt: skip


def packet(payload: bytes, entry: int = 0) -> notes.Packet:
    data = np.frombuffer(bytes(HEADER_BYTES) + payload, np.uint8).copy()
    name = np.arange(NAME_BYTES, dtype=np.uint8)
    return notes.Packet(data, HEADER_BYTES, len(data), ROW, entry, SOCKET, INDEX, name)


def taken(into: notes.Receiver) -> list[Any]:
    """The notes that were written."""
    return list(into.notes[: into.note_count[0]])


def lost(into: notes.Receiver) -> int:
    return int(into.counters[NOTES_LOST])


def test_a_note_says_what_it_is_and_where_the_packet_is() -> None:
    into = receiver()
    assert [notes.take_note(into, kind, packet(b"")) for kind in (notes.NOTE_LOCKED, notes.NOTE_RETURNED)] == [0, 1]
    places = [(note["kind"], note["row"], note["socket"], note["index"]) for note in taken(into)]
    assert places == [(notes.NOTE_LOCKED, ROW, SOCKET, INDEX), (notes.NOTE_RETURNED, ROW, SOCKET, INDEX)]


def test_where_there_is_no_room_it_is_counted_and_nothing_is_overwritten() -> None:
    into = receiver(most=2)
    for kind in (notes.NOTE_LOCKED, notes.NOTE_RETURNED):
        notes.take_note(into, kind, packet(b""))
    before = into.notes.copy()
    assert notes.take_note(into, notes.NOTE_CANDIDATE, packet(b"")) == -1
    notes.note_digit(into, packet(b"\x05\x8a\x01\x40"), np.uint32(1), np.uint32(2))
    assert lost(into) == 2 and into.note_count[0] == 2 and (into.notes == before).all()


@pytest.mark.parametrize(
    ("payload", "event", "end", "volume", "duration"),
    [
        (b"\x05\x8a\x01\x40", 5, 1, 10, 320),
        (b"\x0b\x3f\xff\xff", 11, 0, 63, 65535),
        (b"\x00\x40\x00\x00more", 0, 0, 0, 0),  # the reserved bit is nobody's
    ],
)
def test_a_key_as_rfc_4733_writes_it(payload: bytes, event: int, end: int, volume: int, duration: int) -> None:
    into = receiver()
    notes.note_digit(into, packet(payload), np.uint32(4_000_000_000), np.uint32(7))
    (note,) = taken(into)
    assert [note[name] for name in ("event", "end", "volume", "duration")] == [event, end, volume, duration]
    assert (note["kind"], note["ts"], note["ssrc"]) == (notes.NOTE_DIGIT, 4_000_000_000, 7)


def test_a_key_that_is_cut_off_is_none() -> None:
    into = receiver()
    notes.note_digit(into, packet(b"\x05\x8a\x01"), np.uint32(1), np.uint32(2))
    assert not taken(into) and lost(into) == 0


def test_a_coded_payload_stands_beside_its_note_and_one_that_is_too_long_is_counted() -> None:
    into = receiver(longest=4)
    leg = into.legs[ROW]
    notes.note_coded(into, leg, packet(b"deaf"), np.uint16(1), np.uint32(2))
    assert not taken(into), "nobody listens"
    leg["listened"] = True
    notes.take_note(into, notes.NOTE_LOCKED, packet(b""))
    notes.note_coded(into, leg, packet(b"five5"), np.uint16(1), np.uint32(2))
    notes.note_coded(into, leg, packet(b"abc"), np.uint16(65535), np.uint32(160))
    assert int(into.counters[TOO_LONG]) == 1 and into.legs[ROW]["packets_too_long"] == 1
    _, note = taken(into)
    assert (note["kind"], note["sequence"], note["ts"], note["duration"]) == (notes.NOTE_CODED, 65535, 160, 3)
    assert into.coded[1].tobytes() == b"abc\0" and not into.coded[0].any()


def test_another_payload_type() -> None:
    into = receiver()
    notes.note_format(into, packet(b"x"), 9)
    (note,) = taken(into)
    assert (note["kind"], note["event"]) == (notes.NOTE_FORMAT, 9)


@pytest.mark.parametrize(
    ("locked", "elsewhere", "entry", "noted"), [(0, 1, -1, True), (1, 1, -1, False), (0, 0, -1, False), (0, 1, 2, False)]
)
def test_a_sign_of_life_counts_only_from_an_unknown_address_while_a_peer_is_looked_for(
    locked: int, elsewhere: int, entry: int, noted: bool
) -> None:
    into = receiver()
    into.legs[ROW]["locked"], into.legs[ROW]["elsewhere"] = locked, elsewhere
    notes.note_alive(into, packet(b"", entry), 1)
    found = [(note["kind"], note["duration"], note["name"].tobytes()) for note in taken(into)]
    assert found == ([(notes.NOTE_ALIVE, 1, bytes(range(NAME_BYTES)))] if noted else [])


@pytest.mark.parametrize("count", [1, 2, 4, 8])
def test_numbers_of_the_wire(count: int) -> None:
    data = np.arange(200, 200 + count + 1, dtype=np.uint8)
    assert int(notes.big_endian(data, 1, count)) == int.from_bytes(data[1:].tobytes(), "big")
