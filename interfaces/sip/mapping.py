# SPDX-License-Identifier: GPL-2.0-or-later
"""What pjsua2 reports, as plain values, turned into the records of `di.sip.records`."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from di.sip.records import CallEnded, CallOffered, MediaNegotiated
from interfaces.sip.descriptions import Descriptions
from interfaces.sip.message import Message, endpoint_of, tag_of, uri_of
from interfaces.sip.message_log import SipPacket
from interfaces.sip.sdp.carried import carried
from interfaces.sip.sdp.crypto import without_keys
from interfaces.sip.sdp.lenient import is_on_hold, unspecified_of
from interfaces.sip.sdp.memories import bounded
from interfaces.sip.sdp.model import EVENT_CLOCK_HZ, SILENT, Meaning, MediaDescription, SessionDescription, number
from media.control.quick_records import record
from media.control.records import ReceivedFormat, Srtp

ENCODING = 1
"""pjmedia's direction bit "we send"."""
DECODING = 2
"""pjmedia's direction bit "we receive"."""


@record(frozen=True, slots=True)
class Stream:
    """An active audio stream as pjmedia describes it. `index`: its place among the streams of the descriptions."""

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
    index: int = 0


def offered(
    call: int,
    message: Message,
    packet: SipPacket,
    offer: SessionDescription,
    place: int = 0,
    known: frozenset[str] = frozenset(),
) -> CallOffered:
    """An INVITE as a record; `packet`: how it came, `offer`: the description in its body.

    `place`: number of our address that it came to. `known`: codecs that we can speak.
    """
    media_ip, media_port = offer.audio_address
    if media_ip and (family := unspecified_of(offer, offer.audio)):
        media_ip, media_port = family, 0
    return CallOffered(
        call=call,
        request_uri=message.request_uri,
        from_header=message.header("From"),
        to_header=message.header("To"),
        call_id=message.header("Call-ID"),
        remote_tag=tag_of(message.header("From")),
        contact_uri=uri_of(message.header("Contact")),
        source_ip=packet.source_ip,
        source_port=packet.source_port,
        headers=message.headers,
        body=without_keys(message.body),
        has_offer=bool(offer.lines or offer.media),
        remote_media_ip=media_ip,
        remote_media_port=media_port,
        connected=packet.connected,
        codecs=_spoken(offer.codecs, known),
        lines=carried(offer.audio),
        place=place,
    )


@bounded
@lru_cache(1024)
def _spoken(codecs: tuple[str, ...], known: frozenset[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(codec for codec in codecs if codec in known))


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


def negotiated(call: int, stream: Stream, agreed: Descriptions, last: MediaNegotiated | None) -> MediaNegotiated:
    """An active stream as a record. `agreed`: both sides' descriptions, `last`: what was negotiated before."""
    clock_hz, channels = rtp_clock(stream)
    theirs, ours = agreed.theirs, agreed.ours
    audio = _audio(theirs, stream.index)
    said = (
        _audio(ours, stream.index) if agreed.we_offered else audio
    )  # payload types that we receive: of the offer (RFC 3264 §6.1)
    event_send, event_receive, event_hz = _events(stream, _audio(ours, stream.index), audio, clock_hz, agreed.we_offered)
    ip, port = _remote(stream, theirs, audio, last)
    rtcp_ip, rtcp_port = theirs.control_address_of(audio) if audio is not None else ("", 0)
    return MediaNegotiated(
        call=call,
        remote_ip=ip,
        remote_port=port,
        codec=stream.codec.upper(),
        clock_hz=clock_hz,
        channels=channels,
        payload_type_send=stream.payload_type_send,
        payload_type_receive=stream.payload_type_receive,
        ptime_ms=(audio or SILENT).wished_ptime_ms(stream.frame_ms * max(stream.frames_per_packet, 1)),
        dtmf_send=event_send,
        dtmf_receive=event_receive,
        send=bool(stream.direction & ENCODING),
        receive=bool(stream.direction & DECODING),
        fmtp=stream.fmtp,
        dtmf_send_clock_hz=event_hz,
        dtmf_receive_clock_hz=event_hz,
        also=_also(said, audio, stream.payload_type_receive) if agreed.we_offered else (),
        rtcp_ip=rtcp_ip,
        rtcp_port=rtcp_port,
        lines=carried(audio),
        srtp=agreed.keying.srtp,
    )


def _audio(description: SessionDescription, index: int) -> MediaDescription | None:
    """The stream that pjmedia means."""
    here = description.media[index] if 0 <= index < len(description.media) else None
    return here if here is not None and here.is_live_audio else description.audio


def _remote(
    stream: Stream, theirs: SessionDescription, audio: MediaDescription | None, last: MediaNegotiated | None
) -> tuple[str, int]:
    """Where our audio goes: as they wrote it, not as pjsip was told; on hold where it went before."""
    connection = theirs.connection_of(audio) if audio is not None else None
    if audio is None or connection is None:
        return endpoint_of(stream.remote_address)
    if not is_on_hold(connection):
        return connection.host, audio.port
    return (last.remote_ip, last.remote_port) if last is not None else (unspecified_of(theirs, audio), audio.port)


def _events(
    stream: Stream, ours: MediaDescription | None, theirs: MediaDescription | None, clock_hz: int, we_offered: bool
) -> tuple[int, int, int]:
    """Payload types that we send keys in and receive them in, -1 for none, and in what their durations are counted (RFC 4733 §2.3).

    Of several that both have the one at the audio's clock, else the first; pjmedia would take the first, and none whose name is not in lower
    case. An answer has the offer's numbers.
    """
    if ours is None or theirs is None:
        return stream.dtmf_send, stream.dtmf_receive, EVENT_CLOCK_HZ
    return _common_events(ours.meaning, theirs.meaning, clock_hz, we_offered)


@bounded
@lru_cache(1024)
def _common_events(ours: Meaning, theirs: Meaning, clock_hz: int, we_offered: bool) -> tuple[int, int, int]:
    own = {hz: int(said) for said, hz in reversed(ours.events.items())}
    both = [(int(said), hz) for said, hz in theirs.events.items() if hz in own]
    if not both:
        return -1, -1, EVENT_CLOCK_HZ
    kind, hz = next((one for one in both if one[1] == clock_hz), both[0])
    return kind, own[hz] if we_offered else kind, hz


def _also(ours: MediaDescription | None, theirs: MediaDescription | None, usual: int) -> tuple[ReceivedFormat, ...]:
    """What else they may send: every codec of their answer, under the number that our offer gave it (RFC 3264 §7)."""
    if ours is None or theirs is None:
        return ()
    accepted = {theirs.codec(kind): kind for kind in reversed(theirs.formats) if number(kind, 127) >= 0}
    found = []
    for kind in ours.formats:
        meaning = ours.rtpmaps.get(kind)
        if meaning is None or meaning.is_event or meaning.codec not in accepted or int(kind) == usual:
            continue
        name = accepted[meaning.codec]
        fmtp = theirs.fmtp(name)
        found.append(ReceivedFormat(int(kind), int(name), meaning.name.upper(), meaning.clock_hz, meaning.channels, fmtp))
    return tuple(found)


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


def paused(last: MediaNegotiated, srtp: Srtp | None = None) -> MediaNegotiated:
    """The stream has become inactive (RFC 3264 §8.4): everything as before, nothing flows. `srtp`: with these keys."""
    return replace(last, send=False, receive=False, srtp=srtp)
