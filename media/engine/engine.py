# SPDX-License-Identifier: GPL-2.0-or-later
"""The media engine: commands in, packets in and out by ticks, events out. It owns no socket and reads no clock.

    hub ── handle(command, now_ns) ──► legs, rooms, playlists ── take_events() ──► hub
    datagrams ── receive_batch (receive.py) ──► leg table ── tick(now_ns) ──► packets of the rows that are due

`Engine.receiver` is what `receive_batch` needs. After `tick` the rows with `due` set have a packet of `packet_bytes` bytes in `legs.packets`
for the address `name` from socket `socket`. Nothing in a tick waits or raises: files are asked for by `take_wanted` and
come by `file_loaded`; a leg whose packet or next item brings a fault of ours to light is given up with LegDropped.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from random import Random

import numpy as np
from numpy.typing import NDArray

from media.codecs import g711
from media.control import records
from media.dsp import resample
from media.engine import mix_rooms, notes, playout, render
from media.engine.commands import CommandHandler
from media.engine.leg import Leg
from media.engine.options import EngineOptions
from media.engine.parts import Parts
from media.engine.sources import FileWanted, KnownFile, StoredAudio
from media.engine.span_sums import Words
from media.engine.statistics import leg_counters, process_counters

log = logging.getLogger(__name__)

TICK_NS = 20_000_000


class Engine:
    """All legs of one media process.

    `bind(address, port)` opens an RTP socket (and RTCP beside it) and returns its index, or None when the port is taken; `unbind(index)` closes
    both, and the index may be given out anew.
    `epoch_offset_ns`: what makes wall-clock time of the engine's clock, for RTCP. `known`: files that are played without being asked for.
    """

    def __init__(
        self,
        options: EngineOptions,
        bind: Callable[[int, int], int | None],
        unbind: Callable[[int], None],
        random: Random,
        epoch_offset_ns: int = 0,
        known: KnownFile | None = None,
    ) -> None:
        self.epoch_offset_ns = epoch_offset_ns
        self.canonical_name = np.frombuffer(f"{random.getrandbits(64):016x}".encode(), np.uint8)
        self._parts = parts = Parts(options, bind, unbind, random)
        self.legs, self.by_number, self.rooms = parts.legs, parts.by_number, parts.rooms
        self.connections, self.recorders, self.spans, self.relays = parts.connections, parts.recorders, parts.spans, parts.relays
        if known is not None:
            parts.players.known = known
        self._commands = CommandHandler(parts)
        self._notes, self._note_count, self._coded = notes.empty_notes()
        self.span_datagrams: list[tuple[int, Words]] = []
        """What the last tick has for other media processes, and which."""
        self._ended = np.zeros(1, np.int32)
        self._ended_count = np.zeros(1, np.int64)
        self._scratch = mix_rooms.Scratch(
            np.zeros(1, np.int32), np.zeros(1, np.int32), np.zeros((1, 1), np.int16), np.zeros(1, np.float32)
        )

    # ------------------------------------------------------------------------------------------------------- hub to engine
    def handle(self, command: records.Command, now_ns: int) -> bool:
        """Carry out one command; False when it is none of the engine's. Raises ValueError for what a field cannot be."""
        return self._commands.handle(command, now_ns)

    def take_events(self) -> list[records.Event]:
        """Return the events since the last call, oldest first."""
        events = self._parts.events.copy()
        self._parts.events.clear()
        return events

    def take_wanted(self) -> list[FileWanted]:
        """Return the files to be loaded since the last call."""
        return self._parts.players.take_wanted()

    def file_loaded(self, token: int, audio: StoredAudio | None, error: str) -> None:
        """Bring a wanted file, or the reason why it cannot be had."""
        self._parts.players.file_loaded(token, audio, error)

    def end_recordings(self) -> None:
        """Finish every recording: the process ends."""
        self._parts.recorders.close_all()
        self._parts.call_takes.close_all()

    # --------------------------------------------------------------------------------------------------------- statistics
    def statistics(self) -> dict[str, float]:
        """Return the process's counters by name."""
        return process_counters(self._parts)

    def leg_statistics(self, leg: Leg) -> dict[str, float]:
        """Return one leg's counters by name."""
        return leg_counters(self._parts, leg)

    # -------------------------------------------------------------------------------------------------------------- ticks
    @property
    def receiver(self) -> notes.Receiver:
        """What ``receive_batch`` needs, until the next command."""
        parts, connections = self._parts, self._parts.connections
        return notes.Receiver(
            parts.legs.rows,
            connections.addresses.entries,
            connections.waiting,
            parts.counters,
            self._notes,
            self._note_count,
            self._coded,
            parts.secure.table,
            parts.secure.functions,
        )

    @property
    def keys(self) -> tuple[NDArray[np.void], NDArray[np.uint64]]:
        """What protects reports: SECURE, and ``media.rtp.srtp.functions``."""
        return self._parts.secure.table, self._parts.secure.functions

    def tick(self, now_ns: int, number: int = -1) -> None:
        """Settle what arrived since the last tick, then make this tick's packets. See the module's text for where they are.

        `number`: which tick of the machine's clock it is, one that is late included; by default the one of `now_ns`.
        """
        number = now_ns // TICK_NS if number < 0 else number
        self.settle_arrivals(now_ns)
        legs, encode = self._parts.legs, g711.ENCODE
        if len(self._ended) < len(legs.rows):
            self._ended = np.zeros(len(legs.rows), np.int32)
        rooms = self._parts.rooms.arrays()
        self._fit_scratch(legs.frames.shape[1], rooms.largest)
        self._ended_count[0] = 0
        self._parts.relays.settle()
        render.choose_due(legs.rows)
        self._parts.relays.pass_on()
        playout.play_out(legs.rows, legs.frames)
        self._parts.inband.listen()
        spans = self._parts.spans.begin(number, rooms, self._parts.recorders.mixed_rooms())
        announced = self._parts.announcements.next(legs.frames.shape[1])
        taken = self._parts.announcements.taken
        for leg, token in self._parts.recorders.capture(number * TICK_NS, self._parts.spans.recorded_frame, taken):
            self._guarded(leg, "the end of its recording", now_ns, self._parts.players.recording_ended, token)
        feed_history = self._parts.rooms.feed_history
        mix_rooms.mix_rooms(legs.arrays, rooms, feed_history, announced, spans, self._scratch, encode, resample.SINC)
        self.span_datagrams = self._parts.spans.finish(number)
        render.fill_others(legs.arrays, encode, self._ended, self._ended_count)
        self._parts.mix_ins.mix(self._scratch.own)
        self._parts.call_takes.capture()
        self._parts.packing.pack()
        self._finish_packets(now_ns)
        for row in self._ended[: int(self._ended_count[0])].tolist():
            if (over := self._parts.by_row.get(row)) is not None:
                self._guarded(over, "the next item of its playlist", now_ns, self._parts.players.item_ended)

    @property
    def is_idle(self) -> bool:
        """There is no leg and no recording: a tick has nothing to do."""
        return not self.by_number and not self._parts.recorders.busy

    @property
    def has_more(self) -> bool:
        """Packets are left for ``tick_more``."""
        return self._parts.packing.more > 0 or self._parts.relays.more

    def tick_more(self, now_ns: int) -> bool:
        """Make the packets that a tick had no room for, those shorter than a tick above all; False when there are none.

        They are due half a tick after the others, and like them in ``legs``.
        """
        if not self.has_more:
            return False
        render.nobody_due(self._parts.legs.rows)
        self._parts.packing.pack_more()
        self._parts.relays.pass_more()
        self._finish_packets(now_ns)
        return True

    def _finish_packets(self, now_ns: int) -> None:
        """Headers, library codecs, key presses, SRTP: what makes payloads packets."""
        render.finish(self._parts.legs.rows, self._parts.legs.packets)
        self._parts.coded.encode()
        for leg in self._parts.digits.sending:
            self._guarded(leg, "a key press", now_ns, self._press)
        self._parts.secure.protect()

    def _press(self, leg: Leg) -> None:
        if self._parts.digits.replace_audio(leg, self._parts.legs):
            self._parts.players.touch(leg)

    def _fit_scratch(self, samples: int, largest: int) -> None:
        """Make the scratch arrays as wide as the longest frame, and as many as the largest room has members."""
        scratch = self._scratch
        if len(scratch.total) < samples:
            work = np.zeros(resample.HISTORY + samples, np.float32)
            scratch = scratch._replace(total=np.zeros(samples, np.int32), own=np.zeros(samples, np.int32), work=work)
        if scratch.wide.shape[0] < largest or scratch.wide.shape[1] < samples:
            scratch = scratch._replace(wide=np.zeros((max(largest, 16), samples), np.int16))
        self._scratch = scratch

    def settle_arrivals(self, now_ns: int) -> None:
        """Decide about the notes that ``receive_batch`` left."""
        count = int(self._note_count[0])
        if not count:  # of most ticks
            self._settled(now_ns)
            return
        self._note_count[0] = 0
        left = self._notes[:count]
        fields = (left[name].tolist() for name in ("row", "kind", "sequence", "ts", "duration"))  # in a row each is dear
        for index, (row, kind, sequence, ts, length) in enumerate(zip(*fields, strict=True)):
            leg = self._parts.by_row.get(row)
            if leg is None:
                continue
            try:
                if kind == notes.NOTE_CODED:
                    self._parts.coded.decode(leg, sequence, ts, self._coded[index, :length].tobytes())
                else:
                    self._settle(leg, kind, left[index], now_ns)
            except Exception as error:
                log.exception("leg %d: what came for it could not be dealt with", leg.number)
                self._give_up(leg, f"a packet (note {kind}): {error}", now_ns)
        self._settled(now_ns)

    def _settle(self, leg: Leg, kind: int, note: np.void, now_ns: int) -> None:
        connections = self._parts.connections
        if kind == notes.NOTE_DIGIT:
            if self._parts.legs.rows[leg.row]["report_digits"]:
                self._parts.digits.handle(leg, note, now_ns)
        elif kind == notes.NOTE_LOCKED:
            connections.locked(leg)
        elif kind == notes.NOTE_CANDIDATE:
            connections.consider(leg, note, now_ns)
        elif kind == notes.NOTE_ALIVE:
            connections.seen(leg, note)
        elif kind == notes.NOTE_RETURNED:
            connections.returned(leg, now_ns)
        elif kind == notes.NOTE_REPORTED:
            connections.reported(leg, int(note["ssrc"]), now_ns)
        elif kind == notes.NOTE_FORMAT:
            self._commands.format_changed(leg, int(note["event"]), now_ns)

    def _give_up(self, leg: Leg, what: str, now_ns: int) -> None:
        """A fault of ours costs one leg, not all of the process: whatever strangers send reaches code that is run for one leg."""
        self._commands.handle(records.CloseLeg(leg.number), now_ns)
        self._parts.events.append(records.LegDropped(leg.number, f"{what} failed"))

    def _settled(self, now_ns: int) -> None:
        digits, connections = self._parts.digits, self._parts.connections
        for leg in digits.busy:
            self._guarded(leg, "the end of a key press", now_ns, digits.poll, now_ns)
        for leg in connections.moving:
            self._guarded(leg, "the look where its packets come from", now_ns, connections.move, now_ns)

    def _guarded(self, leg: Leg, what: str, now_ns: int, do: Callable[..., None], *args: int) -> None:
        try:
            do(leg, *args)
        except Exception as error:
            log.exception("leg %d: %s failed", leg.number, what)
            self._give_up(leg, f"{what}: {error}", now_ns)

    def check_timeouts(self, now_ns: int) -> None:
        """Report legs without packets for too long, legs that wait and changes of speakers; end latch windows, close idle ports.

        To be called a few times a second.

        Nothing is awaited of a peer that holds the call (sendonly is answered by recvonly, and most phones send nothing then) or that we
        do not hear: for such a leg the time begins again as long as that lasts.
        """
        rows = self._parts.legs.rows
        silent_ns = now_ns - rows["arrived_ns"]
        over = (rows["timeout_ns"] > 0) & (silent_ns > rows["timeout_ns"]) & (rows["timed_out"] == 0)
        for row in np.flatnonzero(over & (rows["connected"] == 1)).tolist():
            connection = self._parts.by_row[row].connection
            if not rows[row]["receiving"] or connection is None or not connection.send:
                rows[row]["arrived_ns"] = now_ns
                continue
            rows[row]["timed_out"] = 1
            self._parts.events.append(records.RtpTimedOut(self._parts.by_row[row].number, int(silent_ns[row]) // 1_000_000))
        self._parts.connections.end_windows(now_ns)
        self._parts.connections.close_idle_ports(now_ns)
        self._parts.held.check(now_ns)
        self._parts.secure.check(now_ns)
        self._parts.speakers.check(now_ns)
