# SPDX-License-Identifier: GPL-2.0-or-later
"""Phones of the test kit's real stage: SIP by `sip_peer`, audio by `rtp_peer`, in a thread that sends a packet each 20 ms.

A phone says a tone of its own without a pause, sends keys as RFC 4733 events, and recognises sounds by correlation with their files.
"""

from __future__ import annotations

import asyncio
import re
import struct
import threading
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from clients.app.testing.stage import HEARD_S, Who
from clients.app.testing.waiting import Waiting
from interfaces.sip.message import Message, uri_of
from media.codecs import find
from tests.support import tones
from tests.support.rtp_peer import FRAME_SAMPLES, NAMES, Peer
from tests.support.sdp import audio_address
from tests.support.sip_peer import PeerCall, description, direction_of

EVENT = 101
KEYS = "0123456789*#ABCD"
_KEY_PACKETS, _GAP_PACKETS = 3, 2
_ALIKE = 0.75
"""Correlation from which on a sound is taken for its file; noise and other sounds stay below 0.2."""


class Sound:
    """The first of what can be heard of a file, at 8 kHz: what a phone listens for."""

    def __init__(self, path: Path) -> None:
        samples, rate_hz = read_samples(path)
        at_8k = soxr.resample(samples.astype(np.float64), rate_hz, 8000) if rate_hz != 8000 else samples.astype(np.float64)
        loud = np.flatnonzero(np.abs(at_8k) > 0.05 * np.abs(at_8k).max())
        start = int(loud[0]) if len(loud) else 0
        self.template: NDArray[np.float64] = at_8k[start : start + int(HEARD_S * 8000)]

    def place(self, heard: NDArray[np.int16]) -> int:
        """Where it is over the first time in what was heard; 0: nowhere."""
        template = self.template - self.template.mean()
        count = len(template)
        if len(heard) < count:
            return 0
        sound = heard.astype(np.float64)
        size = 1 << (len(sound) + count - 1).bit_length()
        product = np.fft.irfft(np.fft.rfft(sound, size) * np.conj(np.fft.rfft(template, size)), size)[: len(sound) - count + 1]
        energy = np.concatenate(([0.0], np.cumsum(sound**2)))
        norm = np.sqrt(np.maximum(energy[count:] - energy[:-count], 1e4)) * np.linalg.norm(template)
        alike = product / norm
        found = np.flatnonzero(alike > _ALIKE)
        return int(found[0]) + count if len(found) else 0


def read_samples(path: Path) -> tuple[NDArray[np.int16], int]:
    """A WAV file's samples and rate."""
    import wave

    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")[:: file.getnchannels()], file.getframerate()


class Handset:
    """The audio of one phone. `tick` is called by the thread that serves all."""

    def __init__(self, hz: float) -> None:
        self.hz = hz
        self.peer = Peer(tones.tone(hz, 1000))
        self._keys: deque[int] = deque()
        self.event_type = EVENT
        """Payload type of the keys that it sends."""
        self._step = 0
        self._cursor = 0

    def press(self, keys: str) -> None:
        """Queue keys."""
        self._keys.extend(KEYS.index(key) for key in keys)

    def tick(self) -> None:
        """20 ms: a packet of a key or of the tone, and whatever has come."""
        self.peer.read()
        if self.peer.remote is None:
            return
        if not self._keys:
            self.peer.send_frame()
            return
        self._step += 1
        if self._step <= _KEY_PACKETS:
            self._event(self._keys[0], self._step * FRAME_SAMPLES, False, self._step == 1)
        elif self._step == _KEY_PACKETS + 1:
            for _ in range(3):
                self._event(self._keys[0], _KEY_PACKETS * FRAME_SAMPLES, True, False)
            self.peer.ts += (_KEY_PACKETS + 1) * FRAME_SAMPLES
        elif self._step > _KEY_PACKETS + _GAP_PACKETS:
            self._keys.popleft()
            self._step = 0
        else:
            self.peer.send_frame()

    def _event(self, event: int, duration: int, end: bool, marker: bool) -> None:
        payload = struct.pack(">BBH", event, 10 | (128 if end else 0), duration)
        self.peer.send_raw(self.peer.packet(payload, self.event_type, marker))
        self.peer.sequence += 1

    def _heard(self) -> NDArray[np.int16]:
        """All audio so far, in the order in which it came."""
        kinds: dict[int, list[bytes]] = {}
        for packet in list(self.peer.packets):
            if packet.payload_type in NAMES:
                kinds.setdefault(packet.payload_type, []).append(packet.payload)
        (kind, payloads), *others = kinds.items() or [(0, [])]
        assert not others, "one codec a call"
        codec = find(NAMES[kind], 8000)
        assert codec is not None
        return codec.decode(np.frombuffer(b"".join(payloads), np.uint8))

    def told(self, sounds: Mapping[str, Sound]) -> list[str]:
        """The names of the sounds that are in what has come behind what was recognised last, in order."""
        heard = self._heard()[self._cursor :]
        places = sorted((place, name) for name, sound in sounds.items() if (place := sound.place(heard)))
        return [name for _, name in places]

    def recognises(self, sound: Sound) -> bool:
        """Whether a sound has come behind what was recognised last."""
        place = sound.place(self._heard()[self._cursor :])
        self._cursor += place
        return place > 0

    def hears_tone(self, hz: float) -> bool:
        """Whether a tone is there now."""
        recent = self._heard()[-3200:]
        return len(recent) == 3200 and tones.level(recent, hz) > 2000

    def keys(self) -> str:
        """The keys that have come, each once."""
        events = {packet.ts: packet.payload[0] for packet in list(self.peer.packets) if packet.payload_type == EVENT}
        return "".join(KEYS[event] for event in events.values())


class Pump:
    """The thread that sends and receives for all phones."""

    def __init__(self) -> None:
        self._handsets: list[Handset] = []
        self._over = threading.Event()
        self._turn = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def add(self, handset: Handset) -> None:
        """One more phone."""
        with self._turn:
            self._handsets.append(handset)

    def _run(self) -> None:
        due = time.monotonic()
        while not self._over.is_set():
            with self._turn:
                for handset in self._handsets:
                    handset.tick()
            due = max(due + 0.02, time.monotonic() - 0.2)
            time.sleep(max(due - time.monotonic(), 0.001))

    def close(self) -> None:
        """End it and close every socket."""
        self._over.set()
        self._thread.join(10)
        for handset in self._handsets:
            handset.peer.close()


class Dialogue:
    """The SIP side of one phone's call: everything that comes is answered by itself."""

    def __init__(self, call: PeerCall, handset: Handset, waiting: Waiting) -> None:
        self.call, self.handset, self.waiting = call, handset, waiting
        self.code = 0
        """Of the final reply, ours or theirs."""
        self.ended_by: Who | None = None
        self.answers: dict[str, int] = {}
        self.held = False
        self.asked: list[tuple[str, dict[str, str]]] = []
        self._replies: dict[str, asyncio.Future[int]] = {}
        self._task = asyncio.ensure_future(self._read())

    def end(self, by: Who) -> None:
        """It is over."""
        if self.ended_by is None:
            self.ended_by = by
            self.waiting.changed()

    def hang_up(self, who: Who, incoming: bool) -> None:
        """BYE, CANCEL, or a refusal, as far as it is."""
        if self.ended_by is not None:
            return
        if self.code:
            self.call.send_request("BYE")
        elif incoming:
            self.final(486)
        else:
            self.call.cancel()
        self.end(who)

    def final(self, code: int) -> None:
        """Answer the INVITE that came."""
        invite = self.call.invite_message
        if invite is None or self.code or self.ended_by is not None:
            return
        self.code = code
        self.call.reply(invite, code, description(self.handset.peer.port) if code < 300 else "")
        if code < 300:
            self._hear(invite)
        else:
            self.end("callee")

    async def request(self, method: str, body: str, headers: str) -> int:
        """Send a request; the code of its reply."""
        done = self._replies[f"{self.call.cseq + 1} {method}"] = asyncio.get_running_loop().create_future()
        self.call.send_request(method, body, "text/plain", headers=headers)
        async with asyncio.timeout(20):
            code: int = await done
            return code

    def _hear(self, message: Message) -> None:
        if message.body:
            text = message.body.decode()
            self.handset.peer.remote = audio_address(text)
            for number in re.findall(r"^a=rtpmap:(\d+) telephone-event/8000\r?$", text, re.M):
                self.handset.event_type = int(number)  # what they want to get, whatever we have named ours (RFC 3264 §5.1)

    async def _read(self) -> None:
        while True:
            message = await self.call.messages.get()
            if message.code:
                self._reply(message)
            elif message.method == "ACK":
                pass
            elif message.method == "CANCEL":
                self._cancelled(message)
            else:
                self._request(message)
            self.waiting.changed()

    def _cancelled(self, message: Message) -> None:
        self.call.reply(message, 200)
        if self.call.invite_message is not None and not self.code:
            self.code = 487
            self.call.reply(self.call.invite_message, 487)
        self.end("app")

    def _reply(self, message: Message) -> None:
        if ";tag=" in message.header("To"):
            self.call.remote = message.header("To")
        if message.header("Contact"):
            self.call.target = uri_of(message.header("Contact"))
        number = message.header("CSeq")
        if not number.endswith("INVITE"):
            done = self._replies.get(number)
            if done is not None and not done.done() and message.code >= 200:
                done.set_result(message.code)
            return
        self._hear(message)
        if message.code < 200:
            return
        if message.code < 300:
            self.code = self.code or message.code
            self.call.ack()
            return
        self.call.send_request("ACK", cseq=int(number.split()[0]), branch=self.call.branch)
        self.code = self.code or message.code
        self.end("app")

    def _request(self, message: Message) -> None:
        if message.method == "BYE":
            self.call.reply(message, 200)
            self.end("app")
            return
        if message.method == "INVITE":
            self.held = direction_of(message.body.decode()) == "sendonly"
            kept = {"sendonly": "recvonly", "inactive": "inactive"}.get(direction_of(message.body.decode()), "sendrecv")
            self.call.reply(message, 200, description(self.handset.peer.port, kept))
            self._hear(message)
            return
        code = self.answers.get(message.method, 202 if message.method == "REFER" else 200)
        self.call.reply(message, code)
        headers = {name.lower(): value for name, value in message.headers}
        self.asked.append((message.method, {**headers, "body": message.body.decode("utf-8", "replace")}))

    def close(self) -> None:
        """Read no more."""
        self._task.cancel()
