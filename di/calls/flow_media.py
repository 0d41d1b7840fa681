# SPDX-License-Identifier: GPL-2.0-or-later
"""What the media process and rooms tell a call, and which callback it becomes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from di.calls.events import Outcome, RoomChanged
from di.calls.state import AudioPhase
from media.control.recording_records import RecordingStopped
from media.control.records import (
    DigitPressed,
    ItemFailed,
    LegDropped,
    LegFailed,
    LegOpened,
    MediaHeld,
    PlaylistEmptied,
    RtpTimedOut,
    SeparatorReached,
    SpeakerChanged,
)

if TYPE_CHECKING:
    from di.calls.session import Session

log = logging.getLogger(__name__)


def _opened(session: Session, event: LegOpened) -> None:
    info, interfaces = session.info, session.host.interfaces
    used = info.media_interface if info.media_interface >= 0 else info.interface
    session.audio.address = (interfaces.shown(used, event.address, event.ip), event.port)
    session.audio.enter(AudioPhase.OPEN)
    session.dialog.audio_opened()


def _failed(session: Session, event: LegFailed) -> None:
    log.error("call %s: no media: %s", session.id, event.reason)
    if (
        event.other_family
    ):  # 503 would say that all calls fail; who gets this may offer the other family (RFC 3261 §20.43, §21.4.26)
        session.dialog.end(488, "Not Acceptable Here", ('Warning: 300 cordboard "Incompatible network protocol"',))
        return
    session.dialog.end(503, "Service Unavailable")


def _dropped(session: Session, event: LegDropped) -> Outcome:
    log.error("call %s: its media was dropped: %s", session.id, event.reason)
    session.run(lambda: session.dialog.end(500, "Server Internal Error"))
    return session.app.on_media_lost()


def _digit(session: Session, event: DigitPressed) -> Outcome:
    return press(session, event.event, event.duration_ms, event.source)


def press(session: Session, event: int, duration_ms: int, source: str) -> Outcome:
    """A key came by one of its ways; the application is told once a press."""
    if not session.digits.accept(event, source, session.host.clock.now_ns(), duration_ms):
        return None
    session.host.digit_pressed(session, event, duration_ms, source)
    return session.app.on_digit(event, duration_ms)


def _rtp_timeout(session: Session, event: RtpTimedOut) -> Outcome:
    log.warning("call %s: no RTP for %d s", session.id, event.silent_ms // 1000)
    return session.app.on_rtp_timeout()


def _held(session: Session, event: MediaHeld) -> None:  # noqa: ARG001
    negotiated = session.audio.negotiated
    where = f"{negotiated.remote_ip}:{negotiated.remote_port}" if negotiated is not None else "its address"
    log.warning(
        "call %s: its audio waits after %d packets: nothing has come from %s, and the caller has acknowledged nothing; what proves that it is "
        "there is RTP, PRACK (100rel), or signalling from that host by TCP or from trusted_peers; early_media_peers and media_before_ack lift it",
        session.id, session.audio.before_ack, where,
    )  # fmt: skip


def _recording_stopped(session: Session, event: RecordingStopped) -> Outcome:
    if session.audio.recording == event.path:
        session.audio.recording = ""
    return session.app.on_recording_stopped(event)


def room(session: Session, event: RoomChanged) -> Outcome:
    """Somebody came to or left a room; the application hears of those that the call is in now."""
    audio = session.audio
    return session.app.on_room(event) if event.room in (audio.room, *audio.tees.values()) else None


HANDLERS: dict[type, Callable[[Any, Any], Outcome]] = {
    LegOpened: _opened,
    LegFailed: _failed,
    LegDropped: _dropped,
    DigitPressed: _digit,
    RtpTimedOut: _rtp_timeout,
    MediaHeld: _held,
    RecordingStopped: _recording_stopped,
    ItemFailed: lambda session, event: session.app.on_item_failed(event),
    SpeakerChanged: lambda session, event: session.app.on_speaking(event),
    PlaylistEmptied: lambda session, event: session.app.on_playlist_empty(),
    SeparatorReached: lambda session, event: session.app.on_separator(event.number),
}
