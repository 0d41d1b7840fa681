# SPDX-License-Identifier: GPL-2.0-or-later
"""Playlist, prompts, recording and keys (spec dsm.md §4.1, §8)."""

from __future__ import annotations

import logging

from di.dsm.language.errors import DsmException
from di.dsm.language.library import Res, Var, action
from di.dsm.language.numbers import signed, unsigned
from di.dsm.run.engine import Run

log = logging.getLogger(__name__)


@action("playPrompt")
def play_prompt(run: Run, name: Res) -> None:
    """Queue a prompt."""
    run.session.media.play_prompt(name)
    run.ok()


@action("playPromptFront")
def play_prompt_front(run: Run, name: Res) -> None:
    """Play a prompt now; the current item goes on afterwards."""
    run.session.media.play_prompt(name, front=True)
    run.ok()


@action("playPromptLooped")
def play_prompt_looped(run: Run, name: Res) -> None:
    """Queue a prompt, endlessly."""
    run.session.media.play_prompt(name, loop=True)
    run.ok()


@action("setPrompts", "setPromptSet")
def set_prompts(run: Run, name: Res) -> None:
    """Change to a prompt set."""
    run.session.media.use_prompts(name)
    run.ok()


@action("playFile")
def play_file(run: Run, path: Res, loop: Res = "") -> None:
    """Queue a file; `true` repeats it."""
    run.session.media.play_file(path, loop=loop == "true")
    run.ok()


@action("playFileFront")
def play_file_front(run: Run, path: Res, loop: Res = "") -> None:
    """Play a file now."""
    run.session.media.play_file(path, loop=loop == "true", front=True)
    run.ok()


def _silence(run: Run, length: str, front: bool) -> None:
    length_ms = signed(length)
    if length_ms is None:
        raise DsmException("core", cause=f"silence of {length!r} ms: a number is needed")
    run.session.media.play_silence(length_ms, front=front)
    run.ok()


@action("playSilence")
def play_silence(run: Run, length: Res) -> None:
    """Queue silence of so many ms."""
    _silence(run, length, False)


@action("playSilenceFront")
def play_silence_front(run: Run, length: Res) -> None:
    """Silence now."""
    _silence(run, length, True)


@action("playRingtone")
def play_ringtone(run: Run, name: Var, front: Res) -> None:
    """A tone of `struct.length`, `.on`, `.off` in ms and `.f`, `.f2` in Hz."""
    numbers = []
    for member in ("length", "on", "off", "f", "f2"):
        text = run.vars.get(f"{name}.{member}", "")
        number = signed(text)
        if number is None:
            raise DsmException("core", cause=f"${name}.{member} is {text!r}: a number is needed")
        numbers.append(number)
    length_ms, on_ms, off_ms, hz, hz2 = numbers
    run.session.media.play_tone(length_ms, on_ms, off_ms, hz, hz2, front=front == "true")
    run.ok()


@action("recordFile")
def record_file(run: Run, path: Res) -> None:
    """Start recording."""
    run.session.media.record(path)
    run.ok()


@action("stopRecord")
def stop_record(run: Run) -> None:
    """Finish the recording."""
    if run.session.media.stop_record():
        run.ok()
    else:
        run.fail("script", "nothing is being recorded")


def _recorded(run: Run, target: str, value: int | None) -> None:
    run.vars[target] = str(value or 0)
    if value is None:
        run.fail("script", "nothing is being recorded")
    else:
        run.ok()


@action("getRecordLength")
def get_record_length(run: Run, target: Res) -> None:
    """Milliseconds recorded so far."""
    _recorded(run, target or "record_length", run.session.media.recorded_ms())


@action("getRecordDataSize")
def get_record_data_size(run: Run, target: Res) -> None:
    """Bytes recorded so far."""
    _recorded(run, target or "record_data_size", run.session.media.recorded_bytes())


@action("flushPlaylist")
def flush_playlist(run: Run) -> None:
    """Drop everything queued."""
    run.session.media.flush()


@action("closePlaylist")
def close_playlist(run: Run) -> None:
    """Old name of flushPlaylist."""
    log.warning("%s: closePlaylist is the old name of flushPlaylist", run.session.id)
    run.session.media.flush()


@action("setInOutPlaylist")
def set_in_out_playlist(run: Run) -> None:
    """The playlist becomes input and output."""
    run.session.media.wire(input=True, output=True)


@action("setInputPlaylist")
def set_input_playlist(run: Run) -> None:
    """The playlist becomes the input."""
    run.session.media.wire(input=True, output=False)


@action("setOutputPlaylist")
def set_output_playlist(run: Run) -> None:
    """The playlist becomes the output."""
    run.session.media.wire(input=False, output=True)


@action("addSeparator")
def add_separator(run: Run, id: Res, front: Res = "") -> None:
    """Queue a marker."""
    number = unsigned(id)
    if number is None:
        run.fail("arg", f"separator id {id!r} must be a number")
        return
    run.session.media.add_separator(number, front=front == "true")
    run.ok()


@action("connectMedia")
def connect_media(run: Run) -> None:
    """Attach the playlist, start media."""
    run.session.media.connect()


@action("disconnectMedia")
def disconnect_media(run: Run) -> None:
    """Stop media."""
    run.session.media.disconnect()


@action("mute")
def mute(run: Run) -> None:
    """Stop sending."""
    run.session.media.mute(True)


@action("unmute")
def unmute(run: Run) -> None:
    """Resume sending."""
    run.session.media.mute(False)


@action("enableReceiving")
def enable_receiving(run: Run) -> None:
    """Process received RTP."""
    run.session.media.receive(True)


@action("disableReceiving")
def disable_receiving(run: Run) -> None:
    """Ignore received RTP."""
    run.session.media.receive(False)


@action("enableForceDTMFReceiving")
def enable_force_keys(run: Run) -> None:
    """RTP keys even while not receiving."""
    run.session.media.force_keys(True)


@action("disableForceDTMFReceiving")
def disable_force_keys(run: Run) -> None:
    """Undo it."""
    run.session.media.force_keys(False)


@action("monitorRTPTimeout")
def monitor_rtp_timeout(run: Run, flag: Res) -> None:
    """Detect dead RTP or not."""
    run.session.media.watch_rtp(flag == "true")


@action("enableDTMFDetection")
def enable_detection(run: Run) -> None:
    """Detect keys."""
    run.session.media.detect_keys(True)


@action("disableDTMFDetection")
def disable_detection(run: Run) -> None:
    """Detect no keys."""
    run.session.media.detect_keys(False)


def _length_ms(text: str) -> int:
    value = unsigned(text) if text else 500
    if value is None:
        raise DsmException("core", cause=f"key duration {text!r} ms: a number is needed")
    return value


@action("sendDTMF")
def send_dtmf(run: Run, key: Res, length: Res = "") -> None:
    """Send one RTP event 0–15."""
    event = unsigned(key)
    if event is None or event > 15:
        raise DsmException("core", cause=f"key {key!r}: a number from 0 to 15 is needed")
    run.session.media.send_key(event, _length_ms(length))


@action("sendDTMFSequence")
def send_dtmf_sequence(run: Run, keys: Res, length: Res = "") -> None:
    """Send each key of a text."""
    length_ms = _length_ms(length)
    for key in keys:
        event = "0123456789*#ABCDEF".find(key)
        if event >= 0:
            run.session.media.send_key(event, length_ms)
