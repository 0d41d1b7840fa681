# SPDX-License-Identifier: GPL-2.0-or-later
"""One call as pjsua2 sees it: its callbacks become records, its commands become pjsua2 calls.

Only `interfaces.sip.server` holds these objects. A callback never drops one: it hands it to `Host.bury`, and the server lets
go of it outside pjsip (a pjsua2 call deleted inside its own callback crashes).
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from typing import Protocol

import pjsua2 as pj

from di.sip.records import CallConfirmed, CallEnded, CallIdentified, CallProgressed, MediaNegotiated, ReplyReceived
from interfaces.sip import mapping, sdp, session_timer
from interfaces.sip.border import callback
from interfaces.sip.message import Message, endpoint_of, parse, tag_of
from interfaces.sip.structures import Credentials, Reply, Waiting, description, header_vector, parameters, received, reply_record

log = logging.getLogger(__name__)


class Host(Protocol):
    """What a call needs from the server."""

    codecs: frozenset[str]
    """Upper-case `NAME/clock` of what may be negotiated."""

    offered: frozenset[str]
    """Those of them that our own offers name."""

    def emit(self, record: object) -> None:
        """Send a record to the hub."""

    def bury(self, call: SipCall) -> None:
        """The call is over: let go of it once pjsip is no longer on the stack."""

    def identified(self, call: SipCall) -> None:
        """`call_id` and `local_tag` have become known."""

    def refreshed(self, call: SipCall, interval_s: int) -> None:
        """A 2xx set the interval in which the peer has to refresh; 0: it has not to."""


class SipCall(pj.Call):  # type: ignore[misc]  # pjsua2 is untyped: Any at this border only
    """A call, incoming when `slot` is given."""

    def __init__(self, host: Host, account: pj.Account, number: int, slot: int = -1) -> None:
        if slot < 0:
            super().__init__(account)
        else:
            super().__init__(account, slot)
        self.host = host
        self.number = number
        self.slot = slot
        self.outgoing = slot < 0
        self.call_id = self.local_tag = self.remote_tag = ""
        self.media_address: tuple[str, int] | None = None
        self.payloads: tuple[str, ...] = ()
        self.credentials: Credentials | None = None
        self.waiting: dict[str, Waiting] = {}
        self.replies: OrderedDict[str, Reply] = OrderedDict()
        self.ended = self.confirmed = False
        self.offer_received = ""  # the peer's, until it has been answered
        self._answer_description = self._remote_description = ""
        self._negotiated = False
        self._held_media: MediaNegotiated | None = None
        self._last_media: MediaNegotiated | None = None
        self._sent_headers: set[str] = set()
        self._sending_token = 0
        self._tokens: dict[int, int] = {}
        self._answer: Message | None = None
        self._cancel: Message | None = None

    # -------------------------------------------------------------------------------------------------------- commands
    def dial(
        self, from_uri: str, to_uri: str, request_uri: str, headers: tuple[str, ...], address: tuple[str, int] | None
    ) -> None:
        """Send the INVITE. Raises pj.Error when an address is none."""
        self.media_address = address
        operation = parameters(headers=headers)
        operation.txOption.localUri = from_uri
        operation.txOption.targetUri = request_uri
        if address is None:
            operation.opt.flag = pj.PJSUA_CALL_NO_SDP_OFFER
        self.makeCall(to_uri, operation)
        self.slot = self.getId()

    def reply(self, code: int, reason: str, headers: tuple[str, ...], address: tuple[str, int] | None) -> None:
        """Answer the INVITE. Headers that an earlier answer carried are in pjsip's later ones anyway and are not added twice."""
        fresh = tuple(line for line in headers if line not in self._sent_headers)
        self._sent_headers.update(fresh)
        if address is None and 100 < code < 200:
            code, reason = 180, reason or "Ringing"  # pjsip puts SDP into every other provisional reply
        if code == 100:
            return  # pjsip has sent it
        if address is not None and code < 300 and self._speaks_none():
            code, reason, address = pj.PJSIP_SC_NOT_ACCEPTABLE_HERE, "Not Acceptable Here", None
        operation = parameters(code, reason, fresh)
        if address is not None and code < 300:
            self.media_address = address
            if self._answer_description and not self._negotiated:
                wished_ms = sdp.wished_ptime_ms(self._remote_description)
                limited = sdp.only(self._answer_description, self.payloads)
                operation.sdp.wholeSdp = sdp.rewrite(limited, *address, ptime_ms=wished_ms)
        if code >= 300:
            self.end_locally(code, reason)
        self.answer(operation)

    def end(self, code: int, reason: str, headers: tuple[str, ...]) -> None:
        """Hang up in whatever state: final reply, CANCEL or BYE."""
        self.end_locally(200 if self.confirmed else code, reason)
        self.hangup(parameters(code, reason, headers))

    def end_locally(self, code: int, reason: str) -> None:
        """Report the end as ours, once."""
        self._finish(CallEnded(self.number, code, reason, "local"))

    def emit_failure(self, code: int, reason: str) -> None:
        """Report the end of a call that pjsip would not carry on with."""
        self._finish(CallEnded(self.number, code, reason, "error"))

    def request_failed(self, token: int, reason: str) -> None:
        """Report that a request could not be sent."""
        self.host.emit(ReplyReceived(self.number, token, 500, reason))

    def offer_again(self, hold: bool, address: tuple[str, int] | None) -> None:
        """Send a re-INVITE. Raises pj.Error while another offer is under way."""
        if address is not None:
            self.media_address = address
        self.offer_received = ""
        operation = parameters()
        if hold:
            self.setHold(operation)
        else:
            operation.opt.flag = pj.PJSUA_CALL_UNHOLD
            self.reinvite(operation)

    def request(self, method: str, token: int, headers: tuple[str, ...], content_type: str, body: bytes) -> None:
        """Send a request inside the dialog; its final reply becomes ReplyReceived."""
        parameters = pj.CallSendRequestParam()
        parameters.method = method
        parameters.txOption.headers = header_vector(headers)
        parameters.txOption.contentType = content_type
        parameters.txOption.msgBody = body.decode("utf-8", "surrogateescape")
        self._sending_token = token
        try:
            self.sendRequest(parameters)
        finally:
            self._sending_token = 0

    def destroy(self) -> None:
        """Delete the object in C++ now, so that it does not matter when Python lets go of this one (pjproject#3856)."""
        pj.Call.__swig_destroy__(self)

    # ------------------------------------------------------------------------------------------------- pjsua2 callbacks
    @callback
    def onCallState(self, prm: pj.OnCallStateParam) -> None:
        info = self.getInfo()
        if info.state == pj.PJSIP_INV_STATE_CONNECTING and self.outgoing:
            self._answer = received(prm.e)
            if self._answer is not None:
                self._learn_remote_tag(self._answer)
        elif info.state == pj.PJSIP_INV_STATE_CONFIRMED and not self.confirmed:
            self.confirmed = True
            headers = self._answer.headers if self._answer is not None else ()
            self.host.emit(CallConfirmed(self.number, info.lastStatusCode, info.lastReason, headers))
        elif info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            if not self.ended:
                message = self._cancel or received(prm.e)
                code, reason = int(info.lastStatusCode), info.lastReason
                self._finish(mapping.ended(self.number, code, reason, message, self.confirmed))
            self.host.bury(self)

    @callback
    def onCallTsxState(self, prm: pj.OnCallTsxStateParam) -> None:
        event = prm.e.body.tsxState
        if 200 <= event.tsx.statusCode < 300 and event.tsx.method in session_timer.METHODS:
            self._session_interval(event)
        if event.type == pj.PJSIP_EVENT_TX_MSG:
            self._sent(event)
        elif event.tsx.role == pj.PJSIP_ROLE_UAC:
            self._replied(event)
        elif event.tsx.method == "CANCEL" and event.type == pj.PJSIP_EVENT_RX_MSG:
            self._cancel = parse(event.src.rdata.wholeMsg)

    @callback
    def onCallSdpCreated(self, prm: pj.OnCallSdpCreatedParam) -> None:
        # without an offer of theirs pjsua2 leaves remSdp uninitialised, so the text of a long one is that of the message it came in
        ours, theirs = description(prm.sdp), prm.remSdp.wholeSdp or self.offer_received
        if theirs:
            self._remote_description = theirs
            ours = sdp.agree_on_mode(sdp.keep_offered(ours, theirs), theirs)
            if not self.outgoing and not self._negotiated:
                self._answer_description = ours  # the media address comes with the hub's answer
        else:
            now = self._last_media
            ours = sdp.keep_codecs(ours, self.host.offered | ({f"{now.codec}/{now.clock_hz}"} if now else set()))
        if self.media_address is not None:
            ours = sdp.rewrite(sdp.only(ours, self.payloads), *self.media_address, ptime_ms=sdp.wished_ptime_ms(theirs))
        prm.sdp.wholeSdp = ours

    @callback
    def onCallRxOffer(self, prm: pj.OnCallRxOfferParam) -> None:
        """A later offer with nothing that we speak is refused with 488; pjsua alone would say 500 (RFC 3261 §14.2)."""
        self.offer_received = description(prm.offer)
        offered = sdp.audio_codecs(self.offer_received)
        if offered and not any(name in self.host.codecs for name in offered):
            prm.statusCode = pj.PJSIP_SC_NOT_ACCEPTABLE_HERE

    @callback
    def onCallMediaState(self, prm: pj.OnCallMediaStateParam) -> None:
        self._negotiated = True
        self.offer_received = ""
        stream = self._stream()
        if stream is not None:
            record = mapping.negotiated(self.number, stream, self._remote_description)
        elif self._last_media is not None:  # inactive: pjmedia has taken the stream down
            last = self._last_media
            record = mapping.paused(last)
        else:
            return
        self._last_media = record
        if self.local_tag:
            self.host.emit(record)
        else:
            self._held_media = record  # CallIdentified first: it comes with the reply that is about to be sent

    # ---------------------------------------------------------------------------------------------------------- helpers
    def _speaks_none(self) -> bool:
        """The caller offers none of the codecs that the answer is limited to."""
        offered = sdp.audio_codecs(self._remote_description)
        return bool(self.payloads) and bool(offered) and not any(name in self.payloads for name in offered)

    def _stream(self) -> mapping.Stream | None:
        call = self.getInfo()  # a name of its own: pjsua2's items point into it
        for media in call.media:
            if media.type != pj.PJMEDIA_TYPE_AUDIO or media.status == pj.PJSUA_CALL_MEDIA_NONE:
                continue
            try:
                info = self.getStreamInfo(media.index)
            except pj.Error:
                return None
            parameters = info.audCodecParam
            return mapping.Stream(
                codec=info.codecName,
                clock_hz=info.codecClockRate,
                channels=parameters.info.channelCnt,
                payload_type_send=info.txPt,
                payload_type_receive=info.rxPt,
                dtmf_send=info.audTxEventPt,
                dtmf_receive=info.audRxEventPt,
                direction=info.dir,
                frame_ms=parameters.info.frameLen,
                frames_per_packet=parameters.setting.frmPerPkt,
                remote_address=info.remoteRtpAddress,
                fmtp=";".join(f"{one.name}={one.val}" if one.name else one.val for one in parameters.setting.encFmtp),
            )
        return None

    def _sent(self, event: pj.TsxStateEvent) -> None:
        """A message of ours left: note our tag, and which transaction carries which SendRequest."""
        if event.tsx.method == "BYE" and event.tsx.role == pj.PJSIP_ROLE_UAC and not self.ended:
            # no ACK came, or no answer to our session refresh: pjsip hangs up of its own accord (RFC 3261 §13.3.1.4, RFC 4028 §10)
            info = self.getInfo()
            code = info.lastStatusCode if info.lastStatusCode >= 300 else 408
            self._finish(CallEnded(self.number, code, info.lastReason or "Request Timeout", "timeout"))
            return
        if self._sending_token and event.tsx.role == pj.PJSIP_ROLE_UAC:
            self._tokens[int(event.tsx.pjTransaction)] = self._sending_token
            self._sending_token = 0
            return
        if self.local_tag or event.tsx.statusCode == 100:
            return
        message = parse(event.src.tdata.wholeMsg)
        if self.outgoing and self.credentials is not None:
            self.credentials.hosts.add(endpoint_of(event.src.tdata.dstAddress)[0])
        ours, theirs = ("From", "To") if message.method else ("To", "From")
        tag = tag_of(message.header(ours))
        if tag:
            self._identify(message.header("Call-ID"), tag, tag_of(message.header(theirs)))

    def _session_interval(self, event: pj.TsxStateEvent) -> None:
        """A 2xx to INVITE or UPDATE went or came: it says who refreshes the call, and how often."""
        asked = event.tsx.role == pj.PJSIP_ROLE_UAC
        if event.type == (pj.PJSIP_EVENT_RX_MSG if asked else pj.PJSIP_EVENT_TX_MSG):
            text = event.src.rdata.wholeMsg if asked else event.src.tdata.wholeMsg
            self.host.refreshed(self, session_timer.interval_of_peer_s(text, asked))

    def _identify(self, call_id: str, local_tag: str, remote_tag: str) -> None:
        self.call_id, self.local_tag, self.remote_tag = call_id, local_tag, remote_tag
        self.host.identified(self)
        self.host.emit(CallIdentified(self.number, call_id, local_tag, remote_tag))
        if self._held_media is not None:
            self.host.emit(self._held_media)
            self._held_media = None

    def _replied(self, event: pj.TsxStateEvent) -> None:
        """A reply to a request of ours, or the lack of one."""
        invite = event.tsx.method == "INVITE"
        state = event.tsx.state
        if not invite and state not in (pj.PJSIP_TSX_STATE_COMPLETED, pj.PJSIP_TSX_STATE_TERMINATED):
            return
        message = parse(event.src.rdata.wholeMsg) if event.type == pj.PJSIP_EVENT_RX_MSG else None
        if not invite:
            token = self._tokens.pop(int(event.tsx.pjTransaction), 0)
            if token:
                self.host.emit(reply_record(self.number, token, event.tsx.statusCode, event.tsx.statusText, message))
            return
        if message is None or self.confirmed:
            return
        if message.has_sdp:
            self._remote_description = message.body.decode("utf-8", "replace")
        if message.code < 300:
            self._learn_remote_tag(message)
        if 100 < message.code < 200:
            self.host.emit(CallProgressed(self.number, message.code, message.reason, message.headers, message.has_sdp))

    def _learn_remote_tag(self, reply: Message) -> None:
        """The tag of a reply to our INVITE; pjsip tells of a 2xx as a new state before it tells of it as a message."""
        tag = tag_of(reply.header("To"))
        if tag and tag != self.remote_tag:
            self._identify(self.call_id, self.local_tag, tag)

    def _finish(self, record: CallEnded) -> None:
        if self.ended:
            return
        self.ended = True
        for waiting in self.waiting.values():
            waiting.request.reply(487)
            waiting.request.release()
        self.waiting.clear()
        self.host.emit(record)
