# SPDX-License-Identifier: GPL-2.0-or-later
"""Rooms and participants by themselves: the look-up rule, pins, expiry, private mode."""

from __future__ import annotations

import pytest

from di.apps.webconference.rooms import Participant, RoomTable, Rules, Status, TooManyRooms

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


def test_a_room_that_nobody_lists_keeps_no_line_of_who_is_long_gone() -> None:
    table = RoomTable(Rules(participant_expiry_s=10))
    for number in range(100):
        assert table.enter("r", Participant(f"t{number}", "n"), 20.0 * number)
        table.update("r", f"t{number}", Status.FINISHED, None, 20.0 * number + 5)
    assert len(table.rooms["r"].participants) <= 2


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


def test_there_are_so_many_rooms_and_no_more_whoever_asks() -> None:
    table = RoomTable(Rules(max_rooms=3, room_expiry_s=10))
    assert all(table.create(f"r{number}", "1", 0, 0) for number in range(3))
    with pytest.raises(TooManyRooms, match="there are 3 rooms, and max_rooms=3"):
        table.create("r3", "1", 0, 0)
    assert table.access("r4", "1", 0) is None
    assert not table.enter("r5", Participant("t", "n"), 0) and not table.invite("r6", "p", "n", 0)
    assert table.access("r0", "1", 0) is not None and len(table.rooms) == 3
    assert table.create("r3", "1", 0, 11), "those whose time is over make room"


@pytest.mark.parametrize(("name", "pin"), [("r" * 201, "1"), ("r", "1" * 201)])
def test_names_and_pins_have_a_length(name: str, pin: str) -> None:
    table = RoomTable(Rules())
    assert table.access(name, pin, 0) is None and not table.rooms


def test_announced_participants_of_a_room_are_bounded() -> None:
    table = RoomTable(Rules())
    assert [table.invite("r", f"p{number}", "n", 0) for number in range(1001)] == [True] * 1000 + [False]


def test_looking_changes_nothing() -> None:
    table = RoomTable(Rules(room_expiry_s=10))
    table.create("r", "1", 0, 0)
    table.enter("open", Participant("t", "n"), 0)
    before = repr(table.rooms)
    assert table.look("r", "1", 5) == [] and table.look("r", "2", 5) is None
    assert [p.tag for p in table.look("open", "9", 5) or ()] == ["t"]
    assert table.look("nobody", "1", 5) == [] and table.look("r", "1", 11) is None
    assert repr(table.rooms) == before
    assert RoomTable(PRIVATE).look("nobody", "1", 0) is None


def test_a_sweep_costs_the_rooms_whose_time_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    table = RoomTable(Rules(room_expiry_s=100))
    for number in range(1000):
        table.create(f"r{number}", "1", 0, number / 100)
    looked: list[object] = []
    real = RoomTable._expired
    monkeypatch.setattr(RoomTable, "_expired", lambda self, room, now_s: looked.append(room) or real(self, room, now_s))
    table.sweep(50)
    assert not looked and len(table.rooms) == 1000
    table.sweep(101)
    assert len(looked) == 100 and len(table.rooms) == 900
    table.access("r500", "1", 104.9)
    table.sweep(200)
    assert list(table.rooms) == ["r500"], "who was asked for stays longer"
    table.sweep(205)
    assert not table.rooms and not table._looks


def test_a_room_with_people_in_it_goes_when_they_have() -> None:
    table = RoomTable(Rules(room_expiry_s=None))
    table.create("r", "1", 5, 0)
    table.enter("r", Participant("t", "n", status=Status.CONNECTED), 1)
    table.sweep(6)
    table.sweep(7)
    assert "r" in table.rooms
    table.update("r", "t", Status.FINISHED, "bye", 8)
    table.sweep(9)
    assert not table.rooms
