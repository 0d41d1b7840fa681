# SPDX-License-Identifier: GPL-2.0-or-later
"""The state of every leg as one table: a numpy structured array, one row a leg, one column a property.

Kernels walk it row by row (a row is a few neighbouring cache lines), Python reads and writes single rows when a command changes
something. Addresses in it point into numpy arrays that ``LegTable`` keeps alive. The table grows by doubling; nothing limits it.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from media.dsp.resample import HISTORY

SOURCE_SILENCE = 0
SOURCE_STORED = 1
SOURCE_ROOM = 2
SOURCE_ECHO = 3
SOURCE_RELAY = 4
SOURCE_CODED = 5

RELAY_NONE = 0
RELAY_KEEPS = 1
RELAY_PURE = 2
RELAY_BOTH = 3
"""Whether a leg's payloads are kept to be passed on: not, beside decoding, instead of it, beside it while they are passed on."""

MISSING = -32768  # a constant of the kernels, as those above
"""Sample value that marks "nothing arrived here" in a playout ring; decoders never produce it."""

# What a packet's arrival touches stands first: a row is several cache lines, and receive.py fetches RECEIVING_BYTES of it.
LEG = np.dtype(
    [
        ("used", "u1"),
        ("connected", "u1"),
        ("receiving", "u1"),  # direction and SetLegAudio taken together
        ("sending", "u1"),
        ("listened", "u1"),  # somebody needs this leg's audio: room, echo, bridge, recording, in-band digits
        ("locked", "u1"),  # source latched
        ("coding", "u1"),  # of its payloads: media.dsp.coding
        ("report_digits", "u1"),
        ("payload_type_receive", "u1"),
        ("payload_type_send", "u1"),
        ("payload_type_digits", "u1"),  # 255: none negotiated
        ("source", "u1"),  # SOURCE_*
        ("speaks", "u1"),  # its frame goes into its room
        ("feeds", "u1"),  # its frame goes into the rooms that it is teed into
        ("hears", "u1"),  # 0: deaf
        ("loops", "u1"),
        ("marker", "u1"),  # next packet starts a talk spurt
        ("primed", "u1"),  # playout clock is set
        ("heard", "u1"),  # this tick's frame holds audio
        ("started", "u1"),  # a first packet has arrived
        ("elsewhere", "u1"),  # the peer's packets may come from another address: who has the port's slot is looked for
        ("timed_out", "u1"),
        ("late_in_row", "u1"),
        ("odd_in_row", "u1"),  # packets far too early or too late that said the same
        ("silence_byte", "u1"),
        ("due", "u1"),  # this tick has a packet for it
        ("running", "u1"),  # connected and attached: its playlist moves on
        ("fixed", "u1"),  # playout never adapts (SetPlayout simple)
        ("missing_in_row", "u1"),  # frames concealed since audio last came
        ("relays", "u1"),  # RELAY_*
        ("relay_run", "u1"),  # packets of 20 ms in a row
        ("relay_shift", "i1"),  # frames that its clock is to gain (> 0) or lose, while payloads are passed on
        ("also_low", "u8"),  # payload types that the peer may change to: bit n for n, and in the next for n + 64
        ("also_high", "u8"),
        ("socket", "i4"),
        ("secure", "i4"),  # row of its keys in secure.py, 0: plain RTP
        ("frame_samples", "i4"),
        ("frame_bytes", "i4"),
        ("sample_bytes", "i4"),
        ("frame_ticks", "i4"),  # of the RTP clock
        ("samples_per_tick", "i4"),  # 2 for G.722, whose RTP clock is half its rate
        ("gain_q12", "i4"),
        # receiving
        ("ssrc_in", "u4"),
        ("allowance", "i4"),  # packets that may be sent before one has come; -1: any number
        ("play_ts", "u4"),  # timestamp of the next sample to play
        ("delay_samples", "i4"),  # margin that the playout buffer aims for
        ("max_delay_samples", "i4"),
        ("margin_min", "i4"),  # smallest margin seen in this window
        ("margin_count", "i4"),
        ("odd_margin", "i4"),
        ("ring_address", "u8"),  # int16 ring; 0: none
        ("ring_samples", "i4"),  # power of two
        ("sequence_max", "u2"),
        ("sequence_cycles", "u4"),
        ("sequence_base", "u4"),
        ("transit", "i4"),
        ("jitter_q4", "i4"),  # interarrival jitter in clock ticks, times 16 (RFC 3550 §A.8)
        ("clock_hz", "i4"),
        ("arrived_ns", "i8"),  # when the last packet came
        ("packets_received", "i8"),  # of the stream of `ssrc_in`
        ("bytes_received", "i8"),
        ("resyncs", "i8"),
        ("packets_late", "i8"),
        ("packets_duplicate", "i8"),
        ("packets_too_long", "i8"),  # not played: beyond arrival.LONGEST_FRAMES
        ("frames_concealed", "i8"),
        ("relay_sequence", "u2"),  # newest packet kept
        ("relay_ts", "u4"),
        ("coding_delay", "i4"),  # samples by which its codec is late
        ("slots_address", "u8"),  # payloads kept: relay.py
        ("slots", "i4"),  # power of two
        ("slot_bytes", "i4"),
        # sending
        ("send_bytes", "i4"),  # payload of a packet, before a library codec; frame_bytes unless its packets are not of 20 ms
        ("send_ticks", "i4"),
        ("usual_bytes", "i4"),  # what both are while the leg plays no precoded file
        ("usual_ticks", "i4"),
        ("ssrc_out", "u4"),
        ("ts_out", "u4"),
        ("sequence_out", "u2"),
        ("stored_address", "u8"),  # encoded audio that is only copied
        ("stored_position", "i8"),
        ("stored_length", "i8"),
        ("coded_bytes", "i4"),  # of a packet from a precoded file (SOURCE_CODED)
        ("coded_frame_bytes", "i4"),
        ("coded_frame_ticks", "i4"),
        ("coded_credit", "i4"),  # clock ticks for which no packet has been sent yet
        ("remaining_samples", "i8"),  # of the current item; -1: endless
        ("packets_sent", "i8"),
        ("bytes_sent", "i8"),
        ("timeout_ns", "i8"),
        ("packet_bytes", "i4"),  # of this tick's packet
        ("adjust_samples", "i4"),  # samples still to be left out (> 0) or put in (< 0), one a frame
        ("energy", "f4"),  # mean square of what the leg says, smoothed; full scale 1
        ("loss_run", "i4"),  # phase of the concealment
        # RTCP
        ("received_before", "i8"),  # packets of streams of other SSRCs, before `ssrc_in`
        ("lost_before", "i8"),
        ("ssrc_seen_ntp", "u4"),  # middle of the NTP time of the last sender report
        ("ssrc_seen_ns", "i8"),  # when that came
        ("ssrc_reported", "u4"),  # whose reports come from the signalled address, 0: none yet
        ("expected_prior", "u4"),
        ("received_prior", "u4"),
        ("round_trip_us", "i8"),  # -1: unknown
        ("peer_lost_q8", "i4"),  # fraction that the peer lost, of 256; -1: unknown
        ("peer_jitter", "i4"),
        ("rtcp_name", "u1", 28),  # struct sockaddr of where reports go
        ("rtcp_bytes", "i4"),  # 0: nowhere
        ("name", "u1", 28),  # struct sockaddr of the destination
        ("name_bytes", "i4"),
    ],
    align=True,
)

_C_TYPES: dict[str, Any] = {
    "u1": ctypes.c_uint8, "i1": ctypes.c_int8, "u2": ctypes.c_uint16, "u4": ctypes.c_uint32, "i4": ctypes.c_int32,
    "u8": ctypes.c_uint64, "i8": ctypes.c_int64, "f4": ctypes.c_float,
}  # fmt: skip
Sockaddr = ctypes.c_uint8 * 28
"""`Sockaddr.from_buffer_copy(name)` is what a field of that kind takes."""


def _c_field(name: str) -> tuple[str, Any]:
    kind = LEG[name]
    return name, _C_TYPES[kind.base.str[1:]] if not kind.shape else Sockaddr


class LegRow(ctypes.Structure):
    """One row of ``LEG`` in place, its fields as attributes: plain ints, and addresses as Sockaddr.

    Commands set some hundred fields a call, and numpy takes 0.2 us for a field of one row, this 0.05. Too large a number is cut off.
    """

    __slots__ = ()
    _fields_ = [_c_field(name) for name in LEG.names or ()]

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...
        def __setattr__(self, name: str, value: Any) -> None: ...


_CLEARED = np.zeros((), LEG)
_USED = np.zeros((), LEG)
_USED["used"] = 1

FIRST_ROWS = 64
HEADER_BYTES = 12
SLOT_HEADER = 16

RING_BLOCK_BYTES = 4 << 20
"""From this size on numpy asks the system for large pages."""


class RingPool:
    """Playout rings, many side by side in blocks that are large enough for the system's large pages.

    A ring alone would have memory pages of its own, and a tick over a thousand legs spends more on finding a thousand pages than on
    their samples.
    """

    def __init__(self) -> None:
        self._free: dict[int, list[NDArray[np.int16]]] = {}

    def take(self, samples: int) -> NDArray[np.int16]:
        """Return a ring of so many samples, with anything in it."""
        free = self._free.setdefault(samples, [])
        if not free:
            block = np.empty((max(RING_BLOCK_BYTES // (2 * samples), 1), samples), np.int16)
            free.extend(block[::-1])
        return free.pop()

    def give_back(self, ring: NDArray[np.int16]) -> None:
        """Take a ring that nobody reads or writes any more."""
        self._free[len(ring)].append(ring)


class LegArrays(NamedTuple):
    """All legs for the kernels of a tick, a row a leg.

    `rows`: LEG (n,) · `frames`: int16 (n, most samples a frame) · `packets`: uint8 (n, HEADER_BYTES + most bytes of a payload) ·
    `history`: int16 (n, dsp.resample.HISTORY).
    """

    rows: NDArray[np.void]
    frames: NDArray[np.int16]
    packets: NDArray[np.uint8]
    history: NDArray[np.int16]


class LegTable:
    """Rows of ``LEG`` with the frame and packet matrices beside them, and what the rows' addresses point to.

    `rows`: LEG (n,) · `frames`: int16 (n, most samples a frame), this tick's decoded audio · `packets`: uint8 (n, HEADER_BYTES +
    most bytes of a payload), this tick's outgoing RTP. All are replaced when the table grows: take them afresh each tick.
    """

    def __init__(self, frame_samples: int = 160, frame_bytes: int = 160) -> None:
        self.rows: NDArray[np.void] = np.zeros(FIRST_ROWS, LEG)
        self.frames: NDArray[np.int16] = np.zeros((FIRST_ROWS, frame_samples), np.int16)
        self.packets: NDArray[np.uint8] = np.zeros((FIRST_ROWS, HEADER_BYTES + frame_bytes), np.uint8)
        self.history: NDArray[np.int16] = np.zeros((FIRST_ROWS, HISTORY), np.int16)
        """Ends of past frames, for resampling in rooms of several rates: int16 (n, dsp.resample.HISTORY)."""
        self._row_views: list[LegRow | None] = [None] * FIRST_ROWS
        self._free = list(range(FIRST_ROWS - 1, -1, -1))
        self._rings: dict[int, NDArray[np.int16]] = {}
        self._ring_pool = RingPool()
        self._stored: dict[int, NDArray[np.uint8]] = {}
        self._slots: dict[int, NDArray[np.uint8]] = {}

    def __len__(self) -> int:
        return len(self.rows) - len(self._free)

    @property
    def arrays(self) -> LegArrays:
        """What kernels take, until the table grows."""
        return LegArrays(self.rows, self.frames, self.packets, self.history)

    def row(self, row: int) -> LegRow:
        """Return a row to read and write fields of; like `rows`, it is to be taken afresh when the table may have grown."""
        view = self._row_views[row]
        if view is None:
            view = self._row_views[row] = LegRow.from_buffer(self.rows.data, row * LEG.itemsize)
        return view

    def take(self, like: NDArray[np.void] = _USED) -> int:
        """Return a row that nobody has, and which begins as LEG () `like`, marked as used: a field set by itself costs as much as all of them."""
        if not self._free:
            self._grow_rows()
        row = self._free.pop()
        self.rows[row] = like
        self.history[row] = 0
        return row

    def release(self, row: int) -> None:
        """Give a row back; what its addresses pointed to may go."""
        self.rows[row] = _CLEARED
        self._drop_ring(row)
        self._stored.pop(row, None)
        self._slots.pop(row, None)
        self._free.append(row)

    def fit(self, frame_samples: int, frame_bytes: int) -> None:
        """Widen the matrices for a leg with longer frames than any before."""
        if frame_samples > self.frames.shape[1]:
            self.frames = np.pad(self.frames, ((0, 0), (0, frame_samples - self.frames.shape[1])))
        if HEADER_BYTES + frame_bytes > self.packets.shape[1]:
            self.packets = np.pad(self.packets, ((0, 0), (0, HEADER_BYTES + frame_bytes - self.packets.shape[1])))

    def set_ring(self, row: int, samples: int) -> None:
        """Give a row an empty playout ring of at least so many samples."""
        size = 1 << (samples - 1).bit_length()
        ring = self._rings.get(row)
        if ring is None or len(ring) != size:
            self._drop_ring(row)
            ring = self._rings[row] = self._ring_pool.take(size)
        ring[:] = MISSING
        leg = self.row(row)
        leg.ring_address, leg.ring_samples = ring.ctypes.data, size

    def _drop_ring(self, row: int) -> None:
        ring = self._rings.pop(row, None)
        if ring is not None:
            self._ring_pool.give_back(ring)

    def fill_ring(self, row: int, samples: NDArray[np.int16], ahead: int) -> None:
        """Put samples into a row's ring, the first of them so many samples after the one that is played next."""
        ring = self._rings[row]
        first = (int(self.rows[row]["play_ts"]) + ahead) % 0x100000000
        count = min(len(samples), max(len(ring) - ahead, 0))
        ring[(first + np.arange(count)) & (len(ring) - 1)] = np.maximum(samples[:count], -32767)

    def set_slots(self, row: int, slots: int, slot_bytes: int) -> NDArray[np.uint8]:
        """Give a row so many empty slots for payloads (a power of two; 0 takes them away); return them."""
        kept = np.zeros((slots, slot_bytes + SLOT_HEADER), np.uint8)
        self._slots[row] = kept
        leg = self.rows[row]
        leg["slots_address"], leg["slots"], leg["slot_bytes"] = kept.ctypes.data, slots, slot_bytes
        return kept

    def set_stored(self, row: int, payload: NDArray[np.uint8] | None, position_bytes: int = 0) -> None:
        """Let a row send encoded audio from an array, which is kept and not copied; None: from nothing."""
        leg = self.row(row)
        if payload is None:
            if self._stored.pop(row, None) is None:
                return
            leg.stored_address, leg.stored_length, leg.stored_position = 0, 0, 0
            return
        self._stored[row] = payload
        leg.stored_address = payload.__array_interface__["data"][0]  # `ctypes.data` runs Python code of numpy's for it
        leg.stored_length = len(payload)
        leg.stored_position = position_bytes

    def _grow_rows(self) -> None:
        old = len(self.rows)
        self.rows = np.concatenate([self.rows, np.zeros(old, LEG)])
        self._row_views = [None] * len(self.rows)
        self.frames = np.concatenate([self.frames, np.zeros_like(self.frames)])
        self.packets = np.concatenate([self.packets, np.zeros_like(self.packets)])
        self.history = np.concatenate([self.history, np.zeros_like(self.history)])
        self._free = list(range(2 * old - 1, old - 1, -1))
