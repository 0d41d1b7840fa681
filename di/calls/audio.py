# SPDX-License-Identifier: GPL-2.0-or-later
"""The audio side of one call: its leg, its playlist, recording, keys, rooms.

Every command goes to the media process as a record and returns at once. What the media process has to tell (the playlist ran empty, a
file cannot be played) arrives as a callback of the application.
"""

from __future__ import annotations

import logging
from typing import Protocol

from di.calls.call_info import CallInfo
from di.calls.recording_ends import OnEnd, RecordingEnds
from di.calls.rooms import RoomRegistry
from di.calls.state import AudioPhase
from di.calls.trust import return_path_known
from di.kernel.interfaces import NetInterfaces
from di.kernel.ports import Clock
from di.kernel.value import Value
from di.media_control.port import MediaPort
from di.sip.records import MediaNegotiated
from media.control.play_items import PlayFile, PlayItem, PlayRoom, Sound
from media.control.recording_records import StartRecording, StopRecording
from media.control.records import (
    PLAYOUT_KINDS,
    Command,
    ConfirmLeg,
    ConnectLeg,
    Enqueue,
    FlushMixIn,
    FlushPlaylist,
    MixIn,
    OpenLeg,
    SendDigit,
    SetDigitDetection,
    SetLegAudio,
    SetPlayout,
    SetRtpTimeout,
    SetupMixIn,
    TeeRoom,
)

log = logging.getLogger(__name__)


class AudioHost(Protocol):
    """What the audio of a call needs from the server."""

    @property
    def media(self) -> MediaPort:
        """The way to the media process."""

    @property
    def clock(self) -> Clock:
        """Time."""

    @property
    def rooms(self) -> RoomRegistry:
        """Who is in which room."""

    @property
    def recording_ends(self) -> RecordingEnds:
        """Who waits for recordings."""

    @property
    def interfaces(self) -> NetInterfaces:
        """Where audio may be."""


class AudioOwner(Protocol):
    """The call that the audio is of (`di.calls.session.Session`)."""

    id: str

    @property
    def host(self) -> AudioHost:
        """The server."""

    @property
    def info(self) -> CallInfo:
        """What is known of its SIP side."""

    def log(self, **attributes: Value) -> None:
        """Set attributes in the monitoring store."""

    def muted_changed(self) -> None:
        """Whether the others hear the call has changed."""


class CallPlaylist:
    """What a leg plays, item after item, and whether it is connected: a detached playlist stands still, and nothing is sent."""

    def __init__(self, audio: Audio) -> None:
        self._audio = audio
        self.input = True
        self.output = True

    def add(self, *items: PlayItem, front: bool = False) -> None:
        """Queue items to be played, recorded or joined; with `front` they interrupt the current one, which then goes on."""
        self._audio.send(Enqueue(self._audio.leg, items, front))

    def flush(self) -> None:
        """Drop everything queued; no `on_playlist_empty` comes of it."""
        self._audio.send(FlushPlaylist(self._audio.leg))

    def attach(self, *, input: bool, output: bool) -> None:
        """Make the playlist the call's input and output, or not. Kept until the leg is opened."""
        self.input, self.output = input, output
        self._audio.set(attached_input=input, attached_output=output)


class Audio:
    """`leg` is the media process's number. Hints for where the leg is placed: a room that it will probably join, a leg near it."""

    def __init__(self, call: AudioOwner, leg: int) -> None:
        self.leg = leg
        self.phase = AudioPhase.CLOSED
        self.address: tuple[str, int] | None = None
        self.negotiated: MediaNegotiated | None = None
        """The last outcome of offer/answer."""
        self.playlist = CallPlaylist(self)
        self.room = ""
        self.expected_room = ""
        self.near_leg = 0
        self.tees: dict[str, str] = {}
        """Channel name → room that the call is heard in beside its own."""
        self.muted = False
        self.speaking = False
        """Whether the media process found this member of a room to be one of its speakers."""
        self.receiving = True
        self.symmetric_rtp = True
        self.before_ack = -1
        """RTP packets that may be sent before the caller has acknowledged or sent anything; -1: any number."""
        self.confirmed = False
        self.rtp_timeout_ms = 0
        self._inband: bool | None = None
        self._looking = self._keyless = False
        self.recording = ""
        """File that is being recorded; empty: none."""
        self._recording_from_ns = 0
        self._call = call

    # ------------------------------------------------------------------------------------------------------------- the leg
    @property
    def asked(self) -> bool:
        """Whether the media process has been asked for a leg."""
        return self.phase is not AudioPhase.CLOSED

    @property
    def started(self) -> bool:
        """Whether the application has been told that the session has begun."""
        return self.phase is AudioPhase.STARTED

    @property
    def codec_in_use(self) -> tuple[str, ...]:
        """The negotiated codec as NAME/clock, in a tuple; empty while there is none."""
        media = self.negotiated
        return (f"{media.codec}/{media.clock_hz}",) if media is not None else ()

    def enter(self, phase: AudioPhase) -> bool:
        """Go on to a phase. False when it is there already or beyond."""
        if phase <= self.phase:
            return False
        self.phase = phase
        return True

    def open(self) -> None:
        """Ask the media process for an RTP address, once. A playlist that was detached before is so from the first packet on."""
        if not self.enter(AudioPhase.OPENING):
            return
        info = self._call.info
        ip, port = info.remote_media_ip, info.remote_media_port
        ipv6 = ":" in ip if ip else info.over_ipv6
        at = self._call.host.interfaces.rtp_of(info.media_interface if info.media_interface >= 0 else info.interface)
        self.send(OpenLeg(self.leg, ip, port, ipv6, self.room or self.expected_room, self.near_leg, at))
        if not (self.playlist.input and self.playlist.output):
            self.set(attached_input=self.playlist.input, attached_output=self.playlist.output)

    def connect(self, media: MediaNegotiated) -> None:
        """Offer and answer are complete, or have changed: the leg learns address, codec and direction."""
        first, self.negotiated = self.negotiated is None, media
        self.send(
            ConnectLeg(
                self.leg,
                media.remote_ip,
                media.remote_port,
                media.codec,
                media.clock_hz,
                media.payload_type_send,
                media.payload_type_receive,
                ptime_ms=media.ptime_ms,
                dtmf_send=media.dtmf_send,
                dtmf_receive=media.dtmf_receive,
                send=media.send,
                receive=media.receive,
                symmetric=self.symmetric_rtp,
                fmtp=media.fmtp,
                channels=media.channels,
                dtmf_send_clock_hz=media.dtmf_send_clock_hz,
                dtmf_receive_clock_hz=media.dtmf_receive_clock_hz,
                also=media.also,
                rtcp_ip=media.rtcp_ip,
                rtcp_port=media.rtcp_port,
                signalling=self._call.info.signalling,
                srtp=media.srtp,
                allowance=-1 if self.confirmed or return_path_known(self._call.info, media.remote_ip) else self.before_ack,
                rtp_timeout_ms=self.rtp_timeout_ms if first and self.rtp_timeout_ms else -1,
            )
        )

    def confirm(self, signalling: tuple[str, ...] = ()) -> None:
        """The peer gets what we send it: it has acknowledged something of ours. `signalling`: further addresses of it."""
        info = self._call.info
        new = tuple(address for address in signalling if address not in info.signalling)
        if self.confirmed and not new:
            return
        self.confirmed = True
        info.signalling += new
        if self.asked:
            self.send(ConfirmLeg(self.leg, new, self.phase is AudioPhase.EARLY))

    def send(self, command: Command) -> None:
        """Hand a record of this leg to the media process."""
        self._call.host.media.send(command)

    # ------------------------------------------------------------------------------------------------------------ playlist
    def play(self, *items: PlayItem, front: bool = False) -> None:
        """Queue items, as `CallPlaylist.add`."""
        self.playlist.add(*items, front=front)

    def play_file(self, path: str, *, loop: bool = False, front: bool = False, talk_through: bool = False) -> None:
        """Queue an audio file. One that cannot be played comes back as `on_item_failed`."""
        self.playlist.add(PlayFile(path, loop=loop, talk_through=talk_through), front=front)

    def flush(self) -> None:
        """Drop everything queued, as `CallPlaylist.flush`."""
        self.playlist.flush()

    # ------------------------------------------------------------------------------------------------------------ the audio
    def set(
        self,
        *,
        muted: bool | None = None,
        deaf: bool | None = None,
        send_muted: bool | None = None,
        attached_input: bool | None = None,
        attached_output: bool | None = None,
        gain_db: float | None = None,
    ) -> None:
        """Change what passes between the leg and its playlist (media.control SetLegAudio). Without effect before `open`."""
        if muted is not None and muted != self.muted:
            self.muted = muted
            self._call.muted_changed()
        if self.asked:
            self.send(SetLegAudio(self.leg, muted, deaf, send_muted, None, attached_input, attached_output, gain_db))

    def receive(self, on: bool) -> None:
        """Process or ignore what the peer sends."""
        self.receiving = on
        if self.asked:
            self.send(SetLegAudio(self.leg, receive_off=not on))

    def set_playout(self, kind: str) -> None:
        """Choose the playout buffer, one of PLAYOUT_KINDS. Raises ValueError for any other."""
        if kind not in PLAYOUT_KINDS:
            raise ValueError(f"no playout buffer {kind!r}: {', '.join(PLAYOUT_KINDS)}")
        self.send(SetPlayout(self.leg, kind))

    def watch_rtp(self, timeout_ms: int) -> None:
        """Report silence of the peer's RTP after so long; 0 switches it off."""
        self.rtp_timeout_ms = timeout_ms
        self.send(SetRtpTimeout(self.leg, timeout_ms))

    # ----------------------------------------------------------------------------------------------------------------- keys
    def detect_digits(self, *, inband: bool | None = None, telephone_event: bool | None = None) -> None:
        """Switch the detection of keys in the audio (without a word: `look_for_keys` decides), or the reporting of RFC 4733 keys."""
        self._inband = self._inband if inband is None else inband
        if self.asked:
            self.send(SetDigitDetection(self.leg, inband, telephone_event))

    def look_for_keys(self, wanted: bool) -> None:
        """The audio of a peer without telephone-event is searched for key tones, where anybody wants keys and nothing else was said.

        Looking costs CPU a leg and keeps payloads from being passed on undecoded, so others are not looked at (spec core.md §9.4).
        """
        media = self.negotiated
        on = wanted and media is not None and media.dtmf_receive < 0
        if self._inband is None and on != self._looking:
            self._looking = on
            self.send(SetDigitDetection(self.leg, on))

    def send_digit(self, event: int, duration_ms: int = 500) -> None:
        """Send a key to the peer as RFC 4733 event. One that has not agreed on them gets none, and the log says so, once."""
        if self.negotiated is not None and self.negotiated.dtmf_send < 0:
            if not self._keyless:
                self._keyless = True
                log.warning("call %s: a key was not sent: its peer takes no telephone-event", self._call.id)
            return
        self.send(SendDigit(self.leg, event, duration_ms))

    # ------------------------------------------------------------------------------------------------------------ recording
    def record(self, path: str, length_ms: int = 0, silence_ms: int = 0, on_end: OnEnd | None = None) -> None:
        """Record the peer beside whatever is played, after ending a recording that runs; `on_recording_stopped` tells how it ended.

        `on_end` is told likewise, once, also when the call has gone meanwhile; it runs outside of the call's events.
        """
        self.stop_recording()
        self.recording = path
        if on_end is not None:
            self._call.host.recording_ends.watch(path, on_end)
        self._recording_from_ns = self._call.host.clock.now_ns()
        self.send(StartRecording(self.leg, path, length_ms, silence_ms))

    def stop_recording(self) -> bool:
        """Finish the recording. False: none runs."""
        was, self.recording = self.recording, ""
        if was:
            self.send(StopRecording(self.leg))
        return bool(was)

    def recorded_ms(self) -> int | None:
        """How long the recording runs, None without one. The samples are counted by the media process (`RecordingStopped`)."""
        if not self.recording:
            return None
        return (self._call.host.clock.now_ns() - self._recording_from_ns) // 1_000_000

    # --------------------------------------------------------------------------------------------------------------- mix-in
    def set_up_mix_in(self, level: float, interval_ms: int) -> None:
        """Put a mixer over what the peer hears (media.control SetupMixIn)."""
        self.send(SetupMixIn(self.leg, level, interval_ms))

    def mix_in(self, *items: Sound, replace: bool = False) -> None:
        """Give the mixer something to play, after what it has or instead of it."""
        self.send(MixIn(self.leg, items, replace))

    def flush_mix_in(self) -> None:
        """Drop what `mix_in` appended."""
        self.send(FlushMixIn(self.leg))

    # ---------------------------------------------------------------------------------------------------------------- rooms
    def join_room(self, room: str, *, item: bool = True) -> int:
        """Enter a room and, with `item`, queue it as playlist item; leaves the former one. Returns how many are in it now."""
        if self.room and self.room != room:
            self._leave_room()
        self.room = room
        count = self._call.host.rooms.join(room, self._call.id)
        self._call.log(conf_id=room)
        if item:
            self.play(PlayRoom(room))
        return count

    def leave_room(self) -> None:
        """Leave the room; what is in the playlist stays (flush it to stop hearing the room). The call's record says that it is in none."""
        if self.room:
            self._leave_room()
            self._call.log(conf_id="")

    def _leave_room(self) -> None:
        room, self.room, self.speaking = self.room, "", False
        self._give_back(room)

    def tee_room(self, name: str, room: str) -> None:
        """Let the peer be heard in a room too, as a channel of this name; it hears nothing of that room. It gives up a room before."""
        self.untee_room(name)
        self.tees[name] = room
        self._call.host.rooms.join(room, self._call.id)
        self.send(TeeRoom(self.leg, room))

    def untee_room(self, name: str) -> None:
        """Give a channel of `tee_room` back."""
        room = self.tees.pop(name, "")
        if room and room not in self.tees.values():
            self.send(TeeRoom(self.leg, room, False))
            self._give_back(room)

    def leave_all(self) -> None:
        """The call ends: leave the room and every channel. Its record keeps the room that it was in last."""
        if self.room:
            self._leave_room()
        for name in list(self.tees):
            self.untee_room(name)

    def _give_back(self, room: str) -> None:
        """Leave a room as soon as no channel is held there."""
        if room != self.room and room not in self.tees.values():
            self._call.host.rooms.leave(room, self._call.id)
