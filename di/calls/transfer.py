# SPDX-License-Identifier: GPL-2.0-or-later
"""Transfers that the server carries out: a REFER of one side of a pair (RFC 3515, RFC 5589), a call with Replaces (RFC 3891).

blind      X: REFER to T ─► 202, NOTIFY 100 ─► T is called ─► answers ─► Y and T are bridged, NOTIFY 200, X gets a BYE
                                                 └ fails ─► NOTIFY with the failure; X and Y go on
           X may hang up as soon as it has its 202: Y waits for T
attended   X: REFER to T with Replaces of X's other call here ─► Y takes that call's place, NOTIFY 200, both of X's calls get a BYE
Replaces   T: INVITE with Replaces of X's dialog ─► T is answered and takes X's place, X gets a BYE
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from di.calls.application import Application
from di.calls.call_info import CallOut, Dialler
from di.calls.chain import decided
from di.sip.headers import first_header, is_sip_uri, uri_of
from di.sip.records import CallOffered, RequestReceived

if TYPE_CHECKING:
    from di.calls.events import Outcome, SipReply
    from di.calls.pair import Pair
    from di.calls.session import Session

log = logging.getLogger(__name__)
_NOTIFY_EXPIRES_S = 180
_NO_ANSWER = 1
"""Number of the timer of a call with Replaces."""
_REPLACED_PATIENCE_MS = 10_000
"""How long the replaced call's application may take to say whether it lets itself be replaced."""


def refer(pair: Pair, session: Session, request: RequestReceived, *, serve: bool) -> bool:
    """Carry out a REFER of one side, or decline it. It is answered in any case: True."""
    target, replaces = _refer_to(request)
    stays = pair.other(session)
    if not serve or stays is None:
        session.dialog.reply(request, 603, "Decline")
    elif not target:
        session.dialog.reply(request, 400, "Bad Refer-To")
    else:
        session.dialog.reply(request, 202, "Accepted")
        log.info("call %s: transfers %s to %s", session.id, stays.id, target)
        _notify(session, 100, "Trying")
        consulted = session.host.find_dialog(*replaces) if replaces else None
        if consulted is not None and consulted.pair is pair:
            _notify(session, 481, "Call/Transaction Does Not Exist")  # it names one of the two who talk already
        elif consulted is not None and consulted.pair is not None and consulted.pair.other(consulted) is not None:
            _attended(pair, session, consulted, consulted.pair)
        else:
            _blind(pair, session, stays, target, replaces)
    return True


def _refer_to(request: RequestReceived) -> tuple[str, tuple[str, str, str] | None]:
    """The URI to call and the dialog to replace: (Call-ID, the other's tag, our tag as the referrer sees them)."""
    value = first_header(request.headers, "Refer-To") or ""
    uri, _, extra = uri_of(value).partition("?")
    found = None
    for field in extra.split("&"):
        name, _, text = field.partition("=")
        if name.lower() == "replaces":
            found = parse_replaces(unquote(text))
    return (uri if is_sip_uri(uri) else ""), found


def parse_replaces(value: str) -> tuple[str, str, str] | None:
    """Call-ID, to-tag, from-tag of a Replaces value (RFC 3891 §6.1); None when one is missing."""
    call_id, *parameters = [part.strip() for part in value.split(";")]
    tags = dict(part.split("=", 1) for part in parameters if "=" in part)
    if not call_id or not tags.get("to-tag") or not tags.get("from-tag"):
        return None
    return call_id, tags["to-tag"], tags["from-tag"]


def _notify(session: Session, code: int, reason: str) -> None:
    """Tell the referrer how the transfer goes (RFC 3515 §2.4.5)."""
    over = code >= 200
    state = "terminated;reason=noresource" if over else f"active;expires={_NOTIFY_EXPIRES_S}"
    if session.dialog.ending:
        return
    body = f"SIP/2.0 {code} {re.sub(r'[^ -~]', '', reason) or 'Unknown'}\r\n".encode()
    headers = ("Event: refer", f"Subscription-State: {state}")
    session.dialog.send("NOTIFY", headers, "message/sipfrag;version=2.0", body, on_reply=lambda reply: None)


def _attended(pair: Pair, session: Session, consulted: Session, other_pair: Pair) -> None:
    """Both calls of the referrer are here: the two whom it talked to talk to each other."""
    third = other_pair.other(consulted)
    assert third is not None
    other_pair.part()
    _notify(session, 200, "OK")  # before its BYE
    pair.replace(session, third, "Transferred")
    consulted.stop(487, "", ('Reason: SIP;cause=200;text="Transferred"',))


def _blind(pair: Pair, session: Session, stays: Session, target: str, replaces: tuple[str, str, str] | None) -> None:
    headers = [f"Referred-By: <{uri_of(session.info.remote_party)}>"]
    if replaces is not None:
        headers.append(f"Replaces: {replaces[0]};to-tag={replaces[1]};from-tag={replaces[2]}")
    order = CallOut(
        application=pair.options.application,
        request_uri=target,
        from_header=f"<{uri_of(stays.info.remote_party)}>",
        to_header=f"<{target}>",
        headers=tuple(headers),
        prefer=stays.audio.codec_in_use,
        near_leg=stays.leg,
        by=Dialler("refer", call=session.id),
    )
    transfer = Transfer(pair, session)
    if pair.transfer is not None:
        _notify(session, 491, "Request Pending")
    elif session.host.dial(order, transfer.make_target) is None:
        _notify(session, 503, "Service Unavailable")
    else:
        pair.transfer = transfer


class Transfer:
    """A blind transfer under way: `referrer` is to be succeeded by the call to the target. It may hang up before that."""

    def __init__(self, pair: Pair, referrer: Session) -> None:
        self.pair = pair
        self.referrer = referrer
        self._target: Session | None = None
        self._gone: tuple[tuple[str, str], ...] | None = None

    def make_target(self, session: Session) -> Application:
        """The application of the call to the target."""
        self._target = session
        return TransferTarget(session, self)

    def progress(self, code: int, reason: str) -> None:
        """The target's replies are told to the referrer; a failure is the end of the transfer."""
        if self.pair.transfer is not self:
            return
        if code >= 300:
            self.pair.transfer = None
        self.referrer.run(lambda: _notify(self.referrer, code, reason))
        if code >= 300 and self._gone is not None:
            self.pair.side_gone(self.referrer, self._gone)

    def answered(self, session: Session) -> None:
        """The target is there and takes the referrer's place."""
        if self.pair.transfer is not self or self.pair.other(self.referrer) is None:
            session.stop(487)
            return
        self.pair.transfer = None
        _notify(self.referrer, 200, "OK")
        self.pair.replace(self.referrer, session, "Transferred")

    def referrer_gone(self, headers: tuple[tuple[str, str], ...]) -> None:
        """It hung up; who stays waits for the target."""
        self._gone = headers

    def cancel(self) -> None:
        """Who was to talk to the target is gone."""
        self.pair.transfer = None
        if self._target is not None:
            self._target.stop(487)


class TransferTarget(Application):
    """The leg that a blind transfer calls."""

    def __init__(self, session: Session, transfer: Transfer) -> None:
        super().__init__(session)
        self._transfer = transfer

    def on_sip_reply(self, reply: SipReply) -> None:
        """Each reply to its INVITE but the 2xx, which `on_session_start` follows."""
        if reply.method == "INVITE" and reply.code > 100 and not 200 <= reply.code < 300:
            self._transfer.progress(reply.code, reply.reason)

    def on_session_start(self) -> None:
        """It is there."""
        self._transfer.answered(self.session)

    def on_destroy(self) -> None:
        """One that went before its audio was there has sent no failure. Without effect once the transfer is done."""
        self._transfer.progress(480, "Temporarily Unavailable")


class Replacing(Application):
    """A call that came with Replaces: the replaced call's application is asked, it is answered, and then stands where that one stood."""

    def __init__(self, session: Session, replaced: Session, offer: CallOffered) -> None:
        super().__init__(session)
        self._replaced, self._offer = replaced, offer

    def on_invite(self, session: Session) -> None:
        """The question is an event of the replaced call, so that it never comes beside one of its callbacks."""
        session.dialog.defer_answer()
        session.timers.set(_NO_ANSWER, _REPLACED_PATIENCE_MS)
        self._replaced.run(self._ask)

    def on_timer(self, id: int) -> None:
        """The replaced call has ended, or does something else."""
        if id == _NO_ANSWER:
            self._refuse(481, "Call/Transaction Does Not Exist")

    def _ask(self) -> Outcome:
        own, replaced = self.session, self._replaced
        if not can_be_replaced(replaced):
            own.run(lambda: self._refuse(481, "Call/Transaction Does Not Exist"))
            return None
        return decided(replaced.app.on_replaces(self._offer), lambda may: own.run(lambda: self._told(may)))

    def _told(self, may: bool) -> None:
        self.session.timers.remove(_NO_ANSWER)
        if not may:
            self._refuse(403, "Forbidden")
        elif not self.session.dialog.answered:
            self.session.dialog.accept()

    def _refuse(self, code: int, reason: str) -> None:
        if self.session.dialog.answered:
            return
        source = f"{self._offer.source_ip}:{self._offer.source_port}"
        log.warning(
            "call %s: INVITE with Replaces of call %s from %s: %d %s", self.session.id, self._replaced.id, source, code, reason
        )
        self.session.dialog.reject(code, reason)

    def on_session_start(self) -> None:
        """The new call is up: the old one goes."""
        own, replaced = self.session, self._replaced
        pair = replaced.pair
        if pair is None or pair.other(replaced) is None:
            own.stop(481)  # it has ended in the meantime
        else:
            pair.replace(replaced, own)


def can_be_replaced(session: Session) -> bool:
    """Whether a call can be replaced by the INVITE that names it: it is up. Its application is asked later, as one of its events."""
    return not session.dialog.ending and session.dialog.answered
