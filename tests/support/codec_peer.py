# SPDX-License-Identifier: GPL-2.0-or-later
"""An RTP peer that speaks any codec, by the codec's own library, and a call with it by hand-written SIP.

call = await codec_call(phone, "echo", peer, "a=rtpmap:97 iLBC/8000", "a=fmtp:97 mode=30")
group.run_ms(1500)
peer.sounds()                              # int16 at the codec's rate
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from media.codecs.codec import Codec, Coder
from tests.support import sdp
from tests.support.rtp_peer import Peer
from tests.support.sip_peer import PeerCall, UdpPeer

_NUMBERS = itertools.count(1)


@dataclass(eq=False)
class CodecPeer(Peer):
    """`samples`: at the codec's rate. `receive_type`: payload type that it takes, `payload_type` the one that it sends."""

    codec: Codec | None = None
    fmtp: str = ""
    packet_ms: int = 20
    receive_type: int = -1

    def __post_init__(self) -> None:
        Peer.__post_init__(self)
        self._saved_ms = 0
        self._encoder, self._decoder = self._coder(), self._coder()
        if self.receive_type < 0:
            self.receive_type = self.payload_type

    def _coder(self) -> Coder | None:
        assert self.codec is not None
        return self.codec.coder(self.fmtp) if self.codec.coder else None

    def next_payload(self) -> bytes:
        """The next packet of what the peer says, encoded."""
        assert self.samples is not None and self.codec is not None
        count = self.codec.rate_hz * self.packet_ms // 1000
        places = np.arange(self._position, self._position + count) % len(self.samples)
        self._position = int(places[-1]) + 1
        samples = np.ascontiguousarray(self.samples[places])
        return self._encoder.encode(samples) if self._encoder else self.codec.encode(samples).tobytes()

    def send_frame(self) -> None:
        """Called each 20 ms: send what packets are due."""
        assert self.codec is not None
        self._saved_ms += 20
        while self._saved_ms >= self.packet_ms:
            self._saved_ms -= self.packet_ms
            if self.samples is not None and self.remote is not None:
                self.send_raw(self.packet(self.next_payload()))
                self.sent += 1
            self.sequence += 1
            self.ts += self.codec.clock_hz * self.packet_ms // 1000

    def changed(
        self, codec: Codec, payload_type: int, samples: NDArray[np.int16], fmtp: str = "", packet_ms: int = 20
    ) -> CodecPeer:
        """The same peer, at its address, from now on with another codec; what was heard is forgotten."""
        self.codec, self.payload_type, self.receive_type, self.samples = codec, payload_type, payload_type, samples
        self.fmtp, self.packet_ms, self._position = fmtp, packet_ms, 0
        self._encoder, self._decoder = self._coder(), self._coder()
        self.forget()
        return self

    def sounds(self, skip_ms: int = 0) -> NDArray[np.int16]:
        """What the peer heard, at the codec's rate, in order of sequence; what was lost is left out."""
        assert self.codec is not None
        audio = [p for p in self.packets if p.payload_type == self.receive_type]
        if not audio:
            return np.zeros(0, np.int16)
        first = audio[0].sequence
        audio.sort(key=lambda p: (p.sequence - first + 32768) % 65536)
        parts = [self._decode(p.payload) for p in audio]
        return np.concatenate(parts)[skip_ms * self.codec.rate_hz // 1000 :]

    def _decode(self, payload: bytes) -> NDArray[np.int16]:
        assert self.codec is not None
        return self._decoder.decode(payload) if self._decoder else self.codec.decode(np.frombuffer(payload, np.uint8))


def audio_offer(peer: Peer, *attributes: str, types: tuple[int, ...] = ()) -> str:
    """A description of one audio stream to the peer: its payload type (or `types`) and these lines."""
    kinds = " ".join(str(kind) for kind in types or (peer.payload_type,))
    lines = ["v=0", "o=peer 1 1 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0"]
    lines += [f"m=audio {peer.port} RTP/AVP {kinds}", *attributes]
    return "".join(line + "\r\n" for line in lines)


async def offer_call(phone: UdpPeer, user: str, peer: Peer, offer: str) -> tuple[PeerCall, str]:
    """Place a call with an offer; the peer then sends to where the answer says. Returns the call and the answer's description."""
    call = PeerCall(phone, f"codec{next(_NUMBERS)}@peer", user)
    phone.calls[call.call_id] = call
    call.send_request("INVITE", offer)
    return call, await answered(call, peer)


async def answered(call: PeerCall, peer: Peer) -> str:
    """Wait for the 200 to an INVITE and acknowledge it. Raises AssertionError for another final reply."""
    reply = await call.next(*range(200, 700))
    assert reply.code == 200, f"{reply.code} {reply.reason}"
    call.ack()
    answer = reply.body.decode()
    peer.remote = sdp.audio_address(answer)
    return answer
