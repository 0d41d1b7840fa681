# SPDX-License-Identifier: GPL-2.0-or-later
"""The account that every call runs on: decides about challenges."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pjsua2 as pj

from interfaces.sip.border import callback
from interfaces.sip.digest import MOST_ANSWERS, challenges, why_not
from interfaces.sip.message import Message, cseq_of, endpoint_of, parse
from interfaces.sip.shim import lib
from interfaces.sip.structures import Credentials

log = logging.getLogger(__name__)

_MAX_ANSWERS = 6
"""Of one request: a proxy and the peer behind it may both ask, and each may say twice that the nonce was stale."""
_MAX_REMEMBERED = 32


class SipAccount(pj.Account):  # type: ignore[misc]  # pjsua2 is untyped: Any at this border only
    """`credentials(slot)` gives what the call in a slot may log in with."""

    def __init__(self, credentials: Callable[[int], Credentials | None]) -> None:
        super().__init__()
        self._credentials = credentials

    @callback
    def onAuthChallenge(self, prm: pj.OnAuthChallengeParam) -> None:
        """Answer only for a call that we dialled, its realm and the address that we dialled (ES2021-05, digest leak)."""
        known = self._credentials(prm.callId)
        message = parse(prm.rdata.wholeMsg)
        source = endpoint_of(prm.rdata.srcAddress)[0]
        if known is None:
            return
        if source not in known.hosts:
            log.warning("a challenge from %s is not answered: the call was dialled to %s", source, ", ".join(known.hosts))
            return
        realms = challenged_realms(message)
        if not realms or (known.realm and known.realm not in realms):
            log.warning("a challenge for realm %s is not answered: credentials are for %r", realms, known.realm)
            return
        if why := why_not(message):
            log.warning("a challenge from %s to %s is not answered: %s", source, message.header("CSeq"), why)
            return
        if not self._fresh(known, message):
            stale = any(challenge.stale for challenge in challenges(message))
            why = "the nonce is stale each time" if stale else "user or password is wrong"
            log.warning("%s is refused by %s: %s for realm %s", message.header("CSeq"), source, why, realms)
            return
        lib.shim_forget_stale(prm.callId)
        vector = pj.AuthCredInfoVector()
        vector.append(pj.AuthCredInfo("digest", known.realm or realms[0], known.username, 0, known.password))
        prm.challenge.respond(vector)

    @staticmethod
    def _fresh(known: Credentials, message: Message) -> bool:
        """Whether a request may be sent again with an answer: the first time, or when not the password was wrong but the nonce too old.

        pjsip sends it at once and with the next CSeq, which tells an answer to that apart from one to any other request of the call.
        """
        number = cseq_of(message)
        asked = known.answered.pop(number, {})
        for challenge in challenges(message):
            place = challenge.answer_name + challenge.realm
            before = asked.get(place, 0)
            if not before or (challenge.stale and before < MOST_ANSWERS):
                break
        else:
            return False
        if sum(asked.values()) >= _MAX_ANSWERS:
            return False
        known.answered[number + 1] = {**asked, place: before + 1}
        while len(known.answered) > _MAX_REMEMBERED:
            del known.answered[next(iter(known.answered))]
        return True


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
