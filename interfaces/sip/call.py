# SPDX-License-Identifier: GPL-2.0-or-later
"""One call as pjsua2 sees it: its callbacks become records, its commands become pjsua2 calls.

Only `interfaces.sip.live_calls` holds these objects. A callback never drops one: it hands it to `Host.release`, and they let
go of it outside pjsip (a pjsua2 call deleted inside its own callback crashes). What is said in session descriptions is decided in
`descriptions`, which re-INVITE goes out when in `offers`.
"""

from __future__ import annotations

import logging
import re
from contextlib import suppress
from secrets import token_bytes
from typing import Any

import pjsua2 as pj

from di.sip.records import (
    Appearance,
    CallConfirmed,
    CallEnded,
    CallIdentified,
    CallProgressed,
    CallTried,
    Dial,
    MediaNegotiated,
    Reinvite,
    RequestReceived,
    SendRequest,
    SessionTimer,
)
from interfaces.sip import mapping, session_timer
from interfaces.sip.border import callback
from interfaces.sip.descriptions import Descriptions
from interfaces.sip.host import Host
from interfaces.sip.keying import REQUIRED, Keying
from interfaces.sip.message import Message, endpoint_of, escaped, in_characters, parse, tag_of
from interfaces.sip.message_log import SipPacket
from interfaces.sip.pace import Pace
from interfaces.sip.received import arrived, message_of
from interfaces.sip.reinvites import Reinvites
from interfaces.sip.sdp.model import NOTHING
from interfaces.sip.sdp.once import once
from interfaces.sip.sent_requests import SentRequests
from interfaces.sip.shim import lib
from interfaces.sip.structures import (
    Credentials,
    Reply,
    Waiting,
    c_lines,
    description,
    parameters,
    plain,
    state_of,
)

log = logging.getLogger(__name__)

OFFERING = session_timer.METHODS
"""Requests of a dialog that may carry an offer."""
_MOST_OFFERS, _OFFERS_A_SECOND = 40, 5
_OUR_TO = re.compile(r"\r\nTo: ([^\r\n]*)")
_WITH_INTERVAL = "\r\nSession-Expires:"
"""As pjsip writes them."""
_CONNECTING, _CONFIRMED, _DISCONNECTED = (
    pj.PJSIP_INV_STATE_CONNECTING,
    pj.PJSIP_INV_STATE_CONFIRMED,
    pj.PJSIP_INV_STATE_DISCONNECTED,
)


class SipCall(pj.Call):  # type: ignore[misc]  # pjsua2 is untyped: Any at this border only
    """A call, incoming when `slot` is given. What a short call does not need is made when it is asked for, or stands in the class."""

    call_id = local_tag = remote_tag = ""
    credentials: Credentials | None = None
    timer: SessionTimer | None = None
    """Its session interval, where we have one of our own."""
    allows_update = False
    """Whether the peer takes UPDATE."""
    ended = confirmed = answered = False
    began: tuple[SipPacket, int] | None = None
    """The INVITE of a call that came in and when (wall clock, us), until it is answered."""
    remote_cseq = -1
    """Of the peer's last request in this dialog."""
    told_later: RequestReceived | None = None
    """A re-INVITE or UPDATE that has come: told before the media that it changes, not at all when it is refused."""
    _least_s = 0
    _held_media: MediaNegotiated | None = None
    _last_media: MediaNegotiated | None = None
    _sent_headers: tuple[str, ...] = ()
    _answer: Message | None = None
    _cancel: Message | None = None
    _unacceptable = False
    _hop, _hop_always = "", False

    def __init__(self, host: Host, account: pj.Account, number: int, slot: int = -1) -> None:
        if slot < 0:
            super().__init__(account)
        else:
            super().__init__(account, slot)
        self.host = host
        self.number = number
        self.slot = slot
        self.outgoing = slot < 0
        self.waiting: dict[str, Waiting] = {}
        self.replies: dict[str, Reply] = {}
        self.keying = Keying(token_bytes)
        self.descriptions = Descriptions(self.outgoing, host.offered, self.keying)
        self._to_source = host.nat_handling

    @once
    def reinvites(self) -> Reinvites:
        """Ours."""
        host = self.host
        return Reinvites(self.number, self.outgoing, self.descriptions, host.emit, host.random, host.placeholders)

    @once
    def requests(self) -> SentRequests:
        """Those of the hub."""
        return SentRequests(self.number, self.host.emit, self.host.placeholders)

    @once
    def offers(self) -> Pace:
        """The peer's re-INVITEs and UPDATEs: pjsip remembers each for 32 s, with some 16 kB."""
        return Pace(_MOST_OFFERS, _OFFERS_A_SECOND, self.host.now_ns())

    # -------------------------------------------------------------------------------------------------------- commands
    def dial(self, dial: Dial, address: tuple[str, int] | None) -> None:
        """Send the INVITE. Raises pj.Error when an address is none."""
        self.descriptions.move(address)
        operation = parameters(self.host.placeholders, headers=dial.headers)
        operation.txOption.localUri = escaped(dial.from_uri)
        operation.txOption.targetUri = escaped(dial.request_uri)
        operation.opt.customCallId = dial.call_id
        if address is None:
            operation.opt.flag = pj.PJSUA_CALL_NO_SDP_OFFER
        self.makeCall(escaped(dial.to_uri), operation)
        self.slot = self.getId()

    def reply(self, code: int, reason: str, headers: tuple[str, ...], address: tuple[str, int] | None) -> None:
        """Answer the INVITE."""
        if address is None and 100 < code < 200:
            code, reason = 180, reason or "Ringing"  # pjsip puts SDP into every other provisional reply
        if code == 100:
            return  # pjsip has sent it
        if address is not None and code < 300 and self.descriptions.nothing_in_common():
            code, reason, address = pj.PJSIP_SC_NOT_ACCEPTABLE_HERE, "Not Acceptable Here", None
        said = ""
        if address is not None and code < 300:
            self.descriptions.move(address)
            said = self.descriptions.answer_now()
        elif 200 <= code < 300 and self.descriptions.wish.address is None:
            log.error("call %d: answered without a media address: every stream is refused", self.number)
            said = self.descriptions.nothing_said("")
        if code >= 300:
            self.end_locally(code, reason)
        self._send_reply(code, reason, headers, in_characters(said).encode())
        self.answered = code < 300 and code >= 200

    def _send_reply(self, code: int, reason: str, headers: tuple[str, ...], said: bytes) -> None:
        """Raises pj.Error."""
        self._take_headers_back()
        lines, count, _ = c_lines(headers, contact=300 <= code < 400)
        status = int(lib.shim_answer(self.slot, code, plain(reason).encode(), said, len(said), lines, count))
        if status != 0:
            raise pj.Error(status, f"answer with {code}", "", "", 0)
        self._sent_headers = headers if code < 200 else ()

    def _take_headers_back(self) -> None:
        """pjsip makes each answer of the one before; the headers that the hub has put there were said of that one only."""
        if self._sent_headers:
            lines, count, _ = c_lines(self._sent_headers)
            lib.shim_take_headers_back(self.slot, lines, count)
            self._sent_headers = ()

    def end(self, code: int, reason: str, headers: tuple[str, ...]) -> None:
        """Hang up in whatever state: final reply, CANCEL or BYE."""
        self.end_locally(200 if self.confirmed else code, reason)
        self._take_headers_back()
        self.hangup(parameters(self.host.placeholders, code, reason, headers))

    def end_locally(self, code: int, reason: str) -> None:
        """Report the end as ours, once."""
        self._finish(CallEnded(self.number, code, reason, "local"))

    def emit_failure(self, code: int, reason: str) -> None:
        """Report the end of a call that pjsip would not carry on with."""
        self._finish(CallEnded(self.number, code, reason, "error"))

    def appears(self, appearance: Appearance) -> None:
        """How it looks from now on, the dialog's own Contact apart."""
        self.descriptions.appearance = appearance
        self._to_source = appearance.to_source or self.host.nat_handling
        self._hop, self._hop_always = appearance.hop, appearance.hop_always

    def present(self, appearance: Appearance) -> None:
        """How it looks from now on."""
        self.appears(appearance)
        if appearance.contact and not self.host.contact(self, appearance.contact):
            log.error("call %d: Contact %r cannot be sent: our own is", self.number, appearance.contact)
        if self.began is not None:
            self._follow(self.began[0])

    def arrived(self, packet: SipPacket, epoch_us: int) -> None:
        """The INVITE of a call that comes in, and when (wall clock)."""
        self.began = packet, epoch_us
        self._follow(packet)

    def _follow(self, packet: SipPacket) -> None:
        """Send requests inside the dialog to where a message came from, or to a hop of ours, where that is wanted."""
        if not (self._hop or self._to_source):
            return
        host = f"[{packet.source_ip}]" if ":" in packet.source_ip else packet.source_ip
        source = f"sip:{host}:{packet.source_port}{f';transport={packet.transport}' if packet.connected else ''}"
        uri = self._hop or source
        if not self.host.send_to(self, uri, self._hop_always):
            log.error("call %d: its requests cannot be sent to %s", self.number, uri)

    def offer_again(self, wish: Reinvite) -> None:
        """Send a re-INVITE as soon as nothing is in its way; `work` does."""
        if self.answered:
            self.reinvites.add(wish, self.host.codecs)
        else:
            self.reinvites.refuse(wish, 500, "the call is not up")

    def work(self) -> bool:
        """Send the re-INVITE that is due. False when none is left."""
        if self._unacceptable and not self.ended:
            self._unacceptable = False
            self.emit_failure(488, "Not Acceptable Here")
            with suppress(pj.Error):  # pjsip may have ended it first
                self.hangup(parameters(self.host.placeholders, 488))  # RFC 3261 §13.2.2.4: nothing but the end is left
        return not self.ended and self.reinvites.work(self, self.confirmed, self.host.now_ns())

    def request(self, command: SendRequest) -> None:
        """Send a request inside the dialog."""
        self.requests.send(self, command, lambda headers: self.host.update(self, headers))

    def destroy(self) -> None:
        """Delete the object in C++ now, so that it does not matter when Python lets go of this one (pjproject#3856)."""
        lib.shim_let_go(self.slot, int(self.this))
        pj.Call.__swig_destroy__(self)

    # ------------------------------------------------------------------------------------------- what the shim tells of it
    def state_changed(self, state: int, code: int, reason: str, came: Any) -> None:
        """Its pjsip_inv_state, last code and reason; `came`: the message that brought it about, None for none."""
        if state == _CONNECTING and self.outgoing:
            self.answered = True
            self._answer = _message(came)
            self._follow_answer(came)
            if self._answer is not None:
                self._learn_remote_tag(self._answer)
        elif state == _CONFIRMED and not self.confirmed:
            self.confirmed, self.began = True, None
            message = self._answer if self.outgoing else _message(came)
            headers = message.headers if message is not None else ()
            self.host.emit(CallConfirmed(self.number, code, reason, headers))
        elif state == _DISCONNECTED:
            if not self.ended:
                message = self._cancel or _message(came)
                self._finish(mapping.ended(self.number, code, reason, message, self.confirmed))
            self.host.release(self)

    def replied(self, code: int, text: str) -> None:
        """We have answered an INVITE or UPDATE; `text`: the reply that has just left, empty when none did."""
        if code >= 200:
            self._told(code)
        if not text:
            return
        if 200 <= code < 300:
            interval = session_timer.interval_of(text, we_asked=False) if _WITH_INTERVAL in text else session_timer.NO_INTERVAL
            if interval.seconds or self.local_tag:  # there may have been one
                self.host.refreshed(self, interval)
        if self.local_tag or self.outgoing:
            return
        found = _OUR_TO.search(text)  # the rest of its dialog stood in their INVITE
        if found is not None and (tag := tag_of(found[1])):
            self._identify(self.call_id, tag, self.remote_tag)

    def described(self, text: str) -> str:
        """What we say instead of a description that pjsip has made; empty `text`: it is too long to be written."""
        now = self._last_media
        try:
            return self.descriptions.created(text, f"{now.codec}/{now.clock_hz}" if now else "")
        except Exception:
            log.exception("call %d: our session description could not be made: every stream is refused", self.number)
            return self.descriptions.nothing_said(text)

    def media_changed(self, stream: mapping.Stream | None) -> None:
        """Offer and answer are there; `stream`: the audio, None while there is none."""
        self.descriptions.agreed(self.host.reader.arrived)
        if self.keying.is_missing:
            log.error("call %d: it ends, since %s and was not agreed on", self.number, REQUIRED)
            self._unacceptable = True
            self.host.look_at(self)
            return
        if stream is not None:
            record = mapping.negotiated(self.number, stream, self.descriptions, self._last_media)
        elif self._last_media is not None:  # inactive: pjmedia has taken the stream down
            record = mapping.paused(self._last_media, self.keying.srtp)
        else:
            return
        self._last_media = record
        if self.local_tag:
            self._tell_request()
            self.host.emit(record)
        else:
            self._held_media = record  # CallIdentified first: it comes with the reply that is about to be sent

    # ------------------------------------------------------------------------------------------------- pjsua2 callbacks
    @callback
    def onCallTsxState(self, prm: pj.OnCallTsxStateParam) -> None:
        """Of a request of ours, or of a CANCEL that has come: the shim tells the rest."""
        event = prm.e.body.tsxState
        transaction = event.tsx  # each look into pjsip's structures makes an object
        if transaction.role == pj.PJSIP_ROLE_UAS:
            self._cancel = parse(event.src.rdata.wholeMsg)
            return
        if 200 <= transaction.statusCode < 300 and transaction.method in session_timer.METHODS:
            self._session_interval(event)
        if event.type == pj.PJSIP_EVENT_TX_MSG:
            self._sent(event)
        else:
            self._replied(event)

    @callback
    def onCallRxOffer(self, prm: pj.OnCallRxOfferParam) -> None:
        """A later offer with nothing that we speak is refused with 488; pjsua alone would say 500 (RFC 3261 §14.2)."""
        reader = self.host.reader
        self.descriptions.received = reader.arrived if reader.arrived.media else reader.read(description(prm.offer))
        offered = self.descriptions.received.codecs
        taken = self.descriptions.wish.payloads or self.host.codecs
        unprotected = self.keying.refusal(self.descriptions.received)
        if unprotected:
            self.host.unprotected.tell(f"call {self.number}: a later offer", unprotected)
        if unprotected or (offered and not any(name in taken for name in offered)):
            self.descriptions.received = NOTHING
            prm.statusCode = pj.PJSIP_SC_NOT_ACCEPTABLE_HERE
            self._unacceptable = self.reinvites.under_way and self.told_later is None  # in a reply: it cannot be refused

    # ---------------------------------------------------------------------------------------------------------- helpers
    def _sent(self, event: pj.TsxStateEvent) -> None:
        """A request of ours left: note our tag, and which transaction carries which SendRequest or re-INVITE."""
        if event.tsx.method == "BYE" and not self.ended:
            # no ACK came, or no answer to our session refresh: pjsip hangs up of its own accord (RFC 3261 §13.3.1.4, RFC 4028 §10)
            _, code, reason = state_of(self)
            self._finish(CallEnded(self.number, code if code >= 300 else 408, reason or "Request Timeout", "timeout"))
            return
        if self.reinvites.left(event) or self.requests.left(event):
            return
        if self.local_tag:
            return
        message = parse(event.src.tdata.wholeMsg)
        if self.credentials is not None:
            self.credentials.hosts.add(endpoint_of(event.src.tdata.dstAddress)[0])
        tag = tag_of(message.header("From"))
        if tag:
            self._identify(message.header("Call-ID"), tag, tag_of(message.header("To")))

    def _session_interval(self, event: pj.TsxStateEvent) -> None:
        """A 2xx to an INVITE or UPDATE of ours came: it says who refreshes the call, and how often."""
        if event.type == pj.PJSIP_EVENT_RX_MSG:
            text = event.src.rdata.wholeMsg
            interval = session_timer.interval_of(text, we_asked=True)
            if not interval.seconds and self.timer is not None:  # it knows of none: we refresh all the same
                interval = session_timer.Interval(max(self.timer.expires_s, self._least_s), ours=True)
            self.host.refreshed(self, interval)
            self.allows_update = session_timer.allows_update(parse(text).headers)

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
        if invite and self.confirmed:
            self.reinvites.replied(event, message, self.host.now_ns())
            return
        if not invite:
            self.requests.replied(event, message)
            return
        if message is None:
            return
        if message.code < 300:
            self._learn_remote_tag(message)
        elif message.code == 422:
            self._least_s = max(self._least_s, session_timer.least_s(event.src.rdata.wholeMsg))
        if message.code == 100 and self.outgoing:
            self.host.emit(CallTried(self.number))
        if 100 < message.code < 200:
            self.host.emit(CallProgressed(self.number, message.code, message.reason, message.headers, message.has_sdp))

    def _told(self, code: int) -> None:
        """An offer or UPDATE of the peer's has been answered."""
        if code < 300:
            self._tell_request()
        else:
            self.descriptions.received = NOTHING
        self.told_later = None

    def _tell_request(self) -> None:
        if self.told_later is not None:
            self.host.emit(self.told_later)
        self.told_later = None

    def _follow_answer(self, came: Any) -> None:
        """The 2xx to our INVITE: before the ACK to it goes out."""
        if came is not None and (self._to_source or self._hop):
            self._follow(arrived(came))

    def _learn_remote_tag(self, reply: Message) -> None:
        """The tag of a reply to our INVITE; pjsip tells of a 2xx as a new state before it tells of it as a message."""
        tag = tag_of(reply.header("To"))
        if tag and tag != self.remote_tag:
            self._identify(self.call_id, self.local_tag, tag)

    def _finish(self, record: CallEnded) -> None:
        if self.ended:
            return
        self.ended = True
        if self.waiting:
            for waiting in self.waiting.values():
                waiting.request.reply(487)
                waiting.request.release()
            self.waiting.clear()
        code, reason = (408, "Request Timeout") if record.by == "timeout" else (481, "Call/Transaction Does Not Exist")
        made = vars(self)
        if "requests" in made:
            self.requests.abandon(code, reason)
        if "reinvites" in made:
            self.reinvites.abandon(code, reason)
        self.host.emit(record)


def _message(came: Any) -> Message | None:
    """A message that came, by pjsip's record of it; None without."""
    return message_of(came) if came is not None else None
