# SPDX-License-Identifier: GPL-2.0-or-later
"""Audio played once to everybody in a room, mixed over the talk (Announce): announcements, join and leave sounds."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from media.codecs.codec import Codec
from media.control.play_items import PlayFile, PlaySilence, PlayTone, Sound
from media.control.records import AnnounceFailed, Event
from media.dsp import tone
from media.dsp.coding import NATIVE
from media.dsp.resample import FrameConverters
from media.engine.leg_table import LegTable
from media.engine.mix_rooms import Announced
from media.engine.rooms import Rooms
from media.engine.sources import StoredAudio

FRAMES_A_SECOND = 50
LONGEST_MS = 600_000
Want = Callable[[str, Codec, Callable[[StoredAudio | None, str], None]], object]


@lru_cache(maxsize=16)
def plain_samples(rate_hz: int) -> Codec:
    """Return the codec that leaves samples as they are, at a rate."""
    return Codec("SAMPLES", rate_hz, rate_hz, NATIVE, 2, lambda s: s.astype(np.int16).view(np.uint8), lambda p: p.view(np.int16))


def made_samples(item: PlaySilence | PlayTone, rate_hz: int) -> NDArray[np.int16]:
    """Return the samples of a tone or of silence, of a second unless the item says how long."""
    length = min(max(item.length_ms, 0) or 1000, LONGEST_MS) * rate_hz // 1000
    if isinstance(item, PlaySilence):
        return np.zeros(length, np.int16)
    return np.resize(tone.cadence(item.frequencies_hz, item.on_ms, item.off_ms, rate_hz), length)


@dataclass(slots=True, eq=False)
class QueuedSound:
    """One item: its samples once they are there; without them and `failed`, it is skipped."""

    rate_hz: int
    samples: NDArray[np.int16] | None = None
    failed: bool = False


@dataclass(slots=True, eq=False)
class _Queue:
    sounds: deque[QueuedSound] = field(default_factory=deque)
    position: int = 0
    converters: FrameConverters = field(default_factory=FrameConverters)
    """A room's rate may have changed since a sound was asked for."""


class Announcements:
    """The announcements of all rooms."""

    def __init__(self, table: LegTable, rooms: Rooms, want: Want, emit: Callable[[Event], None]) -> None:
        self._frames: NDArray[np.int32] = np.zeros((1, 1), np.int32)
        self._table = table
        self._rooms = rooms
        self._want = want
        self._emit = emit
        self._queues: dict[str, _Queue] = {}
        self._nobody: NDArray[np.int32] = np.zeros(0, np.int32)
        self.taken: dict[str, NDArray[np.int16]] = {}
        """What `next` has just taken: room → a whole frame, at the sound's rate."""

    def play(self, room: str, items: tuple[Sound, ...], rate_hz: int) -> None:
        """Queue sounds for a room. Raises ValueError for what is none."""
        sounds = [self._queued(room, item, rate_hz) for item in items]
        self._queues.setdefault(room, _Queue()).sounds.extend(sounds)

    def is_playing(self, room: str) -> bool:
        """Whether a room is being played something."""
        return room in self._queues

    def _queued(self, room: str, item: Sound, rate_hz: int) -> QueuedSound:
        match item:
            case PlaySilence() | PlayTone():
                return QueuedSound(rate_hz, made_samples(item, rate_hz))
            case PlayFile():
                sound = QueuedSound(rate_hz)
                failed = partial(AnnounceFailed, room, item.path)
                self._want(item.path, plain_samples(rate_hz), lambda audio, error: self._loaded(sound, audio, failed(error)))
                return sound
            case _:  # the wire does not look into tuples
                raise ValueError(f"a room cannot be played {type(item).__name__}: file, tone or silence")

    def _loaded(self, sound: QueuedSound, audio: StoredAudio | None, failed: AnnounceFailed) -> None:
        if audio is None:
            self._emit(failed)
        sound.failed = audio is None
        sound.samples = audio.payload.view(np.int16) if audio is not None else None

    def next(self, samples: int) -> Announced:
        """Return what is announced in this tick, by room in the order of ``Rooms.arrays``. `samples`: of the longest frame."""
        if len(self._nobody) != len(self._rooms):
            self._nobody = np.full(len(self._rooms), -1, np.int32)
        if self._frames.shape[0] < len(self._queues) or self._frames.shape[1] < samples:
            self._frames = np.zeros((max(len(self._queues), 1), samples), np.int32)
        self.taken.clear()
        if not self._queues:
            return Announced(self._nobody, self._frames)
        rows = np.full(len(self._rooms), -1, np.int32)
        index_of = {name: i for i, name in enumerate(self._rooms.names())}
        for row, (room, queue) in enumerate(list(self._queues.items())):
            frame = self._take(queue)
            if frame is None or room not in index_of:
                if not queue.sounds or room not in index_of:
                    del self._queues[room]
                    self._rooms.touched.add(room)
                continue
            self.taken[room] = frame
            frame = self._at_room_rate(queue, frame, index_of[room])
            self._frames[row] = 0
            self._frames[row, : len(frame)] = frame
            rows[index_of[room]] = row
        return Announced(rows, self._frames)

    def _at_room_rate(self, queue: _Queue, frame: NDArray[np.int16], room: int) -> NDArray[np.int16]:
        """Return a frame as long as the room's longest: that is what the room is mixed in."""
        arrays = self._rooms.arrays()
        members = arrays.members[arrays.starts[room] : arrays.starts[room + 1]]
        feeders = arrays.feeders[arrays.feed_starts[room] : arrays.feed_starts[room + 1], 0]
        lengths = self._table.rows["frame_samples"]
        most = int(max(lengths[members].max(initial=0), lengths[feeders].max(initial=0)))
        return queue.converters.convert("", frame, most) if most else frame[:0]

    def _take(self, queue: _Queue) -> NDArray[np.int16] | None:
        while queue.sounds and queue.sounds[0].failed:
            queue.sounds.popleft()
        if not queue.sounds or queue.sounds[0].samples is None:
            return None
        sound = queue.sounds[0]
        assert sound.samples is not None
        count = sound.rate_hz // FRAMES_A_SECOND
        frame = sound.samples[queue.position : queue.position + count]
        if len(frame) < count:
            frame = np.pad(frame, (0, count - len(frame)))
        queue.position += count
        if queue.position >= len(sound.samples):
            queue.sounds.popleft()
            queue.position = 0
        return frame
