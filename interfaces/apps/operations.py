# SPDX-License-Identifier: GPL-2.0-or-later
"""What a program can have done with a call. Each function is an operation: the call, its number, what it is given."""

from __future__ import annotations

import logging
from collections.abc import Callable

from di.calls.application import Application
from di.calls.call_info import Target
from di.calls.events import SipReply
from di.calls.pair import Pair, PairOptions
from di.calls.second_leg import SecondLeg
from di.calls.session import Session
from di.sip.credentials import Credential
from di.sip.headers import is_sip_uri
from interfaces.apps.arguments import Arguments, BadOperation
from interfaces.apps.audio_operations import AUDIO_OPERATIONS
from interfaces.apps.bridged_call import LIMIT_TIMER, BridgedCall, Operation, ProgramLeg

log = logging.getLogger(__name__)
_NOT_BY_PROGRAMS = ("INVITE", "ACK", "BYE", "CANCEL", "PRACK")


# ----------------------------------------------------------------------------------------------------------------- the INVITE
def answer(call: BridgedCall, op: int, with_: Arguments) -> None:
    """Answer it; of a call out: wait until the peer has."""
    if call.session.audio.started:
        call.done(op)
        return
    code, reason, headers = with_.number("code", 200, 299), with_.text("reason", "OK"), with_.headers()
    call.wait(op, "answer")
    if call.session.info.incoming:  # else the peer answers
        call.session.dialog.accept(code, reason, headers)


def early(call: BridgedCall, op: int, with_: Arguments) -> None:
    """Media before the answer."""
    code, reason = with_.number("code", 183, 199), with_.text("reason")
    call.wait(op, "early")
    call.session.dialog.early_media(code, reason)


def ring(call: BridgedCall, op: int, with_: Arguments) -> None:
    """It rings."""
    call.session.dialog.ringing(with_.number("code", 180, 199), with_.text("reason", "Ringing"))
    call.done(op)


def reject(call: BridgedCall, op: int, with_: Arguments) -> None:
    """Refuse it."""
    code = with_.number("code", 486, 699)
    if code < 300:
        raise BadOperation("code must be 300 to 699")
    call.session.dialog.reject(code, with_.text("reason"), with_.headers())
    call.done(op)


def hangup(call: BridgedCall, op: int, with_: Arguments) -> None:
    """End it."""
    call.session.stop(headers=with_.headers())
    call.done(op)


def fault(call: BridgedCall, op: int, with_: Arguments) -> None:
    """The program has failed in this call."""
    log.error("call %s: application %s failed: %s", call.session.id, call.session.application, with_.text("why"))
    call.session.stop(500, "Server Internal Error")
    call.done(op)


# ------------------------------------------------------------------------------------------------------------- the second leg
def connect(call: BridgedCall, op: int, with_: Arguments) -> None:
    """Call targets; who answers first is the second leg, which the program may steer too."""
    headers, ring_ms = with_.headers(), with_.number("ring_ms")
    user = with_.text("user")
    credential = Credential("", user, with_.text("password")) if user else None
    targets = [
        Target(
            uri,
            from_header=with_.text("from"),
            headers=headers,
            next_hop=with_.text("next_hop"),
            credential=credential,
            ring_ms=ring_ms,
        )
        for uri in with_.uris("targets")
    ]
    options = PairOptions(
        early_media=with_.flag("relay_early"),
        in_turn=with_.flag("in_turn"),
        application=call.session.application,
        bridge=not with_.flag("apart"),
        relaying=not with_.flag("apart"),
    )
    call.end_stream()
    pair = Pair(call.session, options)
    call.wait(op, "connect")
    pair.connect(targets, lambda session: _leg(call, session))


def _leg(call: BridgedCall, session: Session) -> Application:
    """What steers a second leg: the program, or nobody when it is gone."""
    if call.process is None:
        return SecondLeg(session)
    return ProgramLeg(session, call.process, call.means, call.session.id)


def _of_pair(call: BridgedCall, op: int, do: Callable[[Pair], None]) -> None:
    if call.session.pair is not None:
        do(call.session.pair)
    call.done(op)


def bridge(call: BridgedCall, op: int, with_: Arguments) -> None:
    """Hear the second leg; `to`: another call of the same program, which becomes it."""
    id = with_.text("to")
    if not id:
        call.end_stream()
        if call.session.pair is not None and call.session.pair.second is not None and not _bridged(call):
            call.plays.dropped()
        _of_pair(call, op, _together)
        return
    process, other = call.process, call.session.host.find(id)
    if process is None or other is None or id not in process.calls or other is call.session:
        raise BadOperation(f"{id!r:.80} is no other call of this program")
    if not (call.session.audio.started and other.audio.started):
        raise BadOperation("both calls must be answered")
    call.end_stream()
    call.plays.dropped()
    Pair(call.session, PairOptions(application=call.session.application)).join(other)
    call.other = id
    call.done(op)


def _together(pair: Pair) -> None:
    pair.options.relaying = True
    pair.bridge()


def _apart(pair: Pair) -> None:
    """What one side asks is nothing to the other until they are together again."""
    pair.options.relaying = False
    pair.unbridge()


def _bridged(call: BridgedCall) -> bool:
    return call.session.pair is not None and call.session.pair.bridged


def unbridge(call: BridgedCall, op: int, with_: Arguments) -> None:  # noqa: ARG001
    """Each has its own audio; both stay up."""
    bridged = _bridged(call)
    _of_pair(call, op, _apart)
    if bridged:
        call.plays.dropped()


def end_other(call: BridgedCall, op: int, with_: Arguments) -> None:  # noqa: ARG001
    """Hang up the second leg."""
    bridged = _bridged(call)
    _of_pair(call, op, lambda pair: pair.end_other(call.session))
    if bridged:
        call.plays.dropped()
    call.other = ""
    call.settle("other_ended")


def other_ended(call: BridgedCall, op: int, with_: Arguments) -> None:
    """Wait for its end."""
    if call.other and call.other == with_.text("leg"):
        call.wait(op, "other_ended")
    else:
        call.done(op)


def hold(call: BridgedCall, op: int, with_: Arguments) -> None:
    """Offer that we hear nothing, or do again."""
    call.session.dialog.offer("sendonly" if with_.flag("on") else "sendrecv")
    call.done(op)


# ------------------------------------------------------------------------------------------------------------------ requests
def transfer(call: BridgedCall, op: int, with_: Arguments) -> None:
    """REFER the peer elsewhere."""
    target = with_.text("target")
    if not is_sip_uri(target):
        raise BadOperation(f"{target!r} is no SIP URI")
    _send(call, op, "REFER", (f"Refer-To: <{target}>", *with_.headers()))


def request(call: BridgedCall, op: int, with_: Arguments) -> None:
    """A request in the dialog."""
    method = with_.text("method")
    if not method.isascii() or not method.isalpha() or method in _NOT_BY_PROGRAMS:
        raise BadOperation(f"{method!r} cannot be sent by a program")
    _send(call, op, method, with_.headers(), with_.text("content_type"), with_.data("body"), with_.flag("whole"))


def _send(
    call: BridgedCall,
    op: int,
    method: str,
    headers: tuple[str, ...],
    content_type: str = "",
    body: bytes = b"",
    whole: bool = False,
) -> None:
    """`whole`: the result is the reply, not its code alone."""

    def replied(reply: SipReply) -> None:
        told = {"code": reply.code, "reason": reply.reason, "headers": [list(pair) for pair in reply.headers]}
        call.done(op, told if whole else reply.code)

    token = call.session.dialog.send(method, headers, content_type, body, replied)
    if not token:
        raise BadOperation("the call is being ended")


def reply(call: BridgedCall, op: int, with_: Arguments) -> None:
    """Answer a request of the peer."""
    request = call.asked(with_.number("token"))
    code = with_.number("code", 200, 699)
    call.session.dialog.reply(
        request, code, with_.text("reason"), with_.headers(), with_.text("content_type"), with_.data("body")
    )
    call.done(op)


# ------------------------------------------------------------------------------------------------------------------- others
def log_(call: BridgedCall, op: int, with_: Arguments) -> None:
    """Attributes of the call's record."""
    call.session.log(**with_.values())
    call.done(op)


def limit(call: BridgedCall, op: int, with_: Arguments) -> None:
    """An end after so long; 0: none."""
    ms = with_.number("ms")
    if ms:
        call.session.timers.set(LIMIT_TIMER, ms)
    else:
        call.session.timers.remove(LIMIT_TIMER)
    call.done(op)


OPERATIONS: dict[str, Operation] = {
    **AUDIO_OPERATIONS,
    **{
        one.__name__.rstrip("_"): one
        for one in (
            answer, early, ring, reject, hangup, fault, connect, bridge, unbridge, end_other, other_ended, hold, transfer,
            request, reply, log_, limit,
        )
    },
}  # fmt: skip
"""Name → operation; the message `op` has it as `do`."""
