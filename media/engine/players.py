# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes each leg's current playlist entry sound: sets the source columns of its row, its room, its bridge; asks for files."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from media.codecs.codec import TICK_MS, Codec
from media.control.play_items import (
    PlayBridge,
    PlayEcho,
    PlayFile,
    PlayItem,
    PlayRecord,
    PlayRoom,
    PlaySeparator,
    PlaySilence,
    PlayTone,
)
from media.control.records import Event, ItemFailed, PlaylistEmptied, SeparatorReached
from media.engine.inband import InbandDigits
from media.engine.leg import Leg
from media.engine.leg_table import (
    RELAY_PURE,
    SOURCE_CODED,
    SOURCE_ECHO,
    SOURCE_ROOM,
    SOURCE_SILENCE,
    SOURCE_STORED,
    LegTable,
)
from media.engine.playlist import ENDLESS, Entry
from media.engine.recorders import Recorders
from media.engine.rooms import Rooms
from media.engine.sources import FileWanted, KnownFile, StoredAudio, tone_audio

RING_OVER_DELAY_MS = 230
"""How much longer than the longest delay a leg's playout ring is: room for the longest packet (200 ms) and for one that comes early."""

_LONGEST_SAMPLES = 2**62
"""What nobody hears the end of; a row's field would cut a greater number off, to nothing."""
BRIDGE_ROOM = "\0bridge "
"""How names of bridges' rooms begin; no room of the hub's can have such a name."""


@lru_cache(64)
def gain_q12(gain_db: float) -> int:
    """Return a gain, -100 to 40 dB, as a factor times 4096."""
    return round(4096 * 10 ** (min(max(gain_db, -100.0), 40.0) / 20))


class Players:
    """The playlists of all legs. `legs_by_number` is only read."""

    def __init__(
        self,
        table: LegTable,
        rooms: Rooms,
        legs_by_number: dict[int, Leg],
        recorders: Recorders,
        inband: InbandDigits,
        emit: Callable[[Event], None],
    ) -> None:
        self._rooms = rooms
        self._recorders = recorders
        self._inband = inband
        self._table = table
        self._legs = legs_by_number
        self._emit = emit
        self.known: KnownFile = lambda path, codec: None
        self._wanted: list[FileWanted] = []
        self._waiting: dict[int, Callable[[StoredAudio | None, str], None]] = {}
        self._token = 0

    # ----------------------------------------------------------------------------------------------------------- commands
    def enqueue(self, leg: Leg, items: tuple[PlayItem, ...], front: bool) -> None:
        """Add items to a leg's playlist; the files among them are asked for at once."""
        entries = [Entry(item) for item in items]
        current = leg.playlist.current
        if front and current is not None:
            self._suspend(leg, current)
        leg.playlist.add(entries, front)
        if leg.codec is not None:
            for entry in entries:
                self._want(leg, entry)
        if front or current is None:
            self._start_current(leg)

    def flush(self, leg: Leg) -> None:
        """Drop a leg's playlist without an event; a ``record`` item's file is finished, be it the current one or one that waits."""
        if any(entry.recording and self._recorders.pause(leg, entry.recording, False) for entry in leg.playlist):
            self._recorders.stop(leg, "asked")
        leg.playlist.flush()
        self._apply(leg, None)

    def codec_set(self, leg: Leg) -> None:
        """The leg is connected, perhaps with another codec: stored audio must be in that codec."""
        current = leg.playlist.current
        if current is not None and current.started:
            if current.audio is None or current.audio.codec is leg.codec:
                self.apply_audio(leg)
                self.set_listened(leg)
                return
            self._suspend(leg, current)
        for entry in leg.playlist:
            self._want(leg, entry)
        if current is None:
            self._apply(leg, None)
        else:
            self._start_current(leg)

    def apply_audio(self, leg: Leg) -> None:
        """Set what a leg's row derives from its SetLegAudio settings."""
        row, audio = self._table.row(leg.row), leg.audio
        row.speaks = audio.attached_input and not audio.muted
        row.feeds = audio.attached_input
        row.hears = not audio.deaf
        row.gain_q12 = gain_q12(audio.gain_db)

    def close(self, leg: Leg) -> None:
        """Take a leg out of its room and its bridge; its row is about to be given back."""
        leg.playlist.flush()
        self._rooms.untee(leg.row)
        self._bridge(leg, 0)
        self._rooms.move(leg.row, "")

    def tee(self, leg: Leg, room: str, on: bool) -> None:
        """Let a leg be heard in one more room, or no longer."""
        if on:
            self._rooms.tee(leg.row, room)
        else:
            self._rooms.untee(leg.row, room)
        self.apply_audio(leg)
        self.set_listened(leg)

    # -------------------------------------------------------------------------------------------------------------- files
    def take_wanted(self) -> list[FileWanted]:
        """Return the files to be loaded since the last call."""
        wanted, self._wanted = self._wanted, []
        return wanted

    def file_loaded(self, token: int, audio: StoredAudio | None, error: str) -> None:
        """Bring what ``want`` asked for."""
        done = self._waiting.pop(token, None)
        if done is not None:
            done(audio, error)

    def want(self, path: str, codec: Codec, done: Callable[[StoredAudio | None, str], None]) -> int:
        """Ask for a file in a codec; return the token of the request."""
        self._token += 1
        self._waiting[self._token] = done
        self._wanted.append(FileWanted(self._token, path, codec))
        return self._token

    def _entry_loaded(self, leg: Leg, entry: Entry, token: int, audio: StoredAudio | None, error: str) -> None:
        """Give an entry its audio, or drop it with ItemFailed once it is reached."""
        if entry.wanted != token or leg.number not in self._legs:
            return
        entry.wanted = 0
        entry.audio, entry.failure = audio, error
        if leg.playlist.current is entry:
            self._start_current(leg)

    def _want(self, leg: Leg, entry: Entry) -> None:
        item = entry.item
        if not isinstance(item, PlayFile) or leg.codec is None or (entry.audio is not None and entry.audio.codec is leg.codec):
            return
        if entry.audio is not None:  # same position in another codec
            entry.position_ms = entry.audio.position_ms(entry.position_bytes)
            entry.resumes, entry.audio = False, None
        entry.audio = self.known(item.path, leg.codec)
        if entry.audio is not None:
            entry.wanted, entry.failure = 0, ""
            return
        token = self._token + 1
        entry.wanted = self.want(item.path, leg.codec, lambda audio, error: self._entry_loaded(leg, entry, token, audio, error))

    # ----------------------------------------------------------------------------------------------------------- playing
    def item_ended(self, leg: Leg) -> None:
        """The current item has given its last frame."""
        if leg.playlist.current is not None:
            leg.playlist.drop_current()
            self._start_current(leg)

    def recording_ended(self, leg: Leg, token: int) -> None:
        """A leg's recording is over, and with it a ``record`` item that began it."""
        if leg.number not in self._legs:
            return
        current = leg.playlist.current
        if current is not None and current.recording == token:
            self.item_ended(leg)
        self.set_listened(leg)
        self.touch(leg)

    def _start_current(self, leg: Leg) -> None:
        """Start the first entry that can sound, drop those before it; report when none is left."""
        while (entry := leg.playlist.current) is not None:
            match entry.item:
                case PlaySeparator(number):
                    self._emit(SeparatorReached(leg.number, number))
                case PlayFile(path) if entry.failure:
                    self._emit(ItemFailed(leg.number, path, entry.failure))
                case PlayRecord() if entry.recording and not self._recorders.pause(leg, entry.recording, False):
                    pass  # it ended while others were played
                case item if isinstance(item, PlayItem):
                    self._apply(leg, entry)
                    return
                case _:  # the wire does not look into tuples: a newer hub's item, or nonsense
                    self._emit(ItemFailed(leg.number, "", f"no item that can be played: {entry.item!r:.80}"))
            leg.playlist.drop_current()
        self._apply(leg, None)
        self._emit(PlaylistEmptied(leg.number))

    def _suspend(self, leg: Leg, entry: Entry) -> None:
        """Keep the position of the current entry, which others are put before; what it records waits."""
        if entry.started:
            self._recorders.pause(leg, entry.recording, True)
            row = self._table.row(leg.row)
            entry.position_bytes, entry.resumes = row.stored_position, True
            entry.remaining_samples = row.remaining_samples
            entry.started = False

    def _apply(self, leg: Leg, entry: Entry | None) -> None:
        """Set the row's columns for the entry; None: silence."""
        row = self._table.row(leg.row)
        if row.source == SOURCE_CODED:
            row.send_bytes, row.send_ticks = row.usual_bytes, row.usual_ticks
        row.source, row.loops, row.remaining_samples = SOURCE_SILENCE, 0, ENDLESS
        self._table.set_stored(leg.row, None)
        if entry is not None and leg.codec is not None:
            self._apply_kind(leg, entry)
        room, _ = leg.playlist.room()
        self._bridge(leg, entry.item.peer_leg if entry is not None and isinstance(entry.item, PlayBridge) else 0)
        self._rooms.move(leg.row, self._bridge_room(leg) or room)
        self.apply_audio(leg)
        self.set_listened(leg)
        self.touch(leg)

    def touch(self, leg: Leg) -> None:
        """Something about a leg has changed that its room may have to know."""
        room = self._rooms.room_of(leg.row)
        if room:
            self._rooms.touched.add(room)

    def _apply_kind(self, leg: Leg, entry: Entry) -> None:
        row, item, codec = self._table.row(leg.row), entry.item, leg.codec
        assert codec is not None
        match item:
            case PlayFile():
                if entry.audio is None:
                    return  # still loading: silence meanwhile
                self._show_stored(leg, entry, entry.audio, item.seek_ms, item.loop)
            case PlayTone():
                if entry.audio is None or entry.audio.codec is not codec:
                    entry.audio = tone_audio(item.frequencies_hz, item.on_ms, item.off_ms, codec)
                self._show_stored(leg, entry, entry.audio, 0, True)
            case PlayRoom():
                row.source = SOURCE_ROOM
            case PlayEcho():
                row.source = SOURCE_ECHO
            case PlayRecord() if not entry.recording:
                entry.recording = self._recorders.start(leg, item.path, item.length_ms, 0)
        if isinstance(item, (PlayTone, PlaySilence)) and item.length_ms > 0:
            whole = min(item.length_ms * codec.rate_hz // 1000, _LONGEST_SAMPLES)
            row.remaining_samples = entry.remaining_samples if entry.remaining_samples != ENDLESS else whole
        entry.started = True

    def _show_stored(self, leg: Leg, entry: Entry, audio: StoredAudio, seek_ms: int, loops: bool) -> None:
        """Let the row play stored audio: from where it was interrupted, else from `seek_ms`."""
        row = self._table.row(leg.row)
        if entry.resumes:
            position = entry.position_bytes % max(len(audio.payload), 1)
        else:
            position = audio.offset_bytes(entry.position_ms if entry.position_ms >= 0 else seek_ms)
        self._table.set_stored(leg.row, audio.payload, position)
        row.source = SOURCE_CODED if audio.frame_bytes else SOURCE_STORED
        if audio.frame_bytes:
            self._set_frames(leg, audio)
        row.loops = loops

    def _set_frames(self, leg: Leg, audio: StoredAudio) -> None:
        """Set how many of a precoded file's frames a packet takes: what the peer asked for, at least a tick's worth."""
        row, codec = self._table.row(leg.row), audio.codec
        wanted_ms = row.usual_ticks * 1000 // codec.clock_hz
        frames = max(wanted_ms // audio.frame_ms, -(-TICK_MS // audio.frame_ms)) if codec.joins else 1
        row.coded_bytes = frames * audio.frame_bytes
        row.coded_frame_ticks, row.coded_frame_bytes = codec.clock_hz * audio.frame_ms // 1000, audio.frame_bytes
        row.coded_credit = frames * row.coded_frame_ticks - row.frame_ticks  # the first packet goes at once
        self._table.fit(1, frames * audio.frame_bytes)

    def _bridge(self, leg: Leg, peer_number: int) -> None:
        """Join two legs whose current items name each other; part them when one turns away. A bridge is a room of two."""
        before = self._legs.get(leg.bridged_to) if leg.bridged_to else None
        leg.bridged_to = peer_number
        if before is not None and before.bridged_to == leg.number and before.number != peer_number:
            self._rooms.move(before.row, "")
            self._table.row(before.row).source = SOURCE_SILENCE
            self.set_listened(before)
        peer = self._legs.get(peer_number) if peer_number else None
        if peer is not None and peer.bridged_to == leg.number:
            self._rooms.move(peer.row, self._bridge_room(peer))
            self._table.row(peer.row).source = self._table.row(leg.row).source = SOURCE_ROOM
            self.set_listened(peer)

    def _bridge_room(self, leg: Leg) -> str:
        """Name of the room of a leg's bridge, which no room of the hub's can have; "" while the other side is not there."""
        peer = self._legs.get(leg.bridged_to) if leg.bridged_to else None
        if peer is None or peer.bridged_to != leg.number:
            return ""
        return f"{BRIDGE_ROOM}{min(leg.number, peer.number)} {max(leg.number, peer.number)}"

    def is_needed_elsewhere(self, leg: Leg) -> bool:
        """Whether something beside rooms, bridge and echo needs what a leg says."""
        return leg in self._inband or self._recorders.is_recording(leg)

    def set_listened(self, leg: Leg) -> None:
        """Decide whether anybody needs what the leg says, and give it a playout ring if so."""
        row = self._table.row(leg.row)
        listened = bool(self._rooms.room_of(leg.row)) or self._rooms.is_teed(leg.row) or row.source == SOURCE_ECHO
        listened = listened or self.is_needed_elsewhere(leg)
        listened = listened and leg.codec is not None
        if listened and row.relays == RELAY_PURE:
            return  # its payloads are passed on; whoever ends that brings the ring up to date
        if listened and leg.codec is not None:
            samples = row.max_delay_samples + leg.codec.rate_hz * RING_OVER_DELAY_MS // 1000
            if not row.listened or row.ring_samples < samples:
                self._table.set_ring(leg.row, samples)
                row.primed = 0
        row.listened = listened
        if not listened:
            row.heard, row.primed = 0, 0
