# SPDX-License-Identifier: GPL-2.0-or-later
"""What pjsua2 reports, as plain values, turned into the records of `di.sip.records`."""

from __future__ import annotations

from dataclasses import dataclass, replace

from di.sip.records import CallEnded, CallOffered, MediaNegotiated
from interfaces.sip.message import Message, endpoint_of, tag_of, uri_of
from interfaces.sip.sdp import audio_address, wished_ptime_ms

ENCODING = 1
"""pjmedia's direction bit "we send"."""
DECODING = 2
"""pjmedia's direction bit "we receive"."""


@dataclass(frozen=True, slots=True)
class Stream:
    """An active audio stream as pjmedia describes it."""

    codec: str
    clock_hz: int
    channels: int
    payload_type_send: int
    payload_type_receive: int
    dtmf_send: int
    dtmf_receive: int
    direction: int
    frame_ms: int
    frames_per_packet: int
    remote_address: str
    fmtp: str = ""  # of the peer, for the payload type that we send


def offered(call: int, message: Message, source: str) -> CallOffered:
    """An INVITE as a record; `source` is `ip:port` of the packet."""
    source_ip, source_port = endpoint_of(source)
    description = message.body.decode("utf-8", "replace") if message.has_sdp else ""
    media_ip, media_port = audio_address(description)
    return CallOffered(
        call=call,
        request_uri=message.request_uri,
        from_header=message.header("From"),
        to_header=message.header("To"),
        call_id=message.header("Call-ID"),
        remote_tag=tag_of(message.header("From")),
        contact_uri=uri_of(message.header("Contact")),
        source_ip=source_ip,
        source_port=source_port,
        headers=message.headers,
        body=message.body,
        has_offer=bool(description),
        remote_media_ip=media_ip,
        remote_media_port=media_port,
    )


def rtp_clock(stream: Stream) -> tuple[int, int]:
    """RTP clock and channels of a stream, which pjmedia tells otherwise for two codecs.

    G.722's clock is 8000 Hz though it samples at 16000 (RFC 3551 §4.5.2); Opus's is always 48000 and its channels two, while pjmedia
    tells what the peer's maxplaybackrate and stereo make of them (RFC 7587 §7).
    """
    name = stream.codec.upper()
    if name == "OPUS":
        return 48000, 2
    if name == "G722":
        return 8000, stream.channels
    return stream.clock_hz, stream.channels


def negotiated(call: int, stream: Stream, remote_description: str) -> MediaNegotiated:
    """An active stream as a record. `remote_description`: the peer's, for its maxptime."""
    ip, port = endpoint_of(stream.remote_address)
    clock_hz, channels = rtp_clock(stream)
    return MediaNegotiated(
        call=call,
        remote_ip=ip,
        remote_port=port,
        codec=stream.codec.upper(),
        clock_hz=clock_hz,
        channels=channels,
        payload_type_send=stream.payload_type_send,
        payload_type_receive=stream.payload_type_receive,
        ptime_ms=wished_ptime_ms(remote_description, stream.frame_ms * max(stream.frames_per_packet, 1)),
        dtmf_send=stream.dtmf_send,
        dtmf_receive=stream.dtmf_receive,
        send=bool(stream.direction & ENCODING),
        receive=bool(stream.direction & DECODING),
        fmtp=stream.fmtp,
    )


def ended(call: int, code: int, reason: str, last: Message | None, confirmed: bool) -> CallEnded:
    """Why a call ended that we did not end. `last`: the message that ended it, None when none did (timer, transport)."""
    if last is None:
        by = "timeout" if code in (408, 504) or confirmed else "error"
        return CallEnded(call, code or 408, reason or "Request Timeout", by)
    if last.method == "CANCEL" and not confirmed:
        return CallEnded(call, 487, "Request Terminated", "cancel", last.headers)
    if last.method == "BYE":
        return CallEnded(call, 200, "BYE", "remote", last.headers)
    if last.code:
        gone = confirmed and last.code in (408, 481)  # RFC 3261 §12.2.1.2: the peer has lost the dialog
        return CallEnded(call, last.code, last.reason or reason, "timeout" if gone else "remote", last.headers)
    return CallEnded(call, code, reason, "error")


def codec_id(wanted: str) -> str:
    """pjmedia's prefix for an rtpmap name with clock: the same, but `G722/8000` → `G722/16000` (see `negotiated`)."""
    return "G722/16000" if wanted.upper() == "G722/8000" else wanted


def paused(last: MediaNegotiated) -> MediaNegotiated:
    """The stream has become inactive (RFC 3264 §8.4): everything as before, nothing flows."""
    return replace(last, send=False, receive=False)
