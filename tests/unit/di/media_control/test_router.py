# SPDX-License-Identifier: GPL-2.0-or-later
"""Several media processes behind one port: where legs go, which rooms span, whose answer is given, what a lost process takes along."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from di.media_control.answers import joined
from di.media_control.placement import MediaLoad
from di.media_control.port_ranges import port_ranges
from di.media_control.rooms import MediaRooms
from di.media_control.router import MediaRouter
from media.control import records
from media.control.play_items import PlayBridge, PlayRoom, PlayTone
from media.control.recording_records import (
    RecordingStopped,
    RoomRecordingStopped,
    StartRecording,
    StartRoomRecording,
    StopRoomRecording,
)
from media.control.records import (
    Announce,
    AnnounceFailed,
    CloseLeg,
    Enqueue,
    FlushPlaylist,
    LegFailed,
    LegOpened,
    OpenLeg,
    SpanRoom,
    TeeRoom,
)
from tests.support.fake_media import FakeMedia


class Book:
    """A router over fakes."""

    def __init__(self, count: int = 2, most_legs: int = 0) -> None:
        self.events: list[Any] = []
        self.router = MediaRouter(count, self.events.append, lambda: 77, most_legs)
        self.media = [FakeMedia(lambda event, place=place: self.router.on_event(place, event)) for place in range(count)]  # type: ignore[misc]
        for place, media in enumerate(self.media):
            self.router.up(place, media)

    def open(self, leg: int, room: str = "", near: int = 0) -> int:
        """Open a leg; return where it is."""
        self.router.send(OpenLeg(leg, room=room, near=near))
        return next(place for place, media in enumerate(self.media) if leg in media.legs)

    def join(self, leg: int, room: str) -> None:
        self.router.send(Enqueue(leg, (PlayRoom(room),)))

    def told(self, place: int, kind: type) -> list[Any]:
        """Commands of a kind that a process got."""
        return [command for command in self.media[place].commands if isinstance(command, kind)]

    def got(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def test_legs_without_a_room_are_spread() -> None:
    book = Book(3)
    assert sorted(book.open(leg) for leg in range(1, 7)) == [0, 0, 1, 1, 2, 2]


def test_legs_of_a_room_are_together_as_long_as_it_has_place() -> None:
    book = Book(2, most_legs=3)
    places = []
    for leg in range(1, 6):
        places.append(book.open(leg, room="r"))
        book.join(leg, "r")
    assert places[:3] == [places[0]] * 3
    assert places[3:] == [1 - places[0]] * 2


def test_legs_that_were_opened_for_a_room_count_before_they_are_in_it() -> None:
    book = Book(2)
    first = book.open(1, room="r")
    book.open(2)
    book.open(3)
    assert book.open(4, room="r") == first


def test_a_leg_is_placed_beside_the_one_it_will_be_bridged_to() -> None:
    book = Book(2)
    place = book.open(1)
    book.open(2)
    assert book.open(3, near=1) == place


def test_a_busy_process_gets_no_more_legs() -> None:
    load = MediaLoad(2)
    for place, busy_us in ((0, 0), (1, 0)):
        load.report(place, {"busy_us": busy_us}, 1_000_000_000)
    load.report(0, {"busy_us": 700_000}, 2_000_000_000)
    load.report(1, {"busy_us": 500_000}, 2_000_000_000)
    assert load.share(0) == pytest.approx(0.7)
    assert load.choose({0, 1}, [0]) == 1
    assert load.choose({0}, [0]) == 0
    load.add(1, 2000)
    assert load.is_full(1)
    load.reset(0)
    assert load.choose({0, 1}) == 0


def test_commands_of_a_leg_go_to_its_process_only() -> None:
    book = Book(2)
    place = book.open(5)
    book.router.send(records.SetPlayout(5, "simple"))
    book.router.send(records.SetPlayout(6, "simple"))
    assert [len(book.told(p, records.SetPlayout)) for p in (place, 1 - place)] == [1, 0]
    book.router.send(CloseLeg(5))
    book.router.send(CloseLeg(5))
    assert len(book.told(place, CloseLeg)) == 1


def test_a_room_spans_when_it_must_and_no_longer() -> None:
    book = Book(2)
    a, b = book.open(1), book.open(2)
    assert a != b
    book.join(1, "r")
    assert not book.told(a, SpanRoom)
    book.join(2, "r")
    assert book.told(a, SpanRoom) == [SpanRoom("r", 1, (b,))]
    assert book.told(b, SpanRoom) == [SpanRoom("r", 1, (a,))]
    commands = book.media[b].commands
    assert commands.index(SpanRoom("r", 1, (a,))) < commands.index(Enqueue(2, (PlayRoom("r"),)))
    book.router.send(FlushPlaylist(2))
    assert book.told(a, SpanRoom)[-1] == book.told(b, SpanRoom)[-1] == SpanRoom("r", 1)
    book.join(2, "r")
    assert book.told(a, SpanRoom)[-1] == SpanRoom("r", 2, (b,))
    book.router.send(CloseLeg(1))
    assert book.told(b, SpanRoom)[-1] == SpanRoom("r", 2)


def test_a_tee_spans_too() -> None:
    book = Book(2)
    a, b = book.open(1), book.open(2)
    book.join(1, "r")
    book.router.send(TeeRoom(2, "r"))
    assert book.told(b, SpanRoom) == [SpanRoom("r", 1, (a,))]
    book.router.send(TeeRoom(2, "r", False))
    assert book.told(a, SpanRoom)[-1] == SpanRoom("r", 1)


def test_a_bridge_over_processes_is_a_room_of_two_and_one_within_is_left_alone() -> None:
    book = Book(2)
    a, b = book.open(1), book.open(2)
    near = book.open(3, near=1)
    book.router.send(Enqueue(1, (PlayBridge(2),)))
    book.router.send(Enqueue(2, (PlayBridge(1),)))
    (ours,), (theirs,) = book.told(a, Enqueue), book.told(b, Enqueue)
    assert ours.items == theirs.items == (PlayRoom("\0bridge 1 2"),)
    assert book.told(a, SpanRoom)[-1].peers == (b,)
    book.router.send(Enqueue(3, (PlayBridge(1),)))
    assert book.told(near, Enqueue)[-1].items == (PlayBridge(1),)


def test_room_audio_goes_where_the_room_is() -> None:
    book = Book(3)
    places = [book.open(leg) for leg in (1, 2)]
    for leg in (1, 2):
        book.join(leg, "r")
    book.router.send(Announce("r", (PlayTone((440,)),)))
    assert [len(book.told(place, Announce)) for place in range(3)] == [int(place in places) for place in range(3)]


def test_of_what_a_room_could_not_be_played_one_process_tells() -> None:
    book = Book(3, most_legs=1)
    places = [book.open(leg) for leg in (1, 2)]
    for leg in (1, 2):
        book.join(leg, "r")
    failed = AnnounceFailed("r", "/none.wav", "no such file")
    for place in places:
        book.router.on_event(place, failed)
    assert book.got(AnnounceFailed) == [failed]


def test_statistics_and_prompts_are_answered_once() -> None:
    book = Book(2)
    book.open(1)
    book.open(2)
    book.router.send(records.QueryStatistics(7))
    book.router.send(records.LoadPrompt(8, "/none.wav"))
    (statistics,) = book.got(records.Statistics)
    assert (statistics.request, statistics.counters["legs"]) == (7, 2)
    (loaded,) = book.got(records.PromptLoaded)
    assert (loaded.request, bool(loaded.error)) == (8, True)
    book.router.send(records.QueryStatistics(9, 4))
    assert book.got(records.Statistics)[-1] == records.Statistics(9, 4)


def test_percentiles_are_the_worst_and_counters_the_sum() -> None:
    total = joined([{"tick_lateness_p99_us": 5, "legs": 1}, {"tick_lateness_p99_us": 3, "legs": 2, "rooms": 4}])
    assert total == {"tick_lateness_p99_us": 5, "legs": 3, "rooms": 4}


def test_a_lost_process_takes_its_legs_along_and_nobody_waits_for_it() -> None:
    book = Book(2)
    a, b = book.open(1), book.open(2)
    for leg in (1, 2):
        book.join(leg, "r")
    book.media[a].send = lambda command: None  # type: ignore[method-assign]
    book.router.send(records.QueryStatistics(7))
    assert not book.got(records.Statistics)
    assert book.router.lost(a) == [1]
    assert book.got(records.Statistics)[-1].counters == {"legs": 1.0}
    assert book.told(b, SpanRoom)[-1] == SpanRoom("r", 1)
    assert book.open(3) == b
    fresh = book.media[a] = FakeMedia(lambda event: book.router.on_event(a, event))
    book.router.up(a, fresh)
    assert book.open(4) == a
    book.join(4, "r")
    assert book.told(a, SpanRoom) == [SpanRoom("r", 2, (b,))]


def test_without_any_process_a_leg_fails() -> None:
    book = Book(1)
    book.router.lost(0)
    book.router.send(OpenLeg(1))
    assert isinstance(book.events[-1], LegFailed)


def test_a_process_without_a_port_hands_the_leg_on_with_what_it_was_told() -> None:
    book = Book(2)
    held: list[Any] = []
    book.media[0].on_event, deliver = held.append, book.media[0].on_event
    book.media[0].fail_next_leg = "no free RTP port"
    book.router.send(OpenLeg(1, room="r"))
    book.join(1, "r")
    book.router.send(records.SetPlayout(1, "simple"))
    for event in held:
        deliver(event)
    assert not book.got(LegFailed)
    assert [type(event) for event in book.got(LegOpened)] == [LegOpened]
    assert book.media[1].legs[1].playout == "simple"
    assert book.media[1].legs[1].playlist == [PlayRoom("r")]
    book.media[0].on_event = deliver
    for media in book.media:
        media.fail_next_leg = "no free RTP port"
    book.router.send(OpenLeg(2))
    assert [event.leg for event in book.got(LegFailed)] == [2]


# ------------------------------------------------------------------------------------------------------------- recordings
def recording(mode: str) -> tuple[Book, int, int]:
    """A room of one leg each in two processes, being recorded. Returns owner and other process too."""
    book = Book(2)
    a, b = book.open(1), book.open(2)
    book.join(1, "r")
    book.join(2, "r")
    book.router.send(StartRoomRecording("r", "/x/all.wav", mode))
    owner = a if book.told(a, StartRoomRecording) and not book.told(a, StartRoomRecording)[0].part else b
    return book, owner, 1 - owner


def test_a_mix_is_recorded_by_one_process() -> None:
    book, owner, other = recording("mix")
    assert book.told(owner, StartRoomRecording) == [StartRoomRecording("r", "/x/all.wav", "mix", 77)]
    assert not book.told(other, StartRoomRecording)
    for leg in (1, 2):
        book.router.send(FlushPlaylist(leg))
    book.join(1 + other, "r")  # leg 1 is in process 0
    assert book.told(owner, SpanRoom)[-1].peers == (other,), "who records the mix hears the room though nobody is left there"
    book.router.send(StopRoomRecording("r"))
    book.router.on_event(owner, RoomRecordingStopped("r", ("/x/all.wav",), 900, "asked"))
    assert book.got(RoomRecordingStopped) == [RoomRecordingStopped("r", ("/x/all.wav",), 900, "asked")]
    assert book.told(owner, SpanRoom)[-1].peers == ()


def test_tracks_are_recorded_by_all_and_are_one_recording() -> None:
    book, owner, other = recording("both")
    assert book.told(other, StartRoomRecording) == [StartRoomRecording("r", "/x/all.wav", "both", 77, part=True)]
    book.router.send(StopRoomRecording("r"))
    assert not book.told(owner, StopRoomRecording)
    book.router.on_event(other, RoomRecordingStopped("r", ("/x/all-2.wav",), 880, "asked", "{}"))
    assert book.told(owner, StopRoomRecording) == [StopRoomRecording("r", ("{}",))]
    book.router.on_event(owner, RoomRecordingStopped("r", ("/x/all.wav",), 900, "asked", "what is in it"))
    (stopped,) = book.got(RoomRecordingStopped)
    assert (set(stopped.paths), stopped.length_ms) == ({"/x/all.wav", "/x/all-2.wav"}, 900)
    assert stopped.about == "what is in it"


def test_a_process_that_gets_a_member_later_records_him() -> None:
    book = Book(2)
    a, b = book.open(1), book.open(2)
    book.join(1, "r")
    book.router.send(StartRoomRecording("r", "/x/all.wav", "tracks"))
    assert not book.told(b, StartRoomRecording)
    book.join(2, "r")
    assert [command.part for command in book.told(b, StartRoomRecording)] == [True]
    assert [command.part for command in book.told(a, StartRoomRecording)] == [False]


@pytest.mark.parametrize("who", ["owner", "other"])
def test_a_recording_survives_or_ends_with_its_process_and_says_so(who: str) -> None:
    book, owner, other = recording("both")
    book.router.lost(owner if who == "owner" else other)
    if who == "owner":
        assert book.told(other, StopRoomRecording)
        book.router.on_event(other, RoomRecordingStopped("r", ("/x/all-2.wav",), 880, "asked", "{}"))
    else:
        book.router.send(StopRoomRecording("r"))
        book.router.on_event(owner, RoomRecordingStopped("r", ("/x/all.wav",), 900, "asked"))
    (stopped,) = book.got(RoomRecordingStopped)
    assert "lost" in stopped.reason


def test_a_recording_that_follows_another_waits_for_its_end() -> None:
    book, owner, other = recording("both")
    book.router.send(StartRoomRecording("r", "/x/next.wav", "mix"))
    book.router.on_event(other, RoomRecordingStopped("r", (), 880, "asked", "{}"))
    book.router.on_event(owner, RoomRecordingStopped("r", ("/x/all.wav",), 900, "asked"))
    started = [c.path for place in (0, 1) for c in book.told(place, StartRoomRecording) if not c.part]
    assert started.count("/x/next.wav") == 1
    book.router.send(StopRoomRecording("r"))
    assert len(book.got(RoomRecordingStopped)) == 1


# ---------------------------------------------------------------------------------------------------------------- properties
MOVES = st.lists(
    st.tuples(st.sampled_from(["enter", "flush", "tee", "untee", "forget"]), st.integers(0, 5), st.sampled_from(["r", "s"])),
    max_size=40,
)


@settings(max_examples=200, deadline=None)
@given(MOVES)
def test_every_process_always_knows_the_others_of_its_rooms(moves: list[tuple[str, int, str]]) -> None:
    rooms = MediaRooms()
    inside: dict[int, set[str]] = defaultdict(set)
    teed: dict[int, set[str]] = defaultdict(set)
    known: dict[tuple[int, str], tuple[int, ...]] = {}
    numbers: dict[int, str] = {}
    for move, leg, room in moves:
        place = leg % 3
        if move == "enter":
            rooms.enter(leg, place, room)
            inside[leg].add(room)
        elif move == "flush":
            rooms.flush(leg)
            inside[leg].clear()
        elif move in ("tee", "untee"):
            rooms.tee(leg, place, room, move == "tee")
            (teed[leg].add if move == "tee" else teed[leg].discard)(room)
        else:
            rooms.forget(leg)
            inside[leg].clear()
            teed[leg].clear()
        for told, span in rooms.changes():
            known[told, span.room] = span.peers
            assert numbers.setdefault(span.number, span.room) == span.room
        for name in ("r", "s"):
            places = {leg % 3 for leg in range(6) if name in inside[leg] | teed[leg]}
            assert set(rooms.processes(name)) == places
            for each in range(3):
                others = tuple(sorted(places - {each})) if each in places else ()
                assert known.get((each, name), ()) == others


@given(st.integers(1, 65000), st.integers(1, 3000), st.integers(1, 64))
def test_the_port_range_is_divided_into_whole_pairs(low: int, width: int, count: int) -> None:
    high = min(low + width, 65535)
    try:
        parts = port_ranges(low, high, count)
    except ValueError as error:
        assert "pairs" in str(error)
        assert (high + 1 - (low + low % 2)) // 2 < count
        return
    assert len(parts) == count
    assert parts[0][0] in (low, low + 1)
    assert parts[-1][1] <= high
    sizes = []
    for (first, last), following in zip(parts, [*parts[1:], (parts[-1][1] + 1, 0)], strict=True):
        assert first % 2 == 0
        assert last % 2 == 1
        assert following[0] == last + 1
        sizes.append(last - first)
    assert max(sizes) - min(sizes) <= 2


# --------------------------------------------------------------------------------------------------------- recordings of legs
def test_each_recording_of_a_leg_is_told_to_have_ended_once() -> None:
    book = Book(2)
    place = book.open(1)
    book.router.send(StartRecording(1, "/a.wav"))
    book.router.send(StartRecording(1, "/b.wav"))
    book.router.on_event(place, RecordingStopped(1, "/a.wav", 1000, 16044, "asked"))
    book.router.send(CloseLeg(1))
    book.router.lost(place)
    assert [(event.path, event.reason) for event in book.got(RecordingStopped)] == [
        ("/a.wav", "asked"),
        ("/b.wav", "the media process that recorded it is lost"),
    ]


def test_a_recording_that_cannot_begin_is_told_to_have_ended() -> None:
    book = Book(2)
    book.router.send(StartRecording(7, "/a.wav"))
    place = book.open(8)
    book.router.send(StartRecording(8, "/b.wav"))
    book.router.on_event(place, LegFailed(8, "no port"))
    assert [(event.path, event.reason) for event in book.got(RecordingStopped)] == [
        ("/a.wav", "the call has no media"),
        ("/b.wav", "the call has no media"),
    ]


def test_the_only_process_takes_every_leg_and_what_it_cannot_open_is_said_at_once() -> None:
    book = Book(1)
    assert book.open(1, room="r") == 0
    book.media[0].fail_next_leg = "no port"
    book.router.send(OpenLeg(2))
    assert book.got(LegFailed) == [LegFailed(2, "no port")]
    book.router.send(CloseLeg(2))
    book.router.send(OpenLeg(2))
    assert 2 in book.media[0].legs and book.router.load.processes[0].legs == 2


def test_the_only_process_gets_no_leg_while_it_is_silent_or_gone() -> None:
    book = Book(1)
    book.router.set_silent(0, True)
    book.router.send(OpenLeg(1))
    book.router.set_silent(0, False)
    book.router.lost(0)
    book.router.send(OpenLeg(2))
    assert [event.reason for event in book.got(LegFailed)] == ["no media process answers", "no media process is up"]
