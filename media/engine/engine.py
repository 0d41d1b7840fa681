# SPDX-License-Identifier: GPL-2.0-or-later
"""The media engine: commands in, packets in and out by ticks, events out. It owns no socket and reads no clock.

    hub ── handle(command, now_ns) ──► legs, rooms, playlists ── take_events() ──► hub
    datagrams ── receive_batch (receive.py) ──► leg table ── tick(now_ns) ──► packets of the rows that are due

After ``tick`` the rows with ``due`` set have a packet of ``HEADER_BYTES`` + ``frame_bytes`` in ``legs.packets`` for the address ``name``
from socket ``socket``. Nothing in a tick waits or raises: files are asked for by ``take_wanted()`` and come by ``file_loaded``; a leg
that fails is given up with LegDropped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import numpy as np

from media.codecs import g711
from media.control import records
from media.dsp import resample
from media.engine import playout, receive, render
from media.engine.announcements import Announcements
from media.engine.coded import CodedLegs
from media.engine.connections import PLAYOUT_DELAY_MS, Connections
from media.engine.counters import COUNTERS
from media.engine.digits import Digits
from media.engine.inband import InbandDigits
from media.engine.leg import Leg
from media.engine.leg_table import SOURCE_RELAY, LegTable
from media.engine.mix_ins import MixIns
from media.engine.packing import Packing
from media.engine.players import Players
from media.engine.recorders import Recorders
from media.engine.relays import Relays
from media.engine.sources import FileWanted, StoredAudio
from media.engine.span_sums import Words
from media.engine.spans import Spans
from media.engine.speakers import Speakers

TICK_NS = 20_000_000


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """What a media process is told at start. Times in ns as everywhere in the engine."""

    ip: str = "127.0.0.1"
    ip6: str = ""
    port_low: int = 10000
    port_high: int = 19999
    legs_per_port: int = 512
    rest_ns: int = 5_000_000_000
    latch_window_ns: int = 10_000_000_000


class Engine:
    """All legs of one media process.

    `bind(ipv6, port)` opens an RTP socket (and RTCP beside it) and returns its index, or None when the port is taken.
    `epoch_offset_ns`: what makes wall-clock time of the engine's clock, for RTCP.
    """

    def __init__(
        self, options: EngineOptions, bind: Callable[[bool, int], int | None], random: Random, epoch_offset_ns: int = 0
    ) -> None:
        self.epoch_offset_ns = epoch_offset_ns
        self.canonical_name = np.frombuffer(f"{random.getrandbits(64):016x}".encode(), np.uint8)
        self.legs = LegTable()
        self.counters = np.zeros(len(COUNTERS), np.int64)
        self.notes, self.note_count, self.coded = receive.empty_notes()
        self._events: list[records.Event] = []
        self.by_number: dict[int, Leg] = {}
        self._by_row: dict[int, Leg] = {}
        self.connections = Connections(options, bind, random, self.legs, self._emit)
        self.players = Players(self.legs, self.by_number, self._emit)
        self.recorders = Recorders(self.legs, self.players.rooms, self._by_row, self._emit)
        self._inband = InbandDigits(self.legs, self._emit)
        self.players.needed_elsewhere = lambda leg: leg in self._inband or self.recorders.is_recording(leg)
        self.players.start_record = lambda leg, path, length_ms: self.recorders.start(leg, path, length_ms, 0)
        self.players.stop_record = lambda leg: self.recorders.stop(leg, "asked")
        self._digits = Digits(self._emit)
        self._coded_legs = CodedLegs(self.legs, self.counters)
        self._scratch = render.Scratch(
            np.zeros(1, np.int32), np.zeros(1, np.int32), np.zeros((1, 1), np.int16), np.zeros(1, np.float32)
        )
        self._announcements = Announcements(self.players.rooms, self.players.want)
        self._mix_ins = MixIns(self.legs, self.players.want, self._emit)
        self.spans = Spans(self.legs, self.players.rooms, random.getrandbits(31))
        self.spans.recorded = self.recorders.mixed_rooms
        self.recorders.remote_frame = self.spans.recorded_frame
        self.span_datagrams: list[tuple[int, Words]] = []
        """What the last tick has for other media processes, and which."""
        self._packing = Packing(self.legs)
        self.relays = Relays(self.legs, self.players.rooms, self._by_row, self.players.needed_elsewhere)
        self.relays.room_is_plain = lambda room: self.players.rooms.is_plain(room) and not self._announcements.is_playing(room)
        self.relays.is_sent_more = lambda leg: leg in self._mix_ins or self._digits.is_sending(leg)
        self._speakers = Speakers(self.legs, self.players.rooms, self._by_row, self._emit)
        self._ended = np.zeros(1, np.int32)
        self._ended_count = np.zeros(1, np.int64)
        self._handlers: dict[type, Callable[..., None]] = {
            records.OpenLeg: self._open_leg,
            records.ConnectLeg: self._connect_leg,
            records.CloseLeg: self._close_leg,
            records.Enqueue: self._enqueue,
            records.FlushPlaylist: self._flush,
            records.SetLegAudio: self._set_audio,
            records.SetRtpTimeout: self._set_timeout,
            records.SetDigitDetection: self._set_detection,
            records.SendDigit: self._send_digit,
            records.Announce: self._room_play,
            records.StartRecording: self._start_recording,
            records.StopRecording: self._stop_recording,
            records.StartRoomRecording: self._start_room_recording,
            records.StopRoomRecording: self._stop_room_recording,
            records.SetPlayout: self._set_playout,
            records.QueryStatistics: self._query,
            records.TeeRoom: self._tee_room,
            records.SetupMixIn: self._setup_mix_in,
            records.MixIn: self._mix_in,
            records.FlushMixIn: self._flush_mix_in,
            records.SpanRoom: self._span_room,
        }

    # ------------------------------------------------------------------------------------------------------- hub to engine
    def handle(self, command: records.Command, now_ns: int) -> bool:
        """Carry out one command; False when it is none of the engine's."""
        handler = self._handlers.get(type(command))
        if handler is None:
            return False
        handler(command, now_ns)
        if isinstance(command, records.LEG_COMMANDS):
            leg = self.by_number.get(command.leg)
            if leg is not None:
                self.players.touch(leg)
        if isinstance(command, (records.TeeRoom, records.ROOM_COMMANDS)):
            self.players.rooms.touched.add(command.room)
        return True

    @property
    def receiver(self) -> receive.Receiver:
        """What ``receive_batch`` needs, until the next command."""
        connections = self.connections
        return receive.Receiver(
            self.legs.rows,
            connections.addresses.entries,
            connections.waiting,
            self.counters,
            self.notes,
            self.note_count,
            self.coded,
        )

    def take_events(self) -> list[records.Event]:
        """Return the events since the last call, oldest first."""
        events, self._events = self._events, []
        return events

    def take_wanted(self) -> list[FileWanted]:
        """Return the files to be loaded since the last call."""
        return self.players.take_wanted()

    def file_loaded(self, token: int, audio: StoredAudio | None, error: str) -> None:
        """Bring a wanted file, or the reason why it cannot be had."""
        self.players.file_loaded(token, audio, error)

    def _emit(self, event: records.Event) -> None:
        self._events.append(event)

    def _open_leg(self, command: records.OpenLeg, now_ns: int) -> None:
        if command.leg in self.by_number:
            self._emit(records.LegFailed(command.leg, f"leg {command.leg} exists already"))
            return
        leg = self.connections.open(command, now_ns)
        if leg is not None:
            self.by_number[leg.number] = self._by_row[leg.row] = leg

    def _connect_leg(self, command: records.ConnectLeg, now_ns: int) -> None:
        leg = self._known(command.leg)
        if leg is None:
            return
        self.relays.drop(leg)
        before = leg.connection
        if before is not None and (before.codec, before.clock_hz, before.ptime_ms) != (
            command.codec,
            command.clock_hz,
            command.ptime_ms,
        ):
            self._packing.drop(leg)
        if self.connections.connect(leg, command, now_ns):
            self.players.codec_set(leg)
            self._coded_legs.connected(leg)
            self._packing.connected(leg)
            self._mix_ins.codec_set(leg)

    def _close_leg(self, command: records.CloseLeg, now_ns: int) -> None:
        leg = self.by_number.get(command.leg)
        if leg is not None:
            self.relays.drop(leg)
            self.recorders.close(leg)
            self.players.close(leg)
            self._digits.close(leg)
            self._coded_legs.close(leg)
            self._mix_ins.close(leg)
            self._packing.close(leg)
            self._inband.switch(leg, False)
            self._speakers.close(leg)
            self.connections.close(leg, now_ns)
            del self.by_number[leg.number], self._by_row[leg.row]

    def _enqueue(self, command: records.Enqueue, now_ns: int) -> None:
        leg = self._known(command.leg)
        if leg is not None:
            self.players.enqueue(leg, command.items, command.front)

    def _flush(self, command: records.FlushPlaylist, now_ns: int) -> None:
        leg = self._known(command.leg)
        if leg is not None:
            self.players.flush(leg)

    def _set_audio(self, command: records.SetLegAudio, now_ns: int) -> None:
        leg = self._known(command.leg)
        if leg is not None:
            leg.audio.change(command)
            self.connections.apply_direction(leg)
            self.players.apply_audio(leg)

    def _set_timeout(self, command: records.SetRtpTimeout, now_ns: int) -> None:
        leg = self._known(command.leg)
        if leg is not None:
            row = self.legs.rows[leg.row]
            row["timeout_ns"] = command.timeout_ms * 1_000_000
            row["arrived_ns"] = max(int(row["arrived_ns"]), now_ns)
            row["timed_out"] = 0

    def _set_detection(self, command: records.SetDigitDetection, now_ns: int) -> None:
        leg = self._known(command.leg)
        if leg is None:
            return
        if command.telephone_event is not None:
            self.legs.rows[leg.row]["report_digits"] = command.telephone_event
        if command.inband is not None:
            self._inband.switch(leg, command.inband)
            self.players.set_listened(leg)

    def _send_digit(self, command: records.SendDigit, now_ns: int) -> None:
        leg = self._known(command.leg)
        if leg is not None:
            self._digits.send(leg, command.event, command.duration_ms)

    def _set_playout(self, command: records.SetPlayout, now_ns: int) -> None:
        leg = self._known(command.leg)
        if leg is not None:
            leg.playout = command.kind if command.kind in PLAYOUT_DELAY_MS else "adaptive"
            self.connections.apply_playout(leg)
            self.players.set_listened(leg)

    def _start_recording(self, command: records.StartRecording, now_ns: int) -> None:
        leg = self._known(command.leg)
        if leg is not None:
            self.recorders.start(leg, command.path, command.length_ms, command.silence_ms)
            self.players.set_listened(leg)

    def _stop_recording(self, command: records.StopRecording, now_ns: int) -> None:
        leg = self._known(command.leg)
        if leg is not None:
            self.recorders.stop(leg, "asked")
            self.players.set_listened(leg)

    def _start_room_recording(self, command: records.StartRoomRecording, now_ns: int) -> None:
        self.recorders.start_room(command)

    def _stop_room_recording(self, command: records.StopRoomRecording, now_ns: int) -> None:
        self.recorders.stop_room(command.room, "asked", command.parts)

    def _tee_room(self, command: records.TeeRoom, now_ns: int) -> None:
        leg = self._known(command.leg)
        if leg is not None:
            self.players.tee(leg, command.room, command.on)

    def _setup_mix_in(self, command: records.SetupMixIn, now_ns: int) -> None:
        leg = self._known(command.leg)
        if leg is not None:
            self._mix_ins.setup(leg, command.level, command.interval_ms)

    def _mix_in(self, command: records.MixIn, now_ns: int) -> None:
        leg = self._known(command.leg)
        if leg is not None:
            self._mix_ins.play(leg, command.items, command.replace)

    def _flush_mix_in(self, command: records.FlushMixIn, now_ns: int) -> None:
        leg = self._known(command.leg)
        if leg is not None:
            self._mix_ins.flush(leg)

    def _span_room(self, command: records.SpanRoom, now_ns: int) -> None:
        self.spans.set(command)

    def _room_play(self, command: records.Announce, now_ns: int) -> None:
        rows = self.players.rooms.rows(command.room)
        rates = [leg.codec.rate_hz for row in rows if (leg := self._by_row[row]).codec is not None]
        self._announcements.play(command.room, command.items, max(rates, default=8000))

    def _query(self, command: records.QueryStatistics, now_ns: int) -> None:
        if command.leg == 0:
            counters = self.statistics()
        else:
            leg = self._known(command.leg)
            counters = {} if leg is None else self.leg_statistics(leg)
        self._emit(records.Statistics(command.request, command.leg, counters))

    def _known(self, number: int) -> Leg | None:
        """A command may cross the LegDropped or come after a CloseLeg: then it has no effect."""
        return self.by_number.get(number)

    def end_recordings(self) -> None:
        """Finish every recording: the process ends."""
        self.recorders.close_all()

    # -------------------------------------------------------------------------------------------------------------- ticks
    def tick(self, now_ns: int, number: int = -1) -> None:
        """Settle what arrived since the last tick, then make this tick's packets. See the module's text for where they are.

        `number`: which tick of the machine's clock it is, one that is late included; by default the one of `now_ns`.
        """
        number = now_ns // TICK_NS if number < 0 else number
        self.settle_arrivals(now_ns)
        legs, encode = self.legs, g711.ENCODE
        if len(self._ended) < len(legs.rows):
            self._ended = np.zeros(len(legs.rows), np.int32)
        rooms = self.players.rooms.arrays()
        self._fit_scratch(legs.frames.shape[1], rooms.largest)
        self._ended_count[0] = 0
        self.relays.settle()
        render.choose_due(legs.rows)
        self.relays.pass_on()
        playout.play_out(legs.rows, legs.frames)
        self._inband.listen()
        spans = self.spans.begin(number, rooms)
        for leg in self.recorders.capture(number * TICK_NS):
            self.players.recording_ended(leg)
        announced = self._announcements.next(legs.frames.shape[1])
        feed_history = self.players.rooms.feed_history
        render.mix_rooms(legs.arrays, rooms, feed_history, announced, spans, self._scratch, encode, resample.SINC)
        self.span_datagrams = self.spans.finish(number)
        render.fill_others(legs.arrays, encode, self._ended, self._ended_count)
        self._mix_ins.mix(self._scratch.own)
        self._packing.pack()
        self._finish_packets()
        for row in self._ended[: int(self._ended_count[0])].tolist():
            self.players.item_ended(self._by_row[row])

    @property
    def has_more(self) -> bool:
        """Packets are left for ``tick_more``."""
        return self._packing.more > 0 or self.relays.more

    def tick_more(self) -> bool:
        """Make the packets that a tick had no room for, those shorter than a tick above all; False when there are none.

        They are due half a tick after the others, and like them in ``legs``.
        """
        if not self.has_more:
            return False
        render.nobody_due(self.legs.rows)
        self._packing.pack_more()
        self.relays.pass_more()
        self._finish_packets()
        return True

    def _finish_packets(self) -> None:
        """Headers, library codecs, key presses: what makes payloads packets."""
        render.finish(self.legs.rows, self.legs.packets)
        self._coded_legs.encode()
        for leg in self._digits.replace_audio(self.legs):
            self.players.touch(leg)

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
        count = int(self.note_count[0])
        self.note_count[0] = 0
        notes = self.notes[:count]
        fields = (notes[name].tolist() for name in ("row", "kind", "sequence", "ts", "duration"))  # in a row each is dear
        for place, (row, kind, sequence, ts, length) in enumerate(zip(*fields, strict=True)):
            leg = self._by_row.get(row)
            if leg is None:
                continue
            if kind == receive.NOTE_CODED:
                self._coded_legs.decode(leg, sequence, ts, self.coded[place, :length].tobytes())
            elif kind == receive.NOTE_DIGIT:
                if self.legs.rows[leg.row]["report_digits"]:
                    self._digits.handle(leg, notes[place], now_ns)
            elif kind == receive.NOTE_LOCKED:
                self.connections.locked(leg)
            elif kind == receive.NOTE_CANDIDATE:
                self.connections.consider(leg, notes[place], now_ns)
            elif kind == receive.NOTE_RETURNED:
                self.connections.returned(leg, now_ns)
        self._digits.poll(now_ns)

    def check_timeouts(self, now_ns: int) -> None:
        """Report legs without packets for too long and changes of speakers, end latch windows. To be called a few times a
        second."""
        rows = self.legs.rows
        silent_ns = now_ns - rows["arrived_ns"]
        over = (rows["timeout_ns"] > 0) & (silent_ns > rows["timeout_ns"]) & (rows["timed_out"] == 0)
        for row in np.flatnonzero(over & (rows["connected"] == 1) & (rows["receiving"] == 1)).tolist():
            rows[row]["timed_out"] = 1
            self._emit(records.RtpTimedOut(self._by_row[row].number, int(silent_ns[row]) // 1_000_000))
        self.connections.end_windows(now_ns)
        self._speakers.check(now_ns)

    # --------------------------------------------------------------------------------------------------------- statistics
    def statistics(self) -> dict[str, float]:
        """Return the process's counters by name."""
        rows = self.legs.rows
        counters: dict[str, float] = {n: int(v) for n, v in zip(COUNTERS, self.counters, strict=True)}
        counters["legs"] = len(self.legs)
        counters["packets_relayed"] = self.relays.passed_on
        counters["rooms"] = len(self.players.rooms)
        counters["ports"] = self.connections.ports
        counters["packets_sent"] = self.connections.packets_sent_closed + int(rows["packets_sent"].sum())
        counters |= self.spans.statistics()
        counters["frames_concealed"] = int(rows["frames_concealed"].sum())
        begun = rows[rows["started"] != 0]
        expected = (
            begun["sequence_max"].astype(np.int64)
            + (begun["sequence_cycles"].astype(np.int64) << 16)
            - begun["sequence_base"]
            + 1
        )
        counters["packets_expected"] = int(expected.sum())
        counters["packets_lost"] = int(np.maximum(expected - begun["packets_received"], 0).sum())
        return counters

    def leg_statistics(self, leg: Leg) -> dict[str, float]:
        """Return one leg's counters by name."""
        row = self.legs.rows[leg.row]
        names = ("packets_received", "bytes_received", "packets_sent", "bytes_sent", "packets_late", "packets_duplicate",
                 "frames_concealed", "resyncs", "locked", "delay_samples")  # fmt: skip
        counters: dict[str, float] = {name: int(row[name]) for name in names}
        counters["jitter_us"] = int(row["jitter_q4"]) * 1_000_000 // (16 * max(int(row["clock_hz"]), 1))
        if row["ssrc_seen_ns"]:
            counters["peer_lost_percent"] = int(row["peer_lost_q8"]) * 100 / 256
            counters["peer_jitter_us"] = int(row["peer_jitter"]) * 1_000_000 // max(int(row["clock_hz"]), 1)
            counters["round_trip_us"] = int(row["round_trip_us"])
        counters["relayed"] = int(row["source"] == SOURCE_RELAY)
        expected = int(row["sequence_max"]) + (int(row["sequence_cycles"]) << 16) - int(row["sequence_base"]) + 1
        counters["packets_lost"] = max(expected - int(row["packets_received"]), 0) if row["started"] else 0
        return counters
