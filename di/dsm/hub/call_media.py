# SPDX-License-Identifier: GPL-2.0-or-later
"""`AudioPort` of a call: what a script does with the playlist, as records for the media process (spec dsm.md §8)."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from di.dsm.language.errors import DsmException
from media.control.audio_formats import is_played, is_recorded
from media.control.play_items import PlayFile, PlayItem, PlaySeparator, PlaySilence, PlayTone

if TYPE_CHECKING:
    from di.dsm.hub.script_host import ScriptedCall

log = logging.getLogger(__name__)

BYTES_PER_MS = 16
"""A recording is 16 bit, 8 kHz."""


class CallMedia:
    """The playlist stands still until it is attached (`sessionStart`, `connectMedia`)."""

    def __init__(self, call: ScriptedCall, *, detached: bool = True) -> None:
        self.call = call
        self.audio = call.session.audio
        if detached:
            self.audio.playlist.attach(input=False, output=False)
        self.prompt_set = ""
        self.keys = True
        self.forced_keys = False
        self.channel = False
        self.channel_queued = False
        self.mixing = False

    @property
    def bridged(self) -> bool:
        """Whether the call hears another leg instead of its playlist."""
        pair = self.call.session.pair
        return pair is not None and pair.bridged

    # ------------------------------------------------------------------------------------------------------------ playlist
    def _play(self, item: PlayItem, front: bool = False) -> None:
        self.open()
        self.audio.play(item, front=front)

    def open(self) -> None:
        """The leg must be there before anything is queued; it begins with the playlist detached."""
        self.audio.open()

    def play_prompt(self, name: str, *, front: bool = False, loop: bool = False) -> None:
        """Queue a prompt of the active set."""
        fallback = self.call.machine.vars.get("prompts.default_fallback") == "yes"
        path = self.call.host.files.prompts.find(name, self.prompt_set, fallback)
        if path is None:
            raise DsmException("prompt", name=name)
        self._play(PlayFile(path, loop=loop), front)

    def use_prompts(self, name: str) -> None:
        """Change to a set."""
        if name not in self.call.host.files.prompts.sets:
            raise DsmException("prompt", name=name)
        self.prompt_set = name

    def play_file(self, path: str, *, front: bool = False, loop: bool = False) -> None:
        """Queue a file."""
        self._play(PlayFile(self._readable(path), loop=loop), front)

    def _readable(self, path: str) -> str:
        """The audio file that a script means; a name without suffix is a WAV file's. Raises DsmException `file`.

        A file that is there but cannot be read as audio is an exception later, when its turn in the playlist comes.
        """
        name = path.partition("|")[0]  # the sub-type of a file is read from it
        name = name if os.path.splitext(name)[1] else f"{name}.wav"
        found = self.call.host.files.media_path(name, to_read=True)
        if found is None or not is_played(name) or not os.path.isfile(found):
            why = "no path, or outside media_root" if found is None else f"there is no {found}"
            raise DsmException(
                "file", path=path, text=why if found is None or is_played(name) else "no kind of file that is played"
            )
        return found

    def play_silence(self, length_ms: int, *, front: bool = False) -> None:
        """Queue silence; nothing for a length that is not positive."""
        if length_ms > 0:
            self._play(PlaySilence(length_ms), front)

    def play_tone(self, length_ms: int, on_ms: int, off_ms: int, hz: int, hz2: int, *, front: bool = False) -> None:
        """Queue a ring tone."""
        tones = tuple(tone for tone in (hz, hz2) if 0 < tone < 4000)
        item: PlayItem = PlayTone(tones, on_ms=max(on_ms, 0), off_ms=max(off_ms, 0), length_ms=max(length_ms, 0))
        if not tones:
            item = PlaySilence(max(length_ms, 0))
        self._play(item, front)

    def add_separator(self, number: int, *, front: bool = False) -> None:
        """Queue a marker."""
        self._play(PlaySeparator(number), front)

    def flush(self) -> None:
        """Drop everything."""
        self.channel_queued = False
        if self.audio.asked:
            self.audio.flush()

    # ----------------------------------------------------------------------------------------------------------- recording
    def record(self, path: str) -> None:
        """Record into a file whose folder must exist."""
        found = self.call.host.files.media_path(path)
        folder = os.path.dirname(found) if found is not None else ""
        if found is None or not is_recorded(path) or not os.access(folder, os.W_OK):
            why = f"folder {folder} " + ("cannot be written" if os.path.isdir(folder) else "does not exist")
            why = why if is_recorded(path) else "no kind of file that is recorded"
            raise DsmException("file", path=path, text=why if found is not None else "no path, or outside media_root")
        self.open()
        self.audio.record(found)

    def stop_record(self) -> bool:
        """Finish it; the playlist becomes the input again."""
        return self.audio.stop_recording()

    def recorded_ms(self) -> int | None:
        """Time since the recording began: the media process counts the samples itself."""
        return self.audio.recorded_ms()

    def recorded_bytes(self) -> int | None:
        """What is on disk, or, while the file is being written behind, what its length comes to."""
        length_ms = self.recorded_ms()
        if length_ms is None:
            return None
        try:
            size = os.path.getsize(self.audio.recording)
        except OSError:
            size = 0
        return max(size, length_ms * BYTES_PER_MS)

    # -------------------------------------------------------------------------------------------------------------- wiring
    def wire(self, *, input: bool, output: bool) -> None:
        """Attach one side or both; what is attached already stays so."""
        playlist = self.audio.playlist
        playlist.attach(input=playlist.input or input, output=playlist.output or output)

    def connect(self) -> None:
        """Attach the playlist, start media."""
        if self.bridged:
            return
        self.open()
        self.wire(input=True, output=True)

    def disconnect(self) -> None:
        """The playlist stands still. While two legs are bridged their media goes on, as it would from end to end."""
        playlist = self.audio.playlist
        if self.bridged:
            playlist.input = playlist.output = False
        else:
            playlist.attach(input=False, output=False)

    def mute(self, on: bool) -> None:
        """Stop or resume sending."""
        self.open()
        self.audio.set(send_muted=on)

    def receive(self, on: bool) -> None:
        """Process or ignore what is received; ignored audio has no keys either, unless they are forced."""
        self.audio.receive(on)
        self._set_keys()

    def force_keys(self, on: bool) -> None:
        """RTP keys even while not receiving."""
        self.forced_keys = on
        self._set_keys()

    def detect_keys(self, on: bool) -> None:
        """Switch key detection."""
        self.keys = on
        self._set_keys()

    def _set_keys(self) -> None:
        receiving = self.audio.receiving
        self.audio.detect_digits(inband=self.keys and receiving, telephone_event=self.keys and (receiving or self.forced_keys))

    def watch_rtp(self, on: bool) -> None:
        """Switch the detection of dead RTP."""
        self.open()
        self.audio.watch_rtp(self.call.host.rtp_timeout_ms if on else 0)

    def send_key(self, event: int, length_ms: int) -> None:
        """Send an RFC 4733 key; 16 and 17 are no keys that a peer knows."""
        if event <= 15:
            self.open()
            self.audio.send_digit(event, length_ms)

    # --------------------------------------------------------------------------------------------------------------- rooms
    def join(self, room: str, mode: str) -> None:
        """Enter a room and queue it; the mode says what the room hears, and what is heard of it."""
        if not room:
            raise DsmException("conference", cause="a room needs a name")
        self.open()
        self.audio.leave_room()
        speak, listen = mode in ("", "speakonly"), mode in ("", "listenonly")
        self.audio.set(muted=not speak, deaf=not listen)
        self.audio.join_room(room)
        self.channel = self.channel_queued = True

    def leave(self) -> bool:
        """Leave the room. A script that did not flush first has its playlist flushed here, so that no room item dangles (Q48)."""
        was, self.channel = self.channel, False
        if was:
            self.audio.leave_room()
            if self.channel_queued:
                self.flush()
            self.audio.set(muted=False, deaf=False)
        return was

    def tee_join(self, room: str, name: str) -> None:
        """Be heard in a room too. What is not the call's input cannot be passed on."""
        if not room:
            raise DsmException("conference", cause="a room needs a name")
        if not self.audio.playlist.input:
            raise DsmException("conference", cause="the call has no input: setInOutPlaylist() or connectMedia() first")
        self.open()
        self.audio.tee_room(name, room)

    def tee_leave(self, name: str) -> bool:
        """Give the channel back."""
        if name not in self.audio.tees:
            return False
        self.audio.untee_room(name)
        if not self.bridged:
            self.wire(input=True, output=True)
        return True

    # ------------------------------------------------------------------------------------------------------------- mix-in
    def set_up_mix_in(self, level: float, interval_ms: int) -> None:
        """Put a mixer over the output; one that is there is replaced."""
        self.open()
        self.mixing = True
        self.audio.set_up_mix_in(level, interval_ms)

    def play_mix_in(self, path: str) -> None:
        """Mix in a file, instead of what is mixed in now."""
        self._need_mixer()
        self.audio.mix_in(PlayFile(self._readable(path)), replace=True)

    def queue_mix_in(self, path: str, *, loop: bool = False) -> None:
        """Mix in a file after those that were queued so."""
        self._need_mixer()
        self.audio.mix_in(PlayFile(self._readable(path), loop=loop))

    def flush_mix_in(self) -> None:
        """Drop what is queued."""
        if self.mixing:
            self.audio.flush_mix_in()

    def _need_mixer(self) -> None:
        if not self.mixing:
            raise DsmException("conference", cause="there is no mixer: conference.setupMixIn() first")

    def set_playout(self, kind: str) -> None:
        """The playout buffer."""
        self.open()
        self.audio.set_playout(kind)
