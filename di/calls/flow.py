# SPDX-License-Identifier: GPL-2.0-or-later
"""What each event does to a call, and which callback it becomes (spec core.md §7.3).

    offered  → on_invite → accept → LegOpened → Answer … MediaNegotiated → ConnectLeg, CallConfirmed → on_session_start
    dialled  → LegOpened → Dial … CallProgressed → on_ringing, MediaNegotiated → on_early_session_start, CallConfirmed → …
    the end  → CallEnded → on_bye | on_cancel | on_failure | on_remote_disappeared → on_destroy → CloseLeg

`handle` returns None, or an awaitable when the application waits.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from di.calls.digits import parse_dtmf_relay
from di.calls.events import DialogState, EventPosted, RoomChanged, Run, SystemEvent, TimerExpired
from di.kernel.errors import Refused
from di.sip.records import (
    CallConfirmed,
    CallEnded,
    CallIdentified,
    CallOffered,
    CallProgressed,
    Dial,
    MediaNegotiated,
    ReplyReceived,
    RequestReceived,
    SessionTimedOut,
)
from media.control.records import (
    CloseLeg,
    ConnectLeg,
    DigitPressed,
    LegDropped,
    LegFailed,
    LegOpened,
    PlaylistEmptied,
    RtpTimedOut,
    SeparatorReached,
    SetRtpTimeout,
)

if TYPE_CHECKING:
    from di.calls.session import Session

log = logging.getLogger(__name__)
Outcome = Awaitable[None] | None


def handle(session: Session, event: object) -> Outcome:
    """Bring one event to the session and its application."""
    handler = _HANDLERS.get(type(event))
    if handler is None:
        return session.app.on_media_event(event)
    return handler(session, event)


def failed(session: Session, error: BaseException) -> None:
    """An application's callback raised: end this call, and say so. Refused is an answer, everything else a fault (500 or BYE)."""
    if isinstance(error, Refused) and session.state is not DialogState.DISCONNECTED:
        log.info("call %s: %s refuses with %d %s", session.id, session.application, error.code, error.reason)
        if session.info.direction == "in" and not session.answered:
            session.reject(error.code, error.reason, error.headers)
        else:
            session.stop(error.code, error.reason, error.headers)
        return
    log.error("call %s: %s failed: %s", session.id, session.application, _one_line(error), exc_info=error)
    if session.ended or session.state is DialogState.DISCONNECTED:
        return
    if session.info.direction == "in" and not session.answered:
        session.reject(500, "Server Internal Error")
    else:
        session.stop(500, "Server Internal Error")


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".replace("\n", " ")


def _then(outcome: Outcome, rest: Callable[[], Outcome]) -> Outcome:
    """Do `rest` after a callback, whether that waited or not."""
    if outcome is None:
        return rest()

    async def both() -> None:
        assert outcome is not None
        await outcome
        following = rest()
        if following is not None:
            await following

    return both()


# ------------------------------------------------------------------------------------------------------------------- SIP
def _offered(session: Session, event: CallOffered) -> Outcome:
    session.state = DialogState.TRYING

    def accept_unless_decided() -> None:
        if not (session.answered or session.deferred or session.stopping or session.pending_answer):
            session.accept()

    return _then(session.app.on_invite(session), accept_unless_decided)


def _identified(session: Session, event: CallIdentified) -> None:
    info = session.info
    info.call_id = event.call_id or info.call_id
    info.local_tag = event.local_tag or info.local_tag
    info.remote_tag = event.remote_tag or info.remote_tag
    known = {"callid": info.call_id, "ltag": info.local_tag, "rtag": info.remote_tag}
    new = {name: value for name, value in known.items() if value and session.attributes.get(name) != value}
    if new:
        session.log(**new)


def _progressed(session: Session, event: CallProgressed) -> Outcome:
    """Early media begins when both the reply with SDP and the negotiated media are there, in whichever order they come."""
    if event.has_body:
        session.state = DialogState.EARLY
    elif session.state is not DialogState.EARLY:
        session.state = DialogState.PROCEEDING
    return _then(session.app.on_ringing(event), lambda: _start_early(session))


def _start_early(session: Session) -> Outcome:
    early = session.state is DialogState.EARLY and session.media is not None
    if not early or session.early_started or session.started or session.stopping:
        return None
    session.early_started = True
    return session.app.on_early_session_start()


def _negotiated(session: Session, event: MediaNegotiated) -> Outcome:
    first = session.media is None
    session.media = event
    session.host.media.send(_connect_leg(session, event))
    if first and session.rtp_timeout_ms:
        session.host.media.send(SetRtpTimeout(session.leg, session.rtp_timeout_ms))
    if session.started:
        return session.app.on_media_changed()
    if session.state is DialogState.CONNECTED:
        return _start(session)
    if session.info.direction == "in" and not session.answered:
        session.state = DialogState.EARLY
    return _start_early(session)


def _connect_leg(session: Session, event: MediaNegotiated) -> ConnectLeg:
    return ConnectLeg(
        session.leg,
        event.remote_ip,
        event.remote_port,
        event.codec,
        event.clock_hz,
        event.payload_type_send,
        event.payload_type_receive,
        ptime_ms=event.ptime_ms,
        dtmf_send=event.dtmf_send,
        dtmf_receive=event.dtmf_receive,
        send=event.send,
        receive=event.receive,
        symmetric=session.symmetric_rtp,
        fmtp=event.fmtp,
        channels=event.channels,
    )


def _confirmed(session: Session, event: CallConfirmed) -> Outcome:
    session.state = DialogState.CONNECTED
    session.answered = True
    session.host.call_answered(session)
    return _then(session.app.on_connected(event), lambda: _start(session) if session.media is not None else None)


def _start(session: Session) -> Outcome:
    if session.started or session.stopping:
        return None
    session.started = True
    return session.app.on_session_start()


def _ended(session: Session, event: CallEnded) -> Outcome:
    """Whatever the application's last callbacks do, the call gives everything back."""
    was, session.state = session.state, DialogState.DISCONNECTED
    app = session.app
    return _guarded(
        session,
        lambda: _farewell(session, was, event),
        lambda: _guarded(session, app.on_destroy, lambda: finished(session, event)),
    )


def _guarded(session: Session, step: Callable[[], Outcome], rest: Callable[[], Outcome]) -> Outcome:
    """Do `rest` after a step, also when the step raises."""
    try:
        outcome = step()
    except Exception as error:  # noqa: BLE001 – the call is over anyway; what it holds must be given back
        failed(session, error)
        outcome = None
    if outcome is None:
        return rest()

    async def both() -> None:
        try:
            await outcome
        except Exception as error:  # noqa: BLE001
            failed(session, error)
        following = rest()
        if following is not None:
            await following

    return both()


def _farewell(session: Session, was: DialogState, event: CallEnded) -> Outcome:
    """The callback that tells the application why the call is over; none when it ended the call itself."""
    app = session.app
    if event.by == "cancel":
        return app.on_cancel()
    if event.by == "remote" and was in (DialogState.CONNECTED, DialogState.DISCONNECTING):
        return app.on_bye(event.headers)
    if session.info.direction == "out" and was not in (DialogState.CONNECTED, DialogState.DISCONNECTING):
        return app.on_failure(event.code, event.reason)
    if event.by in ("timeout", "error"):
        return app.on_remote_disappeared()
    return None


def finished(session: Session, event: CallEnded) -> Outcome:
    """Give back everything that a call holds. Runs once, even when its application failed at the end."""
    if session.ended:
        return None
    session.leave_room()
    for name in list(session.tees):
        session.untee_room(name)
    if session.leg_asked:
        session.host.media.send(CloseLeg(session.leg))
    session.finish()
    session.host.forget(session, event)
    return None


def _request(session: Session, event: RequestReceived) -> Outcome:
    """INFO with a key becomes a key; other bodies of INFO are refused with 415 (spec core.md §7.3)."""
    if event.method != "INFO":
        return session.app.on_request(event)
    if event.content_type.split(";")[0].strip().lower() != "application/dtmf-relay":
        if event.reply_wanted:
            accept = ("Accept: application/dtmf-relay",)
            session.reply(event, 415, "Unsupported Media Type", accept)
        return None
    key = parse_dtmf_relay(event.body)
    if event.reply_wanted:
        session.reply(event, 200 if key else 400, "OK" if key else "Bad Request")
    return None if key is None else _press(session, key[0], key[1], "info")


def _reply(session: Session, event: ReplyReceived) -> Outcome:
    return session.app.on_reply(event)


# ----------------------------------------------------------------------------------------------------------------- media
def _leg_opened(session: Session, event: LegOpened) -> None:
    session.leg_address = (event.ip, event.port)
    if session.pending_answer is not None:
        code, reason, headers = session.pending_answer
        session.pending_answer = None
        if not session.stopping:
            session.send_answer(code, reason, headers)
    elif session.info.direction == "out" and not session.stopping:
        session.host.sip.send(_dial(session, event))


def _dial(session: Session, event: LegOpened) -> Dial:
    info, plan = session.info, session.dial_plan
    session.dialled = True
    return Dial(
        session.call,
        info.from_header,
        info.to_header,
        info.request_uri,
        tuple(plan.headers),
        event.ip,
        event.port,
        plan.next_hop,
        plan.realm,
        plan.username,
        plan.password,
    )


def _leg_failed(session: Session, event: LegFailed) -> None:
    log.error("call %s: no media: %s", session.id, event.reason)
    session.answered = True
    session.stop(503, "Service Unavailable")


def _leg_dropped(session: Session, event: LegDropped) -> Outcome:
    log.error("call %s: its media was dropped: %s", session.id, event.reason)
    session.run(lambda: session.stop(500, "Server Internal Error"))
    return session.app.on_media_lost()


def _digit(session: Session, event: DigitPressed) -> Outcome:
    return _press(session, event.event, event.duration_ms, event.source)


def _press(session: Session, event: int, duration_ms: int, source: str) -> Outcome:
    if not session.digits.accept(event, source, session.host.clock.now_ns(), duration_ms):
        return None
    session.host.digit_pressed(session, event, duration_ms, source)
    return session.app.on_digit(event, duration_ms)


def _rtp_timeout(session: Session, event: RtpTimedOut) -> Outcome:
    log.warning("call %s: no RTP for %d s", session.id, event.silent_ms // 1000)
    return session.app.on_rtp_timeout()


def _session_timeout(session: Session, event: SessionTimedOut) -> Outcome:
    if session.stopping:
        return None
    log.warning("call %s: the peer has not refreshed the session", session.id)
    return session.app.on_session_timeout()


def _room(session: Session, event: RoomChanged) -> Outcome:
    return session.app.on_room(event) if event.room in (session.room, *session.tees.values()) else None


_HANDLERS: dict[type, Callable[[Any, Any], Outcome]] = {
    CallOffered: _offered,
    CallIdentified: _identified,
    CallProgressed: _progressed,
    MediaNegotiated: _negotiated,
    CallConfirmed: _confirmed,
    CallEnded: _ended,
    RequestReceived: _request,
    ReplyReceived: _reply,
    SessionTimedOut: _session_timeout,
    LegOpened: _leg_opened,
    LegFailed: _leg_failed,
    LegDropped: _leg_dropped,
    DigitPressed: _digit,
    RtpTimedOut: _rtp_timeout,
    RoomChanged: _room,
    PlaylistEmptied: lambda session, event: session.app.on_playlist_empty(),
    SeparatorReached: lambda session, event: session.app.on_separator(event.number),
    TimerExpired: lambda session, event: session.app.on_timer(event.id),
    EventPosted: lambda session, event: session.app.on_event(event),
    SystemEvent: lambda session, event: session.app.on_system(event.kind),
    Run: lambda session, event: event.function(),
}
