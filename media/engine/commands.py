# SPDX-License-Identifier: GPL-2.0-or-later
"""The hub's commands carried out on the parts of an engine.

A command for a leg that is not there has no effect: it crossed the leg's LegDropped, or came after its CloseLeg.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from media import codecs
from media.control import records
from media.control.recording_records import (
    LegRecording,
    StartCallRecording,
    StartRecording,
    StartRoomRecording,
    StopCallRecording,
    StopRecording,
    StopRoomRecording,
)
from media.engine.leg import Leg
from media.engine.parts import Parts
from media.engine.statistics import leg_counters, process_counters
from media.rtp.srtp import SrtpError

CHANGE_EVERY_NS = 100_000_000
"""A peer that sends two codecs in turn is followed so often; what comes in the other one meanwhile is not heard."""

_LONGEST_TIMEOUT_MS = 2**42
"""A row counts nanoseconds in 63 bits, and cuts a greater number off."""


class CommandHandler:
    """What a hub's command does, one method for those that take more than a call."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def handle(self, command: records.Command, now_ns: int) -> bool:
        """Carry out one command; False when it is none of the engine's. Raises ValueError for what a field cannot be."""
        parts = self._parts
        if records.is_for_leg(command):  # nearly every one
            leg = parts.by_number.get(command.leg)
            if isinstance(command, records.OpenLeg):
                self._open(command, now_ns)
            elif leg is not None:
                self._for_leg(leg, command, now_ns)
                parts.players.touch(leg)
            return True
        match command:
            case records.QueryStatistics():
                self._query(command)
            case records.Announce() | StartRoomRecording() | StopRoomRecording() | records.SpanRoom():
                self._for_room(command)
                parts.rooms.touched.add(command.room)
            case _:
                return False
        return True

    def _for_room(self, command: records.RoomCommand) -> None:
        parts = self._parts
        match command:
            case records.Announce():
                spoken = [parts.by_row[row].codec for row in parts.rooms.rows(command.room)]
                rate_hz = max((codec.rate_hz for codec in spoken if codec is not None), default=8000)
                parts.announcements.play(command.room, command.items, rate_hz)
            case StartRoomRecording():
                parts.recorders.start_room(command)
            case StopRoomRecording():
                parts.recorders.stop_room(command.room, "asked", command.parts)
            case records.SpanRoom():
                parts.spans.set(command)
            case _:
                assert_never(command)

    def _for_leg(self, leg: Leg, command: records.LegCommand, now_ns: int) -> None:  # noqa: C901 - one case a record
        parts = self._parts
        match command:
            case records.ConnectLeg():
                self._connect(leg, command, now_ns)
            case records.ConfirmLeg():
                parts.connections.confirm(leg, command, now_ns)
            case records.CloseLeg():
                self._close(leg, now_ns)
            case records.Enqueue():
                parts.players.enqueue(leg, command.items, command.front)
            case records.FlushPlaylist():
                parts.players.flush(leg)
            case records.SetLegAudio():
                leg.audio.change(command)
                parts.connections.apply_direction(leg)
                parts.players.apply_audio(leg)
            case records.SetPlayout():
                if command.kind not in records.PLAYOUT_KINDS:
                    raise ValueError(f"leg {leg.number}: no playout buffer {command.kind!r}: {', '.join(records.PLAYOUT_KINDS)}")
                leg.playout = command.kind
                parts.connections.apply_playout(leg)
                parts.players.set_listened(leg)
            case records.SetDigitDetection():
                self._set_detection(leg, command)
            case records.SendDigit():
                parts.digits.send(leg, command.event, command.duration_ms)
            case records.SetRtpTimeout():
                self._set_timeout(leg, command.timeout_ms, now_ns)
            case StartRecording() | StopRecording() | StartCallRecording() | StopCallRecording():
                self._record(leg, command)
                parts.players.set_listened(leg)
            case records.TeeRoom():
                parts.players.tee(leg, command.room, command.on)
                parts.rooms.touched.add(command.room)
            case records.SetupMixIn():
                parts.mix_ins.setup(leg, command.level, command.interval_ms)
            case records.MixIn():
                parts.mix_ins.play(leg, command.items, command.replace)
            case records.FlushMixIn():
                parts.mix_ins.flush(leg)
            case records.OpenLeg():
                raise AssertionError("a leg is opened before there is one")
            case _:
                assert_never(command)

    def _record(self, leg: Leg, command: LegRecording) -> None:
        parts = self._parts
        match command:
            case StartRecording():
                parts.recorders.start(leg, command.path, command.length_ms, command.silence_ms)
            case StopRecording():
                parts.recorders.stop(leg, "asked")
            case StartCallRecording():
                parts.call_takes.start(leg, command)
            case StopCallRecording():
                parts.call_takes.stop(leg, "asked")
            case _:
                assert_never(command)

    def _open(self, command: records.OpenLeg, now_ns: int) -> None:
        parts = self._parts
        if command.leg in parts.by_number:
            parts.events.append(records.LegFailed(command.leg, f"leg {command.leg} exists already"))
            return
        leg = parts.connections.open(command, now_ns)
        if leg is not None:
            parts.by_number[leg.number] = parts.by_row[leg.row] = leg

    def _connect(self, leg: Leg, command: records.ConnectLeg, now_ns: int) -> None:
        parts, before = self._parts, leg.connection
        try:
            parts.secure.connect(leg, command.srtp, now_ns)
        except SrtpError as error:
            parts.events.append(records.LegFailed(leg.number, str(error)))
            return
        parts.relays.drop(leg)
        now = (command.codec, command.clock_hz, command.ptime_ms)
        if before is not None and (before.codec, before.clock_hz, before.ptime_ms) != now:
            parts.packing.drop(leg)
        if parts.connections.connect(leg, command, now_ns):
            if command.rtp_timeout_ms >= 0:
                self._set_timeout(leg, command.rtp_timeout_ms, now_ns)
            if before is not None and not (before.send and before.receive):  # from now on the peer is awaited again
                parts.legs.rows[leg.row]["arrived_ns"] = now_ns
            parts.digits.connected(leg)
            parts.players.codec_set(leg)
            parts.coded.connected(leg)
            parts.packing.connected(leg)
            parts.mix_ins.codec_set(leg)

    def format_changed(self, leg: Leg, payload_type: int, now_ns: int) -> None:
        """The peer sends another codec of those that were agreed on: from now on both sides speak that one (RFC 3264 §7)."""
        before = leg.connection
        found = next((one for one in before.also if one.payload_type == payload_type), None) if before is not None else None
        if before is None or found is None or now_ns - leg.changed_ns < CHANGE_EVERY_NS:
            return
        if codecs.find(found.codec, found.clock_hz, found.fmtp) is None:
            return
        leg.changed_ns = now_ns
        spoken = records.ReceivedFormat(
            before.payload_type_receive, before.payload_type_send, before.codec, before.clock_hz, before.channels, before.fmtp
        )
        changed = replace(
            before,
            codec=found.codec,
            clock_hz=found.clock_hz,
            channels=found.channels,
            fmtp=found.fmtp,
            payload_type_receive=found.payload_type,
            payload_type_send=found.payload_type_send,
            rtp_timeout_ms=-1,
            also=(spoken, *(one for one in before.also if one is not found)),
        )
        self._connect(leg, changed, now_ns)
        self._parts.players.touch(leg)

    def _close(self, leg: Leg, now_ns: int) -> None:
        parts = self._parts
        parts.relays.drop(leg)
        parts.recorders.close(leg)
        parts.call_takes.stop(leg, "closed")
        parts.players.close(leg)
        parts.digits.close(leg)
        parts.coded.close(leg)
        parts.mix_ins.close(leg)
        parts.packing.close(leg)
        parts.secure.close(leg)
        parts.inband.switch(leg, False)
        parts.speakers.close(leg)
        parts.connections.close(leg, now_ns)
        del parts.by_number[leg.number], parts.by_row[leg.row]

    def _set_detection(self, leg: Leg, command: records.SetDigitDetection) -> None:
        parts = self._parts
        if command.telephone_event is not None:
            parts.legs.rows[leg.row]["report_digits"] = command.telephone_event
        if command.inband is not None:
            parts.inband.switch(leg, command.inband)
            parts.players.set_listened(leg)

    def _set_timeout(self, leg: Leg, timeout_ms: int, now_ns: int) -> None:
        row = self._parts.legs.row(leg.row)
        row.timeout_ns = min(timeout_ms, _LONGEST_TIMEOUT_MS) * 1_000_000
        row.arrived_ns = max(row.arrived_ns, now_ns)
        row.timed_out = 0

    def _query(self, command: records.QueryStatistics) -> None:
        parts = self._parts
        if command.leg == 0:
            counters = process_counters(parts)
        else:
            leg = parts.by_number.get(command.leg)
            counters = {} if leg is None else leg_counters(parts, leg)
        parts.events.append(records.Statistics(command.request, command.leg, counters))
