# SPDX-License-Identifier: GPL-2.0-or-later
"""Rooms and participants by themselves: the look-up rule, pins, expiry, private mode."""

from __future__ import annotations

from di.apps.webconference.rooms import Participant, RoomTable, Rules, Status

PRIVATE = Rules(private=True)


def test_a_room_is_made_by_whoever_names_it_first_and_keeps_that_pin() -> None:
    table = RoomTable(Rules())
    assert table.access("r", "1", 0) is not None
    assert table.access("r", "2", 0) is None
    assert table.access("r", "1", 0) is not None


def test_a_room_without_pin_takes_the_first_that_is_shown() -> None:
    table = RoomTable(Rules())
    assert table.enter("r", Participant("t", "n"), 0)
    found = table.access("r", "7", 0)
    assert found is not None
    assert found.pin == "7"


def test_ignore_pin() -> None:
    table = RoomTable(Rules(ignore_pin=True))
    assert table.create("r", "1", 0, 0)
    assert table.access("r", "2", 0) is not None


def test_private_mode_knows_only_opened_rooms() -> None:
    table = RoomTable(PRIVATE)
    assert table.access("r", "1", 0) is None
    assert not table.enter("r", Participant("t", "n"), 0)
    assert not table.invite("r", "p", "n", 0)
    assert not table.may_enter("r", "", False, 0)
    assert table.create("r", "1", 0, 0)
    assert table.may_enter("r", "", False, 0)
    assert not table.may_enter("r", "p", True, 0)
    assert table.invite("r", "p", "n", 0)
    assert table.may_enter("r", "p", True, 0)


def test_create_twice_and_over_a_room_without_pin() -> None:
    table = RoomTable(Rules())
    assert table.create("r", "1", 0, 0)
    assert not table.create("r", "2", 0, 0)
    table.enter("s", Participant("t", "n"), 0)
    assert table.create("s", "3", 0, 0)
    assert table.rooms["s"].participants


def test_an_invited_participant_takes_his_place() -> None:
    table = RoomTable(Rules())
    table.invite("r", "p1", "n1", 0)
    table.enter("r", Participant("tag", "n2", "p1"), 0)
    table.enter("r", Participant("tag2", "n3", "p1"), 0)
    assert [(p.tag, p.participant_id) for p in table.rooms["r"].participants] == [("tag", "p1"), ("tag2", "p1")]
    assert table.rooms_of("p1") == ["r"]
    assert table.rooms_of("p2") == []


def test_finished_participants_leave_the_listing_after_a_while() -> None:
    table = RoomTable(Rules(participant_expiry_s=10))
    table.enter("r", Participant("t", "n"), 0)
    table.update("r", "t", Status.FINISHED, None, 100)
    room = table.rooms["r"]
    assert [p.tag for p in table.participants(room, 110)] == ["t"]
    assert table.participants(room, 110.1) == []
    forever = RoomTable(Rules(participant_expiry_s=None))
    forever.enter("r", Participant("t", "n"), 0)
    forever.update("r", "t", Status.FINISHED, None, 100)
    assert len(forever.participants(forever.rooms["r"], 1e9)) == 1


def test_empty_rooms_expire_and_full_ones_do_not() -> None:
    table = RoomTable(Rules(room_expiry_s=7200))
    table.create("empty", "1", 0, 0)
    table.create("full", "1", 0, 0)
    table.enter("full", Participant("t", "n"), 0)
    table.sweep(7201)
    assert list(table.rooms) == ["full"]
    table.update("full", "t", Status.FINISHED, None, 7300)
    table.sweep(7300 + 7201)
    assert not table.rooms


def test_an_expired_room_counts_as_inexisting_for_one_call() -> None:
    table = RoomTable(Rules(room_expiry_s=10))
    table.create("r", "1", 0, 0)
    assert table.access("r", "2", 11) is None
    assert table.access("r", "2", 11) is not None


def test_timeout_of_room_create() -> None:
    table = RoomTable(Rules())
    table.create("r", "1", 60, 0)
    table.enter("r", Participant("t", "n"), 0)
    assert table.timed_out(60) == []
    assert table.timed_out(61) == ["r"]
