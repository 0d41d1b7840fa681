# SPDX-License-Identifier: GPL-2.0-or-later
"""What each event does to a call, and which callback it becomes (spec core.md §7.3).

    offered  → admitted → on_sip_request → on_invite → accept → LegOpened → Answer … MediaNegotiated, CallConfirmed → on_session_start
    dialled  → admitted → on_outgoing_invite → LegOpened → Dial … CallProgressed → on_ringing, MediaNegotiated → on_early_session_start …
    the end  → CallEnded → on_bye | on_cancel | on_failure | on_remote_disappeared → on_destroy → CloseLeg

`handle` returns None, or an awaitable when the application waits. What a call that is connected with another one hears of it goes to
its `di.calls.pair.Pair` too, after the application.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from di.calls import flow_media, late, next_way
from di.calls.application import Application
from di.calls.chain import guarded, then, unless
from di.calls.changed import change_call_out
from di.calls.digits import INFO_TYPES, parse_info
from di.calls.events import CallItem, EventPosted, Outcome, RoomChanged, RunInCall, SipReply, SystemEvent, TimerExpired
from di.calls.results import DialResult, result_of
from di.calls.state import UNANSWERED, UP, AudioPhase, Phase
from di.calls.timer_numbers import ANSWER_TIMER, GRANT_TIMER, RING_TIMER, WAY_TIMER
from di.calls.trust import signalling_of
from di.kernel.errors import Refused
from di.kernel.host_names import address_of, is_name
from di.sip.records import (
    CallConfirmed,
    CallEnded,
    CallIdentified,
    CallOffered,
    CallProgressed,
    CallTried,
    MediaNegotiated,
    ReplyReceived,
    RequestReceived,
    SessionTimedOut,
)
from media.control.records import CloseLeg

if TYPE_CHECKING:
    from di.calls.session import Session

log = logging.getLogger(__name__)
_DIRECTIONS = {(True, True): "sendrecv", (True, False): "sendonly", (False, True): "recvonly", (False, False): "inactive"}
"""(we receive, we send) → the peer's direction."""
_NOBODY_TO_TELL = frozenset({Phase.ENDED, Phase.GONE, Phase.REFUSED})


def handle(session: Session, event: CallItem) -> Outcome:
    """Bring one event to the session and its application."""
    return _HANDLERS[type(event)](session, event)


def failed(session: Session, error: BaseException) -> None:
    """An application's callback raised: end this call, and say so. Refused is an answer, everything else a fault (500 or BYE)."""
    dialog = session.dialog
    if isinstance(error, Refused):
        log.info("call %s: %s refuses with %d %s", session.id, session.application, error.code, error.reason)
        dialog.end(error.code, error.reason, error.headers)
        return
    log.error("call %s: %s failed: %s", session.id, session.application, _one_line(error), exc_info=error)
    if dialog.phase not in _NOBODY_TO_TELL:
        dialog.end(500, "Server Internal Error")


def overdue(session: Session, event: CallItem, waiting: Awaitable[None]) -> Outcome:
    """A callback or a control has not returned for so long: the call is ended, for meanwhile it hears of neither BYE nor CANCEL.

    One of the call's last callbacks is left behind: those after it are still called, and the call gives everything back.
    """
    who, where = late.describe(waiting)
    log.error(
        "call %s: %s of %s has not returned within %d s (for %s, it waits in %s): the call is ended. Give what it waits for a time limit "
        "of its own, or raise callback_timeout in sems.conf",
        session.id, who, session.application, session.host.callback_timeout_ms // 1000, type(event).__name__, where,
    )  # fmt: skip
    if session.dialog.phase is Phase.ENDED:
        return _last_steps(session)
    session.dialog.end(504, "Server Time-out")
    return None


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".replace("\n", " ")


# ------------------------------------------------------------------------------------------------------------------- begin
def _offered(session: Session, event: CallOffered) -> Outcome:
    if not session.dialog.enter(Phase.TRYING):
        return None
    admission = session.admission
    return _invite(session, event) if admission is None else then(admission.run(), lambda: _invite(session, event))


def _invite(session: Session, event: CallOffered) -> Outcome:
    if session.dialog.ending:
        return None
    if not _looks_at_requests(session):
        return _ask_application(session)
    request = RequestReceived(event.call, 0, "INVITE", event.headers, "", event.body, False)
    return unless(session.app.on_sip_request(request), lambda: _ask_application(session))


def _ask_application(session: Session) -> Outcome:
    return then(session.app.on_invite(session), lambda: _accept_unless_decided(session))


def _looks_at_requests(session: Session) -> bool:
    """Whether the application wants to see every request: most do not, and need none to be made."""
    return type(session.app).on_sip_request is not Application.on_sip_request


def _accept_unless_decided(session: Session) -> None:
    if not session.dialog.decided:
        session.dialog.accept()


def place(session: Session) -> Outcome:
    """Send the INVITE of a call out, unless a control or the application does not let it."""
    admission = session.admission
    admitted = admission.run() if admission is not None else None
    return then(
        admitted, lambda: then(_outgoing(session), lambda: then(next_way.before_dialling(session), lambda: _open(session)))
    )


def _outgoing(session: Session) -> Outcome:
    change_call_out(session)
    return None if session.dialog.ending else session.app.on_outgoing_invite()


def _open(session: Session) -> None:
    if not session.dialog.ending:
        session.audio.open()
        next_way.sent(session)
        _await_answer(session)


def _await_answer(session: Session) -> None:
    """The answer to our INVITE may take so long from now on."""
    limit_ms = session.host.answer_timeout_ms
    if limit_ms:
        session.timers.set(ANSWER_TIMER, limit_ms)


# --------------------------------------------------------------------------------------------------------------------- SIP
def _identified(session: Session, event: CallIdentified) -> None:
    info = session.dialog.info
    info.call_id = event.call_id or info.call_id
    info.local_tag = event.local_tag or info.local_tag
    info.remote_tag = event.remote_tag or info.remote_tag
    known = {"callid": info.call_id, "ltag": info.local_tag, "rtag": info.remote_tag}
    new = {name: value for name, value in known.items() if value and session.attributes.get(name) != value}
    if new:
        session.log(**new)


def _progressed(session: Session, event: CallProgressed) -> Outcome:
    """Early media begins when both the reply with SDP and the negotiated media are there, in whichever order they come."""
    if session.dialog.phase not in UNANSWERED:
        return None
    next_way.tried(session)
    session.dialog.enter(Phase.EARLY if event.has_body else Phase.PROCEEDING)
    _await_answer(session)
    reply = _to_invite(event)
    shown = unless(session.app.on_sip_reply(reply), lambda: session.app.on_ringing(event))
    return then(then(shown, lambda: _start_early(session)), lambda: _tell_pair_of_progress(session, reply, event.has_body))


def _to_invite(event: CallProgressed | CallConfirmed | CallEnded) -> SipReply:
    """The reply to our INVITE that an event stands for."""
    return SipReply("INVITE", event.code, event.reason, event.headers)


def _tell_pair_of_progress(session: Session, reply: SipReply, has_body: bool) -> None:
    if session.pair is not None:
        session.pair.progressed(session, reply, has_body)


def _start_early(session: Session) -> Outcome:
    dialog, audio = session.dialog, session.audio
    if dialog.phase is not Phase.EARLY or audio.negotiated is None or not audio.enter(AudioPhase.EARLY):
        return None
    return then(session.app.on_early_session_start(), lambda: _tell_pair_of_early_media(session))


def _tell_pair_of_early_media(session: Session) -> None:
    if session.pair is not None:
        session.pair.early(session)


def _negotiated(session: Session, event: MediaNegotiated) -> Outcome:
    return _at_names(session, event) if is_name(event.remote_ip) or is_name(event.rtcp_ip) else _agreed(session, event)


async def _at_names(session: Session, event: MediaNegotiated) -> None:
    """The peer wrote host names: what follows waits for their addresses; without one the call ends."""
    ipv6 = session.audio.address is not None and ":" in session.audio.address[0]
    try:
        event = replace(event, remote_ip=await address_of(event.remote_ip, ipv6))
    except OSError as error:
        log.error("call %s: its media address %r cannot be resolved: %s", session.id, event.remote_ip, error)
        session.dialog.end(488, "Not Acceptable Here")
        return
    try:
        event = replace(event, rtcp_ip=await address_of(event.rtcp_ip, ipv6))
    except OSError as error:
        log.warning("call %s: no RTCP to %r, which cannot be resolved: %s", session.id, event.rtcp_ip, error)
        event = replace(event, rtcp_ip="", rtcp_port=0)
    outcome = _agreed(session, event)
    if outcome is not None:
        await outcome


def _agreed(session: Session, event: MediaNegotiated) -> Outcome:
    dialog, audio = session.dialog, session.audio
    audio.connect(event)
    suite = event.srtp.suite if event.srtp is not None else ""
    if suite != session.attributes.get("srtp", ""):
        session.log(srtp=suite)
    audio.look_for_keys(type(session.app).on_digit is not Application.on_digit)
    of_peer, dialog.peer_offered = dialog.peer_offered, False
    if of_peer:
        dialog.peer_direction = _DIRECTIONS[(event.receive, event.send)]
    if audio.started:
        return then(session.app.on_media_changed(), lambda: _tell_pair_of_media(session, of_peer))
    if dialog.phase is Phase.CONNECTED:
        return _start(session)
    if dialog.incoming and dialog.phase in UNANSWERED:
        dialog.enter(Phase.EARLY)
    return _start_early(session)


def _tell_pair_of_media(session: Session, of_peer: bool) -> None:
    if session.pair is not None and of_peer:
        session.pair.media_changed(session)


def _confirmed(session: Session, event: CallConfirmed) -> Outcome:
    if not session.dialog.enter(Phase.CONNECTED):
        return None
    if session.dialog.incoming:
        session.audio.confirm()
        session.host.call_answered(session)
        shown = None
    else:
        session.timers.remove(ANSWER_TIMER)
        next_way.tried(session)
        session.audio.confirm(signalling_of("", event.headers))
        _note_result(session, DialResult.ANSWERED, event)
        session.host.call_answered(session)
        shown = session.app.on_sip_reply(_to_invite(event))
    return then(unless(shown, lambda: session.app.on_connected(event)), lambda: _connected(session, event))


def _connected(session: Session, event: CallConfirmed) -> Outcome:
    if session.pair is not None:
        session.pair.answered(session, _to_invite(event))
    return _start(session) if session.audio.negotiated is not None else None


def _start(session: Session) -> Outcome:
    if session.dialog.ending or not session.audio.enter(AudioPhase.STARTED):
        return None
    return session.app.on_session_start()


def _request(session: Session, event: RequestReceived) -> Outcome:
    """A request inside the dialog: the application may take it; else it goes to the other side of a pair, else its default."""
    session.audio.confirm()  # it has our tag
    if event.method == "PRACK":
        return None
    if event.method == "INVITE" or (event.method == "UPDATE" and event.body):
        session.dialog.peer_offered = True
    return unless(session.app.on_sip_request(event), lambda: _pass_on(session, event))


def _pass_on(session: Session, event: RequestReceived) -> Outcome:
    relayed = session.pair is not None and session.pair.relay(session, event)
    if event.method == "INFO":
        return _info(session, event, relayed)
    return None if relayed or not event.reply_wanted else session.app.on_request(event)


def _info(session: Session, event: RequestReceived, relayed: bool) -> Outcome:
    """INFO with a key becomes a key; other bodies are refused with 415 unless the other side answers (spec core.md §7.3)."""
    content_type = event.content_type.split(";")[0].strip().lower()
    if content_type not in INFO_TYPES:
        if not relayed:
            session.dialog.reply(event, 415, "Unsupported Media Type", (f"Accept: {', '.join(INFO_TYPES)}",))
        return None
    key = parse_info(content_type, event.body)
    if not relayed:
        session.dialog.reply(event, 200 if key else 400, "OK" if key else "Bad Request")
    return None if key is None else flow_media.press(session, key[0], key[1], "info")


def _reply(session: Session, event: ReplyReceived) -> Outcome:
    reply, on_reply = session.dialog.replied(event)
    return (
        on_reply(reply) if on_reply is not None else unless(session.app.on_sip_reply(reply), lambda: session.app.on_reply(event))
    )


def _timer(session: Session, event: TimerExpired) -> Outcome:
    """A timer ran out: the grant of the chain's, the time for an answer, the ringing of a second leg, else one of the application's."""
    if event.id == GRANT_TIMER and session.admission is not None:
        session.admission.timer_ran()
        return None
    if event.id == RING_TIMER and session.pair is not None:
        session.pair.rung_out(session)
        return None
    if event.id == RING_TIMER:
        if session.dialog.phase in UNANSWERED:
            session.stop(408, "Request Timeout")
        return None
    if event.id == WAY_TIMER:
        next_way.silent(session)
        return None
    if event.id == ANSWER_TIMER:
        if session.dialog.phase in UNANSWERED:
            log.info("call %s: not answered in time", session.id)
            session.stop(408, "Request Timeout", by="timeout")
        return None
    return session.app.on_timer(event.id)


def _session_timeout(session: Session, event: SessionTimedOut) -> Outcome:
    if session.dialog.ending:
        return None
    log.warning("call %s: the peer has not refreshed the session", session.id)
    return session.app.on_session_timeout()


# ----------------------------------------------------------------------------------------------------------------- the end
def _ended(session: Session, event: CallEnded) -> Outcome:
    """Whatever the application's last callbacks do, the call gives everything back."""
    was = session.dialog.phase
    goes_on, outcome = next_way.after(session, event)
    if goes_on:
        return outcome
    if not session.dialog.enter(Phase.ENDED):
        return None
    if not session.dialog.incoming and session.result is None:
        _note_result(session, result_of(event, session.dialog.plan.heard), event)
    session.last_steps = (
        lambda: _farewell(session, was, event),
        lambda: _tell_pair_of_end(session, event),
        lambda: _destroy(session),
        lambda: finish(session, event),
    )
    return _last_steps(session)


def _note_result(session: Session, result: DialResult, event: CallConfirmed | CallEnded) -> None:
    session.result = result
    session.log(result=result.value, code=event.code)
    told, session.on_result = session.on_result, []
    for tell in told:
        tell(event.code)


def _destroy(session: Session) -> Outcome:
    return session.app.on_destroy()


def _last_steps(session: Session) -> Outcome:
    """One after the other, whatever becomes of each."""
    while session.last_steps:
        step, *rest = session.last_steps
        session.last_steps = tuple(rest)
        try:
            outcome = step()
        except Exception as error:  # noqa: BLE001 – the other steps give back what the call holds
            failed(session, error)
            continue
        if outcome is not None:
            return guarded(lambda: outcome, lambda error: failed(session, error), lambda: _last_steps(session))  # noqa: B023
    return None


def _tell_pair_of_end(session: Session, event: CallEnded) -> None:
    if session.pair is not None:
        session.pair.ended(session, event)


def _farewell(session: Session, was: Phase, event: CallEnded) -> Outcome:
    """The callback that tells the application why the call is over; none when it ended the call itself."""
    app, connected = session.app, was in UP or was is Phase.DISCONNECTING
    if event.by == "cancel":
        return unless(app.on_sip_request(_last_request(event, "CANCEL")), app.on_cancel)
    if event.by == "remote" and connected:
        return unless(app.on_sip_request(_last_request(event, "BYE")), lambda: app.on_bye(event.headers))
    if not session.dialog.incoming and not connected:
        return unless(app.on_sip_reply(_to_invite(event)), lambda: app.on_failure(event.code, event.reason))
    return app.on_remote_disappeared() if event.by in ("timeout", "error") else None


def _last_request(event: CallEnded, method: str) -> RequestReceived:
    """The request that ended the call; the SIP process has answered it."""
    return RequestReceived(event.call, 0, method, event.headers, "", b"", False)


def finish(session: Session, event: CallEnded) -> Outcome:
    """Give back everything that a call holds. Runs once, even when its application failed at the end."""
    if not session.dialog.enter(Phase.GONE):
        return None
    session.audio.leave_all()
    session.host.call_over(session, event)
    if session.audio.asked:
        session.host.media.send(CloseLeg(session.audio.leg))
    session.close()
    session.host.forget(session, event)
    return None


_HANDLERS: dict[type, Callable[[Any, Any], Outcome]] = {
    CallOffered: _offered,
    CallIdentified: _identified,
    CallTried: lambda session, event: next_way.tried(session),
    CallProgressed: _progressed,
    MediaNegotiated: _negotiated,
    CallConfirmed: _confirmed,
    CallEnded: _ended,
    RequestReceived: _request,
    ReplyReceived: _reply,
    SessionTimedOut: _session_timeout,
    RoomChanged: flow_media.room,
    TimerExpired: _timer,
    EventPosted: lambda session, event: session.app.on_event(event),
    SystemEvent: lambda session, event: session.app.on_system(event.kind),
    RunInCall: lambda session, event: event.function(),
    **flow_media.HANDLERS,
}
