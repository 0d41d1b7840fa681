# SPDX-License-Identifier: GPL-2.0-or-later
"""A room over several engines is the room of one engine, but for the tick that the others' voices take to come over."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from media import codecs
from media.control.play_items import PlayRoom, PlaySilence
from media.control.records import CloseLeg, Enqueue, FlushPlaylist, SetLegAudio, SpanRoom, TeeRoom
from media.engine.span_arrivals import MOST_EXTRA_TICKS, SpanArrivals
from media.engine.span_sums import HEADER_WORDS, MAGIC, read_header, write_header
from media.engine.spans import Spans
from tests.support.engine_rig import EngineRig, rtp

TICKS = 24
CODECS = {"PCMU": (8000, 0, 1), "L16/16": (16000, 96, 2)}


@dataclass
class Member:
    """One leg, where it lives and what it does when: (tick, command)."""

    number: int
    home: int
    codec: str
    seed: int
    plan: dict[int, list[Any]] = field(default_factory=dict)

    @property
    def source(self) -> tuple[str, int]:
        return ("10.0.0.1", 5000 + 2 * self.number)

    def connect(self, rig: EngineRig) -> None:
        rate_hz, kind, _ = CODECS[self.codec]
        rig.connect(self.number, self.source, self.codec.partition("/")[0], rate_hz, kind)

    def frame(self, tick: int) -> bytes:
        rate_hz, kind, _ = CODECS[self.codec]
        codec = codecs.find(self.codec.partition("/")[0], rate_hz)
        assert codec is not None
        random = np.random.default_rng((self.seed, tick))
        samples = random.integers(-20000, 20000, rate_hz // 50).astype(np.int16)
        payload = codec.encode(samples).tobytes()
        return rtp(tick, tick * rate_hz // 50, payload, kind, ssrc=self.number)


class Run:
    """Engines in step. `late`: members whose commands and voices come a tick later, as those of other processes are heard."""

    def __init__(self, members: list[Member], late: set[int]) -> None:
        self.rig = EngineRig()
        self.members = members
        self.late = late
        for member in members:
            member.connect(self.rig)

    def step(self, tick: int) -> dict[int, bytes]:
        for member in self.members:
            at = tick - (member.number in self.late)
            if at < 0:
                continue
            self.rig.do(*member.plan.get(at, ()))
            if member.number in self.rig.engine.by_number:
                self.rig.arrive(self.rig.ports[member.number], member.source, member.frame(at))
        return self.rig.tick()


def exchange(runs: list[Run]) -> None:
    """Carry the sums over, as the sockets do."""
    for place, run in enumerate(runs):
        for peer, words in run.rig.engine.span_datagrams:
            runs[peer].rig.engine.spans.put(place, words.copy())


@st.composite
def meetings(draw: st.DrawFn) -> tuple[int, list[Member]]:
    """Two or three processes, members with plans; every process's room has the same rate from the first tick on."""
    processes = draw(st.integers(2, 3))
    wide = draw(st.booleans())
    members = []
    for number in range(1, draw(st.integers(2, 7)) + 1):
        codec = draw(st.sampled_from(sorted(CODECS))) if wide else "PCMU"
        member = Member(number, draw(st.integers(0, processes - 1)), codec, draw(st.integers(0, 1000)))
        for tick in draw(st.lists(st.integers(1, TICKS - 2), max_size=4, unique=True)):
            member.plan[tick] = [draw(st.sampled_from(_moves(number)))]
        if draw(st.booleans()):
            member.plan.setdefault(0, []).append(Enqueue(number, (PlayRoom("r"),)))
        members.append(member)
    for place in range(processes):  # somebody who stays, so that the rate of the room stays too
        number = 20 + place
        anchor = Member(number, place, "L16/16" if wide else "PCMU", 7 + place)
        anchor.plan[0] = [Enqueue(number, (PlayRoom("r"),))]
        members.append(anchor)
    return processes, members


def _moves(leg: int) -> list[Any]:
    return [
        Enqueue(leg, (PlayRoom("r"),)),
        Enqueue(leg, (PlaySilence(60), PlayRoom("r")), front=True),
        FlushPlaylist(leg),
        SetLegAudio(leg, muted=True),
        SetLegAudio(leg, muted=False),
        SetLegAudio(leg, deaf=True),
        TeeRoom(leg, "r"),
        TeeRoom(leg, "r", False),
        CloseLeg(leg),
    ]


@settings(max_examples=60, deadline=None)
@given(meetings())
def test_engines_that_exchange_sums_are_one_room(meeting: tuple[int, list[Member]]) -> None:
    processes, members = meeting
    homes = [[m for m in members if m.home == place] for place in range(processes)]
    runs = [Run(home, set()) for home in homes]
    for place, run in enumerate(runs):
        run.rig.do(SpanRoom("r", 9, tuple(p for p in range(processes) if p != place)))
    whole = [Run(members, {m.number for m in members if m.home != place}) for place in range(processes)]
    for tick in range(TICKS):
        for place, run in enumerate(runs):
            packets, expected = run.step(tick), whole[place].step(tick)
            for member in homes[place]:
                ours, theirs = packets.get(member.number), expected.get(member.number)
                assert (ours is None) == (theirs is None)
                assert ours is None or ours[12:] == theirs[12:], (tick, member.number)  # type: ignore[index]
        exchange(runs)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1, max_size=400))
def test_ticks_are_heard_in_order_once_and_within_the_bound(lateness: list[tuple[int, bool]]) -> None:
    """`lateness`: ticks that each datagram comes late (those behind it wait for it, as in a socket), and whether it is lost."""
    arrivals, heard, due = SpanArrivals(), [], 0
    coming: dict[int, list[int]] = {}
    for tick, (late, lost) in enumerate(lateness, 100):
        due = max(due, tick + 1 + late)
        if not lost:
            coming.setdefault(due, []).append(tick)
    for now in range(101, 101 + len(lateness) + 20):
        for tick in coming.get(now, ()):
            words = np.zeros(HEADER_WORDS, np.int32)
            write_header(words, 1, tick, True, 0)
            arrivals.put(words)
        for words in arrivals.take(now):
            header = read_header(words)
            assert header is not None
            assert now - 1 - MOST_EXTRA_TICKS <= header[1] < now
            heard.append(header[1])
    assert heard == sorted(set(heard))
    if not any(late or lost for late, lost in lateness):
        assert heard == list(range(100, 100 + len(lateness)))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=400), max_size=8), st.lists(st.integers(-(2**31), 2**31 - 1), max_size=60))
def test_any_words_are_sums_or_dropped(datagrams: list[bytes], words: list[int]) -> None:
    rig = EngineRig()
    rig.connect(1, ("10.0.0.1", 5000))
    rig.do(Enqueue(1, (PlayRoom("r"),)), SpanRoom("r", 9, (1,)))
    spans: Spans = rig.engine.spans
    for data in datagrams:
        spans.put(1, np.frombuffer(data[: len(data) & ~3], np.int32).copy())
    rig.tick()
    tick = rig.now_ns // 20_000_000
    spans.put(1, np.array([MAGIC, 5, tick, 0, 1, 3, *words], np.int32))
    spans.put(1, np.array([MAGIC, 5, tick, 0, 1, 3, 9, 160, *words], np.int32))
    assert 1 in rig.tick()
