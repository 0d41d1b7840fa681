# SPDX-License-Identifier: GPL-2.0-or-later
"""What a program can have done with a call's audio. Each function is an operation: the call, its number, what it is given."""

from __future__ import annotations

import re

from di.apps import speech
from di.apps.keypad import KEYS
from di.calls.side_leg import SideLeg
from interfaces.apps.arguments import Arguments, BadOperation
from interfaces.apps.bridged_call import BridgedCall
from interfaces.apps.files import NoSuchFile
from interfaces.apps.sayings import said
from interfaces.apps.speaker import LONGEST, CannotSpeak
from media.control.play_items import PlayFile, PlaySilence

STREAM_RATES_HZ = (8000, 16000, 48000)
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(?:[-_][A-Za-z0-9]{1,8})*")


def play(call: BridgedCall, op: int, with_: Arguments) -> None:
    """A file. While a stream is open it interrupts that."""
    item = PlayFile(call.means.reach.readable(with_.text("path")), loop=with_.flag("loop"))
    call.plays.add(op, (item,), front=call.stream is not None)


def silence(call: BridgedCall, op: int, with_: Arguments) -> None:
    """So many milliseconds of it."""
    call.plays.add(op, (PlaySilence(with_.number("ms", most=86_400_000)),))


def say(call: BridgedCall, op: int, with_: Arguments) -> None:
    """A number, digits, a date, a time, a length of time by recordings; a text by the engine of prompts.conf."""
    kind, name = with_.text("kind"), with_.text("language") or call.means.language
    if not _LANGUAGE.fullmatch(name):
        raise BadOperation(f"{name!r:.40} is no language; right is one such as en or de-AT")
    front = call.stream is not None
    if kind == "text":
        text = with_.text("value").strip()
        if not 0 < len(text) <= LONGEST:
            raise BadOperation(f"a text must have 1 to {LONGEST} characters")
        call.plays.add(op, None, front)
        call.session.host.spawn(_speak(call, op, text.encode("utf-8", "replace").decode(), name))
        return
    rules = speech.language(name)
    if rules is None:
        raise BadOperation(f"there are no rules for numbers and dates in {name}")
    try:
        names = said(kind, with_.given("value"), rules)
    except ValueError as error:
        raise BadOperation(str(error)) from None
    call.plays.add(op, tuple(PlayFile(_recording(call, name, one)) for one in names), front)


def _recording(call: BridgedCall, language: str, name: str) -> str:
    """The file of a word: in the language's folder, in that of the wider language, or in none. Raises NoSuchFile."""
    wide = re.split("[-_]", language)[0]
    for path in (f"{language}/{name}.wav", f"{wide}/{name}.wav", f"{name}.wav"):
        try:
            return call.means.reach.readable(path)
        except NoSuchFile as error:
            missing = error
    raise missing


async def _speak(call: BridgedCall, op: int, text: str, language: str) -> None:
    try:
        path = await call.means.speaker.speak(text, language)
    except CannotSpeak as error:
        code, reason = error.code, str(error)
        call.session.run(lambda: call.plays.refuse(op, code, reason))
        return
    call.session.run(lambda: call.plays.ready(op, (PlayFile(path),)))


def mix_in(call: BridgedCall, op: int, with_: Arguments) -> None:
    """A file over what is played, again and again."""
    path = call.means.reach.readable(with_.text("path"))
    call.session.audio.set_up_mix_in(with_.number("percent", 50, 100) / 100, with_.number("interval_ms"))
    call.session.audio.mix_in(PlayFile(path), replace=True)
    call.done(op)


def audio(call: BridgedCall, op: int, with_: Arguments) -> None:
    """What passes: `muted`, `receiving`, `attached`, `inband`, and whether `silence_ends` the call, each as far as it is named."""
    audio = call.session.audio
    if with_.has("silence_ends"):
        call.silence_ends = with_.flag("silence_ends")
    if with_.has("muted"):
        audio.set(muted=with_.flag("muted"))
    if with_.has("receiving"):
        audio.receive(with_.flag("receiving"))
    if with_.has("attached"):
        audio.playlist.attach(input=with_.flag("attached"), output=with_.flag("attached"))
    if with_.has("inband"):
        audio.detect_digits(inband=with_.flag("inband"))
    call.done(op)


def flush(call: BridgedCall, op: int, with_: Arguments) -> None:  # noqa: ARG001
    """End everything that is to be played."""
    call.plays.flush()
    call.done(op)


def stop(call: BridgedCall, op: int, with_: Arguments) -> None:
    """End one operation."""
    number = with_.number("number", most=1 << 62)
    if call.waits(number, "join"):
        call.leave_room()
    elif number in call.plays:
        call.plays.stop(number)
    elif call.waits(number, f"record {call.session.audio.recording}"):
        call.session.audio.stop_recording()
    call.done(op)


def record(call: BridgedCall, op: int, with_: Arguments) -> None:
    """Record the peer."""
    path = call.means.reach.writable(with_.text("path"))
    length, silence = with_.number("max_ms"), with_.number("silence_ms")
    call.session.audio.record(path, length, silence)
    call.wait(op, f"record {path}")


def send_digits(call: BridgedCall, op: int, with_: Arguments) -> None:
    """Keys to the peer."""
    duration = with_.number("duration_ms", 200, 10_000)
    keys = with_.text("keys").upper()
    if any(key not in KEYS for key in keys):
        raise BadOperation("keys must be 0-9, *, #, A-D")
    for key in keys:
        call.session.audio.send_digit(KEYS.index(key), duration)
    call.done(op)


def join(call: BridgedCall, op: int, with_: Arguments) -> None:
    """Into a room."""
    room = with_.text("room")
    if not room:
        raise BadOperation("room must have a name")
    call.end_stream()
    if call.session.audio.room:  # the former one would stand before it in the playlist, and never end
        call.session.audio.flush()
        call.plays.dropped()
    call.settle("join")
    call.session.audio.set(muted=with_.flag("mute"))
    call.session.audio.join_room(room)
    call.plays.enter(op, room)
    call.wait(op, "join")


def leave(call: BridgedCall, op: int, with_: Arguments) -> None:  # noqa: ARG001
    """Out of the room."""
    call.leave_room()
    call.done(op)


# -------------------------------------------------------------------------------------------------------------------- streams
def stream(call: BridgedCall, op: int, with_: Arguments) -> None:  # noqa: ARG001
    """Open a stream: its result is our UDP address. `stream_to` tells the program's."""
    if not call.session.audio.started:
        raise BadOperation("there is no media yet: answer first")
    call.end_stream()
    call.leave_room()
    call.wait(op, "stream")

    def lost(why: str) -> None:
        call.session.run(lambda: _lost(call, side, why))

    side = call.stream = SideLeg(
        call.session, lambda ip, port: call.session.run(lambda: call.settle("stream", {"ip": ip, "port": port})), lost
    )


def _lost(call: BridgedCall, side: SideLeg, why: str) -> None:
    if call.stream is side:
        call.stream = None
        call.unsettle("stream", 503, why)
        call.event("stream_ended", why=why)


def stream_to(call: BridgedCall, op: int, with_: Arguments) -> None:
    """Where the program takes the audio, and at which rate."""
    port, rate_hz = with_.number("port", most=65535), with_.number("rate_hz", 16000)
    if call.stream is None:
        raise BadOperation("there is no stream: it was ended")
    if rate_hz not in STREAM_RATES_HZ or not port:
        raise BadOperation(f"right are a port, and one of the rates {', '.join(map(str, STREAM_RATES_HZ))}")
    process = call.process
    here = process is None or not process.source_ip
    ip = with_.text("ip") if here or process is None else process.source_ip
    if here and ip not in (*_ip_of(call), "127.0.0.1", "::1"):
        raise BadOperation(f"{ip!r:.60} is none of this machine's addresses")
    call.plays.dropped()
    call.stream.connect(ip, port, "L16", rate_hz, symmetric=not here)
    call.done(op)


def _ip_of(call: BridgedCall) -> tuple[str, ...]:
    address = call.session.audio.address
    return (address[0],) if address is not None else ()


def stream_end(call: BridgedCall, op: int, with_: Arguments) -> None:  # noqa: ARG001
    """End the stream."""
    call.end_stream()
    call.done(op)


AUDIO_OPERATIONS = {
    one.__name__: one
    for one in (
        play, silence, say, mix_in, audio, flush, stop, record, send_digits, join, leave, stream, stream_to, stream_end,
    )
}  # fmt: skip
