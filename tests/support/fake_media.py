# SPDX-License-Identifier: GPL-2.0-or-later
"""A media process in memory: takes the commands of `media.control.records`, gives the events, plays nothing.

Time does not pass by itself: `finish_item` lets the current item of a leg end. `tests/peers/test_media_contract.py` holds it and
the real process to the same answers.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from media.control import play_items, recording_records, records
from media.control.play_items import PlayItem


@dataclass
class FakeLeg:
    """What a leg was told."""

    port: int
    connected: records.ConnectLeg | None = None
    playlist: list[PlayItem] = field(default_factory=list)
    audio: dict[str, object] = field(default_factory=dict)
    playout: str = ""
    rtp_timeout_ms: int = 0


class FakeMedia:
    """`di.media_control.port.MediaPort`. `on_event` gets the events, at once; `commands` keeps everything that was sent."""

    def __init__(self, on_event: Callable[[records.Event], None], ip: str = "127.0.0.1") -> None:
        self.on_event = on_event
        self.commands: list[records.Command] = []
        self.legs: dict[int, FakeLeg] = {}
        self.fail_next_leg = ""
        self.room_recordings: dict[str, recording_records.StartRoomRecording] = {}
        self.call_recordings: dict[int, recording_records.StartCallRecording] = {}
        self.finishes = False
        """Whether it says by itself that recordings of rooms and calls are complete."""
        self._ip = ip
        self._port = 20000

    def send(self, command: records.Command) -> None:
        """Take a command."""
        self.commands.append(command)
        match command:
            case records.OpenLeg():
                self._open(command)
            case records.CloseLeg():
                self.end_call_recording(command.leg, "closed")
                self.legs.pop(command.leg, None)
            case recording_records.StartRoomRecording():
                self.end_room_recording(command.room)
                self.room_recordings[command.room] = command
            case recording_records.StopRoomRecording():
                self.end_room_recording(command.room)
            case recording_records.StartCallRecording():
                if command.leg in self.legs:
                    self.end_call_recording(command.leg)
                    self.call_recordings[command.leg] = command
            case recording_records.StopCallRecording():
                self.end_call_recording(command.leg)
            case records.LoadPrompt():
                error = "" if Path(command.path).is_file() else "No such file"
                self.on_event(records.PromptLoaded(command.request, command.path, 0 if error else 1000, error))
            case records.QueryStatistics():
                self.on_event(records.Statistics(command.request, command.leg, {"legs": float(len(self.legs))}))
            case _ if isinstance(command, records.LEG_COMMANDS) and command.leg in self.legs:
                self._on_leg(command, self.legs[command.leg])

    def _open(self, command: records.OpenLeg) -> None:
        if self.fail_next_leg:
            reason, self.fail_next_leg = self.fail_next_leg, ""
            self.on_event(records.LegFailed(command.leg, reason))
            return
        self._port += 2
        self.legs[command.leg] = FakeLeg(self._port)
        self.on_event(records.LegOpened(command.leg, self._ip, self._port))

    def _on_leg(self, command: records.LegCommand, leg: FakeLeg) -> None:
        match command:
            case records.ConnectLeg():
                leg.connected = command
                if command.rtp_timeout_ms >= 0:
                    leg.rtp_timeout_ms = command.rtp_timeout_ms
                self._settle(command.leg)
            case records.Enqueue():
                leg.playlist = [*command.items, *leg.playlist] if command.front else [*leg.playlist, *command.items]
                self._settle(command.leg)
            case records.FlushPlaylist():
                leg.playlist = []
            case records.SetLegAudio():
                names = ("muted", "deaf", "send_muted", "receive_off", "attached_input", "attached_output", "gain_db")
                leg.audio |= {name: getattr(command, name) for name in names if getattr(command, name) is not None}
            case records.SetPlayout():
                leg.playout = command.kind
            case records.SetRtpTimeout():
                leg.rtp_timeout_ms = command.timeout_ms

    def _settle(self, number: int) -> None:
        """Pass separators and files that are not there, as the engine does while a leg is connected."""
        leg = self.legs[number]
        while leg.connected is not None and leg.playlist:
            item = leg.playlist[0]
            match item:
                case play_items.PlaySeparator():
                    event: records.Event = records.SeparatorReached(number, item.number)
                case play_items.PlayFile() if not Path(item.path).is_file():
                    event = records.ItemFailed(number, item.path, "No such file")
                case _:
                    return
            leg.playlist.pop(0)
            self.on_event(event)
            if not leg.playlist:
                self.on_event(records.PlaylistEmptied(number))

    # ------------------------------------------------------------------------------------------------------- a test's hands
    def finish_item(self, leg: int) -> None:
        """The current item of a leg has been played to its end."""
        self.legs[leg].playlist.pop(0)
        if self.legs[leg].playlist:
            self._settle(leg)
        else:
            self.on_event(records.PlaylistEmptied(leg))

    def end_room_recording(self, room: str, reason: str = "asked") -> None:
        """A room's recording is complete, if there is one and `finishes`; a second of it."""
        if self.finishes and (command := self.room_recordings.pop(room, None)):
            told = {"room": room, "rate_hz": 8000, "samples": 8000, "mix": Path(command.path).name, "tracks": {}, "events": []}
            self.on_event(recording_records.RoomRecordingStopped(room, (command.path,), 1000, reason, json.dumps(told)))

    def end_call_recording(self, leg: int, reason: str = "asked") -> None:
        """The same of a call."""
        if self.finishes and (command := self.call_recordings.pop(leg, None)):
            channels = 2 if command.sides == "both" else 1
            self.on_event(
                recording_records.CallRecordingStopped(leg, command.path, 8000, 8000, channels, 44 + 16000 * channels, reason)
            )

    def press(self, leg: int, keys: str, source: str = "rtp") -> None:
        """The peer presses keys."""
        for key in keys:
            self.on_event(records.DigitPressed(leg, "0123456789*#ABCD".index(key), 100, source))

    def current(self, leg: int) -> PlayItem | None:
        """What a leg plays now."""
        playlist = self.legs[leg].playlist
        return playlist[0] if playlist else None

    def files(self, leg: int) -> list[str]:
        """Names, without folder and suffix, of the files in a leg's playlist."""
        return [Path(item.path).stem for item in self.legs[leg].playlist if isinstance(item, play_items.PlayFile)]
