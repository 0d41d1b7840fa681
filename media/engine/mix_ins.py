# SPDX-License-Identifier: GPL-2.0-or-later
"""A second source mixed over what a leg is sent (spec core.md §9.5): SetupMixIn, MixIn, FlushMixIn.

Packets are made as without it; ``mix_over`` then takes those of the legs with a mixer, decodes, mixes, encodes. Legs without one are
not looked at. Python acts when a piece begins or ends, the kernel in each tick.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from media.codecs import g711
from media.codecs.codec import LINEAR_16, NATIVE
from media.control.records import Event, ItemFailed, PlayFile, PlaySilence, PlayTone, Sound
from media.dsp.kernel import borrowed, inline_kernel, kernel, samples_at
from media.engine.announcements import FRAMES_A_SECOND, Want, made_samples, plain_samples
from media.engine.leg import Leg
from media.engine.leg_table import HEADER_BYTES, SOURCE_CODED, LegTable
from media.engine.render import put_samples
from media.engine.sources import StoredAudio

ALONE_BELOW = 0.01
"""Levels under this leave nothing of the leg's own audio while the other plays."""

WHOLE_Q15 = 32768
LONGEST_INTERVAL_MS = 366 * 86_400_000

MIXER = np.dtype(
    [
        ("row", "i4"),
        ("share_q15", "i4"),
        ("playing", "u1"),
        ("loops", "u1"),
        ("interval_frames", "i8"),
        ("wait_frames", "i8"),  # until it is due (again)
        ("address", "u8"),  # int16 samples at the leg's rate, kept by the piece
        ("length", "i8"),
        ("position", "i8"),
    ],
    align=True,
)


@inline_kernel
def get_samples(packet: Any, samples: Any, count: Any, law: Any, decode: Any) -> None:
    """Decode a packet's payload: the reverse of ``render.put_samples``."""
    if law in (LINEAR_16, NATIVE):
        first = 8 if law == LINEAR_16 else 0
        for i in range(count):
            high, low = np.int64(packet[HEADER_BYTES + 2 * i]), np.int64(packet[HEADER_BYTES + 2 * i + 1])
            samples[i] = np.int16((high << first) | (low << (8 - first)))
    else:
        for i in range(count):
            samples[i] = decode[law, packet[HEADER_BYTES + i]]


@inline_kernel
def blend(mixer: Any, samples: Any, count: Any) -> None:
    """Mix what the piece has next into `samples`; after its end they are as they were."""
    piece = samples_at(mixer.address, mixer.length)
    share = np.int64(mixer.share_q15)
    at = mixer.position
    for i in range(count):
        if at >= mixer.length:
            if not mixer.loops:
                break
            at = 0
        samples[i] = (samples[i] * (WHOLE_Q15 - share) + piece[at] * share) >> 15
        at += 1


@kernel
def mix_over(mixers: Any, legs: Any, packets: Any, decode: Any, encode: Any, own: Any, ended: Any, ended_count: Any) -> None:
    """Mix over the packets of the legs that have a mixer, and move the mixers on.

    `mixers`: MIXER (m,), written · `own`: int32 (most samples,), scratch · `ended`: int32 (≥ m,), places of mixers whose piece is
    over, from `ended_count[0]` on.
    """
    mixers, legs, packets, own = borrowed(mixers), borrowed(legs), borrowed(packets), borrowed(own)
    decode, encode = borrowed(decode), borrowed(encode)
    for place in range(mixers.shape[0]):
        mixer = mixers[place]
        leg = legs[mixer.row]
        if not leg.running:
            continue
        if not mixer.playing and mixer.wait_frames <= 0 and mixer.length > 0:
            mixer.playing = 1
            mixer.wait_frames = mixer.interval_frames
        mixer.wait_frames = max(mixer.wait_frames - 1, 0)
        if not mixer.playing or mixer.length == 0:
            continue
        count = np.int64(leg.frame_samples)
        if leg.due and leg.source != SOURCE_CODED:
            get_samples(packets[leg_row(mixer)], own, count, leg.law, decode)
            blend(mixer, own, count)
            put_samples(packets[leg_row(mixer)], own, count, leg.law, encode)
        mixer.position += count
        if mixer.loops:
            mixer.position %= mixer.length
        elif mixer.position >= mixer.length:
            ended[ended_count[0]] = place
            ended_count[0] += 1


@inline_kernel
def leg_row(mixer: Any) -> Any:
    """Return the row as an index."""
    return np.int64(mixer.row)


@dataclass(slots=True, eq=False)
class Piece:
    """One item; `samples` are at `rate_hz` (0: not asked for). `wanted`: which request for a file counts."""

    item: Sound
    rate_hz: int = 0
    samples: NDArray[np.int16] | None = None
    wanted: int = 0


@dataclass(slots=True, eq=False)
class Mixer:
    """What a leg's mixer has to play; `repeats`: the whole of `pieces` again at every interval, from number `current` on."""

    leg: Leg
    repeats: bool = False
    current: int = 0
    pieces: deque[Piece] = field(default_factory=deque)


class MixIns:
    """The mixers of a process, dense: number k is row k of the table that the kernel walks."""

    def __init__(self, table: LegTable, want: Want, emit: Callable[[Event], None]) -> None:
        self._table = table
        self._want = want
        self._emit = emit
        self._mixers: list[Mixer] = []
        self._places: dict[int, int] = {}  # leg number → place
        self._rows: NDArray[np.void] = np.zeros(4, MIXER)
        self._ended = np.zeros(4, np.int32)
        self._ended_count = np.zeros(1, np.int64)

    def __contains__(self, leg: Leg) -> bool:
        return leg.number in self._places

    # ----------------------------------------------------------------------------------------------------------- commands
    def setup(self, leg: Leg, level: float, interval_ms: int) -> None:
        """Put a mixer over a leg, in the place of one that is there."""
        self.close(leg)
        place = len(self._mixers)
        if place == len(self._rows):
            self._rows = np.concatenate([self._rows, np.zeros(place, MIXER)])
            self._ended = np.zeros(2 * place, np.int32)
        frames = min(max(interval_ms, 0), LONGEST_INTERVAL_MS) * FRAMES_A_SECOND // 1000
        self._rows[place] = np.zeros((), MIXER)
        row = self._rows[place]
        row["row"], row["interval_frames"], row["wait_frames"] = leg.row, frames, frames
        row["share_q15"] = round(min(level, 1.0) * WHOLE_Q15) if level >= ALONE_BELOW else WHOLE_Q15
        self._mixers.append(Mixer(leg))
        self._places[leg.number] = place

    def play(self, leg: Leg, items: tuple[Sound, ...], replace: bool) -> None:
        """Give a leg's mixer pieces to play."""
        place = self._places.get(leg.number)
        if place is None or not items:
            return
        mixer = self._mixers[place]
        if replace or mixer.repeats:
            self._clear(place)
        mixer.repeats = replace
        new = [Piece(item) for item in items]
        mixer.pieces.extend(new)
        for piece in new:
            self._prepare(mixer, piece)
        if not self._rows[place]["length"]:
            self._show(place, int(self._rows[place]["position"]))

    def flush(self, leg: Leg) -> None:
        """Drop what was appended; what repeats stays."""
        place = self._places.get(leg.number)
        if place is not None and not self._mixers[place].repeats:
            self._clear(place)

    def close(self, leg: Leg) -> None:
        """Take a leg's mixer away; the last one moves to its place."""
        place = self._places.pop(leg.number, None)
        if place is None:
            return
        last = self._mixers.pop()
        if place < len(self._mixers):
            self._mixers[place], self._rows[place] = last, self._rows[len(self._mixers)]
            self._places[last.leg.number] = place

    def codec_set(self, leg: Leg) -> None:
        """The leg has a codec: its pieces must be at that codec's rate; one that is playing goes on where it was."""
        place = self._places.get(leg.number)
        if place is None or leg.codec is None:
            return
        mixer, row = self._mixers[place], self._rows[place]
        piece = self._piece(mixer)
        if piece is not None and piece.rate_hz not in (0, leg.codec.rate_hz):
            row["position"] = int(row["position"]) * leg.codec.rate_hz // piece.rate_hz
            row["length"] = 0
        for other in list(mixer.pieces):
            self._prepare(mixer, other)
        if not row["length"]:
            self._show(place, int(row["position"]))

    # ------------------------------------------------------------------------------------------------------------- pieces
    def _prepare(self, mixer: Mixer, piece: Piece) -> None:
        """Make a piece's samples or ask for them, at the rate of the leg's codec."""
        codec = mixer.leg.codec
        if codec is None or piece.rate_hz == codec.rate_hz:
            return
        piece.rate_hz, piece.samples = codec.rate_hz, None
        piece.wanted += 1
        wanted = piece.wanted
        match piece.item:
            case PlaySilence() | PlayTone():
                piece.samples = made_samples(piece.item, codec.rate_hz)
            case PlayFile(path):
                self._want(
                    path, plain_samples(codec.rate_hz), lambda audio, error: self._loaded(mixer, piece, wanted, audio, error)
                )
            case _:  # the wire does not look into tuples
                self._fail(mixer, piece, f"{type(piece.item).__name__} cannot be mixed in: file, tone or silence")

    def _loaded(self, mixer: Mixer, piece: Piece, wanted: int, audio: StoredAudio | None, error: str) -> None:
        if wanted != piece.wanted or piece not in mixer.pieces or mixer not in self._mixers:
            return
        if audio is None or not len(audio.payload):
            self._fail(mixer, piece, error or "there is no audio in it")
            return
        piece.samples = audio.payload.view(np.int16)
        if self._piece(mixer) is piece:
            place = self._places[mixer.leg.number]
            self._show(place, int(self._rows[place]["position"]))

    def _fail(self, mixer: Mixer, piece: Piece, reason: str) -> None:
        """Leave a piece out and say so."""
        path = piece.item.path if isinstance(piece.item, PlayFile) else ""
        self._emit(ItemFailed(mixer.leg.number, path, reason))
        was_current = self._piece(mixer) is piece
        number = mixer.pieces.index(piece)
        del mixer.pieces[number]
        mixer.current -= number < mixer.current
        if was_current:
            mixer.current %= max(len(mixer.pieces), 1)
            self._show(self._places[mixer.leg.number])

    @staticmethod
    def _piece(mixer: Mixer) -> Piece | None:
        return mixer.pieces[mixer.current] if mixer.pieces else None

    def _show(self, place: int, position: int = 0) -> None:
        """Set the kernel's row for the current piece; without samples it waits."""
        row, piece = self._rows[place], self._piece(self._mixers[place])
        samples = piece.samples if piece is not None else None
        row["length"], row["address"] = (0, 0) if samples is None else (len(samples), samples.ctypes.data)
        row["position"] = min(position, max(int(row["length"]) - 1, 0)) if samples is not None else position
        row["loops"] = piece is not None and isinstance(piece.item, PlayFile) and piece.item.loop

    def _clear(self, place: int) -> None:
        self._mixers[place].pieces.clear()
        self._mixers[place].current = 0
        self._rows[place]["playing"] = 0
        self._show(place)

    # --------------------------------------------------------------------------------------------------------------- tick
    def mix(self, own: NDArray[np.int32]) -> None:
        """Mix over this tick's packets. `own`: scratch, as wide as the longest frame."""
        if not self._mixers:
            return
        self._ended_count[0] = 0
        rows = self._rows[: len(self._mixers)]
        mix_over(rows, self._table.rows, self._table.packets, g711.DECODE, g711.ENCODE, own, self._ended, self._ended_count)
        for place in self._ended[: int(self._ended_count[0])].tolist():
            self._ended_piece(place)

    def _ended_piece(self, place: int) -> None:
        """The next piece, at once while there is one; at the end of all the mixer is silent until it is due or given more."""
        mixer, row = self._mixers[place], self._rows[place]
        if mixer.repeats:
            mixer.current = (mixer.current + 1) % len(mixer.pieces)
            over = mixer.current == 0
            if over and not row["interval_frames"]:
                mixer.pieces.clear()
        else:
            mixer.pieces.popleft()
            over = not mixer.pieces
        if over:
            row["playing"] = 0
        self._show(place)
