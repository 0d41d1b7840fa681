# SPDX-License-Identifier: GPL-2.0-or-later
"""The account that every call runs on: takes in INVITEs and decides about challenges."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pjsua2 as pj

from interfaces.sip.border import callback
from interfaces.sip.message import Message, endpoint_of, parse
from interfaces.sip.received import came_by_connection
from interfaces.sip.shim import ffi
from interfaces.sip.structures import Credentials

log = logging.getLogger(__name__)

_MAX_ANSWERS_A_METHOD = 2
"""One answer, and one more when the peer says that the nonce was stale."""


class SipAccount(pj.Account):  # type: ignore[misc]  # pjsua2 is untyped: Any at this border only
    """Calls `on_invite(slot, message, source, connected)`, `connected`: it came by TCP or TLS.

    `credentials(slot)` gives what the call in a slot may log in with.
    """

    def __init__(
        self, on_invite: Callable[[int, Message, str, bool], None], credentials: Callable[[int], Credentials | None]
    ) -> None:
        super().__init__()
        self._on_invite = on_invite
        self._credentials = credentials

    @callback
    def onIncomingCall(self, prm: pj.OnIncomingCallParam) -> None:
        connected = came_by_connection(ffi.cast("void *", int(prm.rdata.pjRxData)))
        self._on_invite(prm.callId, parse(prm.rdata.wholeMsg), prm.rdata.srcAddress, connected)

    @callback
    def onAuthChallenge(self, prm: pj.OnAuthChallengeParam) -> None:
        """Answer only for a call that we dialled, its realm and the address that we dialled (ES2021-05, digest leak)."""
        known = self._credentials(prm.callId)
        message = parse(prm.rdata.wholeMsg)
        source = endpoint_of(prm.rdata.srcAddress)[0]
        method = message.header("CSeq").rpartition(" ")[2]
        if known is None:
            return
        if source not in known.hosts:
            log.warning("a challenge from %s is not answered: the call was dialled to %s", source, ", ".join(known.hosts))
            return
        realms = challenged_realms(message)
        if not realms or (known.realm and known.realm not in realms):
            log.warning("a challenge for realm %s is not answered: credentials are for %r", realms, known.realm)
            return
        answers = known.answered.get(method, 0)
        if answers >= _MAX_ANSWERS_A_METHOD:
            return
        known.answered[method] = answers + 1
        vector = pj.AuthCredInfoVector()
        vector.append(pj.AuthCredInfo("digest", known.realm or realms[0], known.username, 0, known.password))
        prm.challenge.respond(vector)


def challenged_realms(message: Message) -> list[str]:
    """The realms of a 401 or 407, in order (RFC 3261 §22)."""
    realms = []
    for name, value in message.headers:
        if name.lower() not in ("www-authenticate", "proxy-authenticate"):
            continue
        at = value.lower().find("realm=")
        if at >= 0:
            rest = value[at + 6 :].strip()
            realms.append(rest[1:].split('"', 1)[0] if rest.startswith('"') else rest.split(",", 1)[0].strip())
    return realms
