# SPDX-License-Identifier: GPL-2.0-or-later
"""Sends a call's re-INVITEs: `offers` says when, `descriptions` what they offer, pjsua2 carries them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from random import Random

import pjsua2 as pj

from di.sip.records import CallEvent, Reinvite, ReplyReceived
from interfaces.sip.descriptions import Descriptions
from interfaces.sip.message import Message
from interfaces.sip.offers import Offers
from interfaces.sip.placeholders import Placeholders
from interfaces.sip.structures import parameters, reason_of

log = logging.getLogger(__name__)

_BUSY = (70013, 220040)
"""PJ_EINVALIDOP, PJMEDIA_SDPNEG_EINSTATE: another transaction of the dialog is in the way."""


class Reinvites:
    """Of the call `number`; `emit` sends a record to the hub. Holds no call: a pjsua2 object must be in no reference cycle."""

    def __init__(
        self,
        number: int,
        outgoing: bool,
        descriptions: Descriptions,
        emit: Callable[[CallEvent], None],
        random: Random,
        placeholders: Placeholders,
    ) -> None:
        self._number, self._descriptions, self._emit, self._placeholders = number, descriptions, emit, placeholders
        self._offers = Offers(number, outgoing, random)
        self._transaction = 0
        self._before = descriptions.wish

    def add(self, wish: Reinvite, codecs: Collection[str]) -> None:
        """Send it once no other transaction of the dialog is in its way; `work` does. `codecs`: those that can be offered."""
        payloads = [name for name in wish.payloads if name in codecs]
        if len(payloads) < len(wish.payloads):
            log.warning("call %d: not all of %s can be offered", self._number, ", ".join(wish.payloads))
        if wish.payloads and not payloads:
            self.refuse(wish, pj.PJSIP_SC_NOT_ACCEPTABLE_HERE, f"none of {', '.join(wish.payloads)} can be offered")
        else:
            self._offers.add(wish)

    def refuse(self, wish: Reinvite, code: int, reason: str) -> None:
        """Say that it is not sent."""
        log.error("call %d: no re-INVITE: %s", self._number, reason)
        if wish.token:
            self._emit(ReplyReceived(self._number, wish.token, code, reason))

    @property
    def under_way(self) -> bool:
        """Whether one waits for its reply."""
        return self._offers.under_way

    def work(self, call: pj.Call, confirmed: bool, now_ns: int) -> bool:
        """Send what is due. False when nothing is left. `confirmed`: the ACK to our 2xx is there."""
        wish = self._offers.due(now_ns)
        if wish is not None and confirmed:
            self._send(call, wish, now_ns)
        elif wish is not None:
            self._tell(self._offers.busy(now_ns))
        return bool(self._offers)

    def _send(self, call: pj.Call, wish: Reinvite, now_ns: int) -> None:
        address = (wish.media_ip, wish.media_port) if wish.media_port else None
        now = self._descriptions.wish
        direction, nowhere = (wish.direction, wish.nowhere) if wish.direction else (now.direction, now.nowhere)
        self._before = self._descriptions.offer_again(direction, wish.payloads, address, nowhere)
        operation = parameters(self._placeholders, headers=wish.headers)
        # pjsua's own hold is not used: the direction stands in the description
        operation.opt.flag = 0 if wish.offer else pj.PJSUA_CALL_NO_SDP_OFFER
        self._offers.sent()
        try:
            call.reinvite(operation)
        except (pj.Error, ValueError, TypeError, OverflowError) as error:
            self._descriptions.restore(self._before)
            if int(getattr(error, "status", 0)) in _BUSY:
                self._tell(self._offers.busy(now_ns))
                return
            text = reason_of(error)
            log.error("call %d: re-INVITE failed: %s", self._number, text)
            self._tell(self._offers.answered(500, text, None, now_ns))

    def left(self, event: pj.TsxStateEvent) -> bool:
        """A request of ours left: whether it is the re-INVITE that is under way, the last one when pjsip repeats it with credentials."""
        if not self._offers.under_way or event.tsx.method != "INVITE" or event.tsx.role != pj.PJSIP_ROLE_UAC:
            return False
        self._transaction = int(event.tsx.pjTransaction)
        return True

    def replied(self, event: pj.TsxStateEvent, message: Message | None, now_ns: int) -> None:
        """Something about an INVITE of ours in the dialog: when it is over, the hub is told and the next may go."""
        code = int(event.tsx.statusCode)
        over = event.tsx.state in (pj.PJSIP_TSX_STATE_COMPLETED, pj.PJSIP_TSX_STATE_TERMINATED) and code >= 200
        if not over or int(event.tsx.pjTransaction) != self._transaction or not self._offers.under_way:
            return
        self._transaction = 0
        if code >= 300:
            self._descriptions.restore(self._before)
        self._tell(self._offers.answered(code, event.tsx.statusText, message, now_ns))

    def abandon(self, code: int, reason: str) -> None:
        """The call is over: say so to whoever waits for a reply."""
        for reply in self._offers.abandon(code, reason):
            self._emit(reply)

    def _tell(self, reply: ReplyReceived | None) -> None:
        if reply is not None:
            self._emit(reply)
