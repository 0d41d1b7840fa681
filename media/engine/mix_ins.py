# SPDX-License-Identifier: GPL-2.0-or-later
"""A second source mixed over what a leg is sent (spec core.md §9.5): SetupMixIn, MixIn, FlushMixIn.

Packets are made as without it; ``mix_over`` then takes those of the legs with a mixer, decodes, mixes, encodes. Legs without one are
not looked at. Python acts when a sound begins or ends, the kernel in each tick.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from media.codecs import g711
from media.control.play_items import PlayFile, PlaySilence, PlayTone, Sound
from media.control.records import Event, ItemFailed
from media.engine.announcements import FRAMES_A_SECOND, Want, made_samples, plain_samples
from media.engine.leg import Leg
from media.engine.leg_table import LegTable
from media.engine.mix_over import MIXER, WHOLE_Q15, mix_over
from media.engine.sources import StoredAudio

ALONE_BELOW = 0.01
"""Levels under this leave nothing of the leg's own audio while the other plays."""

LONGEST_INTERVAL_MS = 366 * 86_400_000


@dataclass(slots=True, eq=False)
class MixInSound:
    """One item; `samples` are at `rate_hz` (0: not asked for). `wanted`: which request for a file counts."""

    item: Sound
    rate_hz: int = 0
    samples: NDArray[np.int16] | None = None
    wanted: int = 0


@dataclass(slots=True, eq=False)
class Mixer:
    """What a leg's mixer has to play; `repeats`: the whole of `sounds` again at every interval, from number `current` on."""

    leg: Leg
    repeats: bool = False
    current: int = 0
    sounds: deque[MixInSound] = field(default_factory=deque)


class MixIns:
    """The mixers of a process, dense: number k is row k of the table that the kernel walks."""

    def __init__(self, table: LegTable, want: Want, emit: Callable[[Event], None]) -> None:
        self._table = table
        self._want = want
        self._emit = emit
        self._mixers: list[Mixer] = []
        self._indexes: dict[int, int] = {}  # by leg number
        self._rows: NDArray[np.void] = np.zeros(4, MIXER)
        self._ended = np.zeros(4, np.int32)
        self._ended_count = np.zeros(1, np.int64)

    def __contains__(self, leg: Leg) -> bool:
        return leg.number in self._indexes

    # ----------------------------------------------------------------------------------------------------------- commands
    def setup(self, leg: Leg, level: float, interval_ms: int) -> None:
        """Put a mixer over a leg, instead of one that is there."""
        self.close(leg)
        index = len(self._mixers)
        if index == len(self._rows):
            self._rows = np.concatenate([self._rows, np.zeros(index, MIXER)])
            self._ended = np.zeros(2 * index, np.int32)
        frames = min(max(interval_ms, 0), LONGEST_INTERVAL_MS) * FRAMES_A_SECOND // 1000
        self._rows[index] = np.zeros((), MIXER)
        row = self._rows[index]
        row["row"], row["interval_frames"], row["wait_frames"] = leg.row, frames, frames
        row["share_q15"] = round(min(level, 1.0) * WHOLE_Q15) if level >= ALONE_BELOW else WHOLE_Q15
        self._mixers.append(Mixer(leg))
        self._indexes[leg.number] = index

    def play(self, leg: Leg, items: tuple[Sound, ...], replace: bool) -> None:
        """Give a leg's mixer sounds to play."""
        index = self._indexes.get(leg.number)
        if index is None or not items:
            return
        mixer = self._mixers[index]
        if replace or mixer.repeats:
            self._clear(index)
        mixer.repeats = replace
        new = [MixInSound(item) for item in items]
        mixer.sounds.extend(new)
        for sound in new:
            self._prepare(mixer, sound)
        if not self._rows[index]["length"]:
            self._show(index, int(self._rows[index]["position"]))

    def flush(self, leg: Leg) -> None:
        """Drop what was appended; what repeats stays."""
        index = self._indexes.get(leg.number)
        if index is not None and not self._mixers[index].repeats:
            self._clear(index)

    def close(self, leg: Leg) -> None:
        """Take a leg's mixer away; the last one moves to its index."""
        index = self._indexes.pop(leg.number, None)
        if index is None:
            return
        last = self._mixers.pop()
        if index < len(self._mixers):
            self._mixers[index], self._rows[index] = last, self._rows[len(self._mixers)]
            self._indexes[last.leg.number] = index

    def codec_set(self, leg: Leg) -> None:
        """The leg has a codec: its sounds must be at that codec's rate; one that is playing goes on where it was."""
        index = self._indexes.get(leg.number)
        if index is None or leg.codec is None:
            return
        mixer, row = self._mixers[index], self._rows[index]
        sound = self._sound(mixer)
        if sound is not None and sound.rate_hz not in (0, leg.codec.rate_hz):
            row["position"] = int(row["position"]) * leg.codec.rate_hz // sound.rate_hz
            row["length"] = 0
        for other in list(mixer.sounds):
            self._prepare(mixer, other)
        if not row["length"]:
            self._show(index, int(row["position"]))

    # ------------------------------------------------------------------------------------------------------------- sounds
    def _prepare(self, mixer: Mixer, sound: MixInSound) -> None:
        """Make a sound's samples or ask for them, at the rate of the leg's codec."""
        codec = mixer.leg.codec
        if codec is None or sound.rate_hz == codec.rate_hz:
            return
        sound.rate_hz, sound.samples = codec.rate_hz, None
        sound.wanted += 1
        wanted = sound.wanted
        match sound.item:
            case PlaySilence() | PlayTone():
                sound.samples = made_samples(sound.item, codec.rate_hz)
            case PlayFile(path):
                self._want(
                    path, plain_samples(codec.rate_hz), lambda audio, error: self._loaded(mixer, sound, wanted, audio, error)
                )
            case _:  # the wire does not look into tuples
                self._fail(mixer, sound, f"{type(sound.item).__name__} cannot be mixed in: file, tone or silence")

    def _loaded(self, mixer: Mixer, sound: MixInSound, wanted: int, audio: StoredAudio | None, error: str) -> None:
        if wanted != sound.wanted or sound not in mixer.sounds or mixer not in self._mixers:
            return
        if audio is None or not len(audio.payload):
            self._fail(mixer, sound, error or "there is no audio in it")
            return
        sound.samples = audio.payload.view(np.int16)
        if self._sound(mixer) is sound:
            index = self._indexes[mixer.leg.number]
            self._show(index, int(self._rows[index]["position"]))

    def _fail(self, mixer: Mixer, sound: MixInSound, reason: str) -> None:
        """Leave a sound out and say so."""
        path = sound.item.path if isinstance(sound.item, PlayFile) else ""
        self._emit(ItemFailed(mixer.leg.number, path, reason))
        was_current = self._sound(mixer) is sound
        number = mixer.sounds.index(sound)
        del mixer.sounds[number]
        mixer.current -= number < mixer.current
        if was_current:
            mixer.current %= max(len(mixer.sounds), 1)
            self._show(self._indexes[mixer.leg.number])

    @staticmethod
    def _sound(mixer: Mixer) -> MixInSound | None:
        return mixer.sounds[mixer.current] if mixer.sounds else None

    def _show(self, index: int, position: int = 0) -> None:
        """Set the kernel's row for the current sound; without samples it waits."""
        row, sound = self._rows[index], self._sound(self._mixers[index])
        samples = sound.samples if sound is not None else None
        row["length"], row["address"] = (0, 0) if samples is None else (len(samples), samples.ctypes.data)
        row["position"] = min(position, max(int(row["length"]) - 1, 0)) if samples is not None else position
        row["loops"] = sound is not None and isinstance(sound.item, PlayFile) and sound.item.loop

    def _clear(self, index: int) -> None:
        self._mixers[index].sounds.clear()
        self._mixers[index].current = 0
        self._rows[index]["playing"] = 0
        self._show(index)

    # --------------------------------------------------------------------------------------------------------------- tick
    def mix(self, own: NDArray[np.int32]) -> None:
        """Mix over this tick's packets. `own`: scratch, as wide as the longest frame."""
        if not self._mixers:
            return
        self._ended_count[0] = 0
        rows = self._rows[: len(self._mixers)]
        mix_over(rows, self._table.rows, self._table.packets, g711.DECODE, g711.ENCODE, own, self._ended, self._ended_count)
        for index in self._ended[: int(self._ended_count[0])].tolist():
            self._ended_sound(index)

    def _ended_sound(self, index: int) -> None:
        """The next sound, at once while there is one; at the end of all the mixer is silent until it is due or given more."""
        mixer, row = self._mixers[index], self._rows[index]
        if mixer.repeats:
            mixer.current = (mixer.current + 1) % len(mixer.sounds)
            over = mixer.current == 0
            if over and not row["interval_frames"]:
                mixer.sounds.clear()
        else:
            mixer.sounds.popleft()
            over = not mixer.sounds
        if over:
            row["playing"] = 0
        self._show(index)
