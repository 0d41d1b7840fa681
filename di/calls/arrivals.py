# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls that come in: which application takes one, or why it is refused before it is a call (spec core.md §6.1).

gate (limits) → INVITE with Replaces? the call that it names : selection → the application's factory → a session
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from di.calls.application import Factory
from di.calls.call_info import CallInfo
from di.calls.refusals import RefusedCall
from di.calls.selection import Selection
from di.calls.transfer import Replacing, can_be_replaced, parse_replaces
from di.calls.trust import of_stranger, private_headers, same_identity, signalling_of, trusts
from di.kernel.errors import Refused
from di.kernel.seldom import Seldom
from di.sip.app_params import session_map
from di.sip.headers import first_header, parse_uri
from di.sip.records import Answer, CallOffered

if TYPE_CHECKING:
    from di.calls.session import Session
    from di.calls.sessions import Sessions

log = logging.getLogger(__name__)


class Arrivals:
    """`selection` is replaced when the configuration is read anew."""

    def __init__(self, sessions: Sessions, selection: Selection) -> None:
        self.selection = selection
        self._refused = Seldom(50)
        self._sessions = sessions

    def offered(self, offer: CallOffered) -> None:
        """Take an INVITE: it becomes a session, or is refused with a line in the log."""
        refused = self._sessions.gate()
        if refused is not None:
            cause = "; ".join(self._sessions.out_of_order().values()) or "a limit"
            more = self._refused.line(self._sessions.clock.now_ns())
            if more is not None:
                log.warning("INVITE from %s:%d refused with %s: %s%s", offer.source_ip, offer.source_port, refused, cause, more)
            self._refuse(offer, refused, "", "system" if self._sessions.out_of_order() else "limit", cause)
            return
        trusted = trusts(self._sessions.surroundings.core.trusted_peers, offer.source_ip)
        if not trusted:
            offer = _without_private_headers(offer)
        try:
            name, factory = self._application(offer, trusted)
        except Refused as nobody:
            self._refuse(offer, nobody, "", "system", "no application takes it")
            return
        session = self._sessions.make(offer.call, name, self._info(offer, trusted))
        session.app_params = session_map(offer.headers)
        try:
            session.app = factory(session)
        except Refused as no:
            log.info("INVITE %s: %s refuses with %s", offer.request_uri, name, no)
            self._refuse(offer, no, name, "app", f"{name} refuses it")
            return
        except Exception:  # an application's fault costs its own call only
            log.exception("INVITE %s: %s cannot begin", offer.request_uri, name)
            self._refuse(offer, Refused(500, "Server Internal Error"), name, "system", f"{name} cannot begin")
            return
        self._sessions.begin(session)
        session.post(offer)

    def _application(self, offer: CallOffered, trusted: bool) -> tuple[str, Factory]:
        """Who takes a call: the one whose place it takes (RFC 3891), else the configured application. Raises Refused."""
        replaces = first_header(offer.headers, "Replaces")
        if replaces is not None:
            replaced = self._replaced(offer, replaces, trusted)
            return replaced.application, lambda session: Replacing(session, replaced, offer)
        name = self.selection.choose(offer.request_uri, offer.headers)
        factory = self._sessions.surroundings.applications.find(name) if name else None
        if factory is None:
            reason = f"no application {name!r}" if name else "no application is mapped to it"
            log.warning("INVITE %s: %s", offer.request_uri, reason)
            raise Refused(404, "Not Found")
        return name, factory

    def _replaced(self, offer: CallOffered, value: str, trusted: bool) -> Session:
        """The call that an INVITE wants to replace: of a trusted peer, or of who the replaced call is of. Raises Refused, cause in the log."""
        dialog = parse_replaces(value)
        found = self._sessions.find_dialog(*dialog) if dialog is not None else None
        if found is not None and (trusted or same_identity(found.info, offer)) and can_be_replaced(found):
            return found
        refused = Refused(400, "Bad Replaces")
        if dialog is not None:
            refused = Refused(481, "Call/Transaction Does Not Exist") if found is None else Refused(403, "Forbidden")
        source = f"{offer.source_ip}:{offer.source_port}"
        log.warning("INVITE with Replaces %s from %s: %d %s", value, source, refused.code, refused.reason)
        raise refused

    def _refuse(self, offer: CallOffered, refused: Refused, application: str, by: str, cause: str) -> None:
        self._sessions.sip.send(Answer(offer.call, refused.code, refused.reason, refused.headers))
        self._sessions.refusals.tell(
            lambda: RefusedCall(self._info(offer, False), application, refused.code, refused.reason, by, cause)
        )

    def _info(self, offer: CallOffered, trusted: bool) -> CallInfo:
        return CallInfo(
            direction="in",
            request_uri=offer.request_uri,
            from_header=offer.from_header,
            to_header=offer.to_header,
            call_id=offer.call_id,
            remote_tag=offer.remote_tag,
            contact_uri=offer.contact_uri,
            source_ip=offer.source_ip,
            source_port=offer.source_port,
            headers=offer.headers,
            body=offer.body,
            signalling=signalling_of(offer.source_ip, offer.headers),
            has_offer=offer.has_offer,
            remote_media_ip=offer.remote_media_ip,
            remote_media_port=offer.remote_media_port,
            user=parse_uri(offer.request_uri).user,
            interface=offer.place,
            over_ipv6=":" in offer.source_ip,
            trusted=trusted,
            vouched=trusts(self._sessions.surroundings.core.early_media_peers, offer.source_ip),
            connected=offer.connected,
            codecs=offer.codecs,
            lines=offer.lines,
        )


def _without_private_headers(offer: CallOffered) -> CallOffered:
    """A stranger's INVITE, and a line in the log when it had such headers."""
    dropped = private_headers(offer.headers)
    if not dropped:
        return offer
    log.warning(
        "INVITE %s from %s:%d (Call-ID %s): %s does not count: %s is none of trusted_peers",
        offer.request_uri, offer.source_ip, offer.source_port, offer.call_id, ", ".join(dropped), offer.source_ip,
    )  # fmt: skip
    return of_stranger(offer)
