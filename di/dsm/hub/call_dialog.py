# SPDX-License-Identifier: GPL-2.0-or-later
"""`DialogPort` of a call: replies, requests in the dialog, new calls (spec dsm.md §5.2)."""

from __future__ import annotations

from email import message_from_bytes
from typing import TYPE_CHECKING, Protocol

from di.calls.events import SipReply
from di.calls.state import Phase
from di.dsm.language.errors import DsmException
from di.dsm.language.model import Nested, Outcome
from di.sip.headers import first_header
from di.sip.records import RequestReceived

if TYPE_CHECKING:
    from di.calls.session import Session
    from di.dsm.hub.b2b import CallB2B
    from di.dsm.hub.call_media import CallMedia
    from di.dsm.hub.script_host import ScriptHost


class InvitedCall(Protocol):
    """A call with a diagram, as its SIP side sees it."""

    session: Session
    host: ScriptHost
    call_media: CallMedia
    second_leg: CallB2B
    invited: bool

    def nested_start(self, early: bool) -> Nested | None:
        """The event that a reply with SDP brings at once."""


class CallDialog:
    """`request` and `reply_record` are what the event that runs is about."""

    def __init__(self, call: InvitedCall) -> None:
        self.call = call
        self.session = call.session
        self.request: RequestReceived | None = None
        self.reply_record: SipReply | None = None
        self.replied = False

    def reply(self, code: int, reason: str, headers: tuple[str, ...], *, sdp: bool) -> Outcome:
        """Reply to the initial INVITE."""
        session = self.session
        if session.info.direction != "in" or not self.call.invited:
            raise LookupError("there is no INVITE to reply to")
        if session.dialog.answered:
            raise LookupError("the INVITE has its final reply already")
        self.replied = True
        if code >= 300:
            session.dialog.reject(code, reason, headers)
            return None
        if sdp or code >= 200:
            self.call.call_media.open()
        if code >= 200:
            session.dialog.accept(code, reason or "OK", headers)
        elif sdp:
            session.dialog.early_media(code, reason or "Session Progress", headers)
        else:
            session.dialog.ringing(code, reason or "Ringing", headers)
        return self.call.nested_start(early=code < 200) if sdp else None

    def reply_request(self, code: int, reason: str, headers: tuple[str, ...]) -> None:
        """Reply to the request of this event."""
        if self.request is None or not self.request.reply_wanted:
            raise LookupError("no request")
        self.session.dialog.reply(self.request, code, reason, headers)

    def bye(self, headers: tuple[str, ...]) -> bool:
        """End the dialog."""
        self.session.stop(487, "", headers)
        return True

    def refer(self, uri: str, expires_s: int | None) -> bool:
        """Send REFER."""
        if self.session.dialog.phase is not Phase.CONNECTED:
            return True
        if "\r" in uri or "\n" in uri:
            return False
        expires = () if expires_s is None else (f"Expires: {expires_s}",)
        self.session.dialog.send("REFER", (f"Refer-To: {uri}", *expires))
        return True

    def info(self, content_type: str, body: str) -> bool:
        """Send INFO."""
        if self.session.dialog.phase is not Phase.CONNECTED:
            return False
        self.session.dialog.send("INFO", (), content_type, body.encode("utf-8", "surrogateescape") if content_type else b"")
        return True

    def request_body(self, content_type: str) -> str | None:
        """A part of the request's body."""
        if self.request is None:
            raise LookupError("no request")
        return body_part(self.request.content_type, self.request.body, content_type)

    def reply_body(self, content_type: str) -> str | None:
        """A part of the reply's body."""
        if self.reply_record is None:
            raise LookupError("no reply")
        given = first_header(self.reply_record.headers, "Content-Type") or ""
        return body_part(given, self.reply_record.body, content_type)

    def dial(self, fields: dict[str, str], variables: dict[str, str]) -> str:
        """A new call."""
        return self.call.host.dial(fields, variables, self.session.id)

    def other_id(self) -> str:
        """The B leg's id."""
        return self.call.second_leg.id

    def relay_reply(self, code: int, reason: str) -> None:
        """The BYE of the other leg has had its 200 from the SIP process already; nothing more is owed."""
        if not self.call.second_leg.known:
            raise DsmException("param", cause="this is no B2B session")

    def header_block(self) -> str:
        """The headers of the initial INVITE."""
        return block(self.session.info.headers)


def block(headers: tuple[tuple[str, str], ...]) -> str:
    """Header lines as they stand in a message."""
    return "".join(f"{name}: {value}\r\n" for name, value in headers)


def body_part(given_type: str, body: bytes, wanted: str) -> str | None:
    """The body, or a part of a multipart body, when it has the wanted type; None otherwise."""
    wanted = wanted.strip().lower()
    kind = given_type.split(";", maxsplit=1)[0].strip().lower()
    if kind == wanted and body:
        return body.decode("utf-8", "surrogateescape")
    if not kind.startswith("multipart/") or len(body) > 1_000_000:
        return None
    message = message_from_bytes(
        b"Content-Type: " + given_type.encode("utf-8", "replace").replace(b"\n", b" ") + b"\r\n\r\n" + body
    )
    for part in message.walk():
        payload = part.get_payload(decode=True)
        if part.get_content_type() == wanted and isinstance(payload, bytes):
            return payload.decode("utf-8", "surrogateescape")
    return None
