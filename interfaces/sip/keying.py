# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a call's audio is protected, and with which keys: one `Keying` a call, from its first description to its last. Pure.

    their offer ─► refusal? ─► answer: their suite, our key ─┐
    our offer: each suite with a key of ours ─► their answer ┴► agreed ─► Srtp, for the media process

What is wanted comes from the configuration (`di.sip.records.SrtpPolicy`) and from how the signalling goes: a key that anybody can read on its
way protects nothing, so without TLS there is no SRTP unless that is allowed. A call whose audio may be plain offers keys with the profile of
plain RTP (RFC 8643), which every phone takes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from di.kernel.seldom import Seldom
from di.sip.records import SrtpPolicy
from interfaces.sip.sdp.crypto import PLAIN_PROFILE, Crypto, crypto_line, is_secure, usable, with_crypto
from interfaces.sip.sdp.model import SessionDescription
from media.control.records import Srtp
from media.control.srtp_library import SUITES

log = logging.getLogger(__name__)
OFF, OPTIONAL, MANDATORY = "off", "optional", "mandatory"
_SECURE_PROFILE = "RTP/SAVP"
REQUIRED = "SRTP is required here"
NOT_IN_THE_CLEAR = "SRTP needs SIP over TLS here"
NO_COMMON_SUITE = "no crypto line that can be used"


@dataclass(frozen=True, slots=True)
class SrtpRule:
    """What holds for a call. `suites`: those that may be spoken, none without TLS; `known`: SRTP is configured somewhere, so we say why not."""

    mode: str = OFF
    suites: tuple[str, ...] = ()
    known: bool = False


NO_RULE = SrtpRule()


def rule_of(policy: SrtpPolicy, ip: str, tls: bool, dialled: bool = False) -> SrtpRule:
    """What holds for a call at an address of ours. `tls`: its signalling goes by TLS."""
    mode = dict(policy.interfaces).get(ip, policy.dialled if dialled else policy.incoming)
    suites = policy.suites if mode != OFF and (tls or policy.without_tls) else ()
    return SrtpRule(mode, suites, is_used(policy))


def is_used(policy: SrtpPolicy) -> bool:
    """Whether any call may have SRTP."""
    return any(mode != OFF for mode in (policy.incoming, policy.dialled, *(mode for _, mode in policy.interfaces)))


class Unprotected:
    """What is refused for its keys, in the log: ten lines a second, for callers make them. One a process; `now_ns` is monotonic."""

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns, self._told = now_ns, Seldom()

    def tell(self, what: str, why: str) -> None:
        """One more."""
        more = self._told.line(self._now_ns())
        if more is not None:
            log.warning("%s is refused: %s%s", what, why, more)


class Keying:
    """`random_bytes` makes keys: nobody may guess them."""

    def __init__(self, random_bytes: Callable[[int], bytes], rule: SrtpRule = NO_RULE) -> None:
        self._random_bytes = random_bytes
        self.rule = rule
        self._own: dict[str, bytes] = {}
        self._own_ended = False
        """Our keys are good for the descriptions that are out only: what goes on under a key goes on where it was, never from the start."""
        self._profile = ""
        """Of what was agreed on last."""
        self.srtp: Srtp | None = None
        """What was agreed on last."""

    def refusal(self, offer: SessionDescription) -> str:
        """Why audio that is offered cannot be had; empty when it can, or is to be refused by who knows of no SRTP."""
        audio, rule = offer.audio, self.rule
        if audio is None or not rule.known:
            return ""
        if self._usable(offer) is not None:
            return ""
        if rule.mode == MANDATORY:
            return REQUIRED if rule.suites else NOT_IN_THE_CLEAR
        if not is_secure(audio):
            return ""
        return NO_COMMON_SUITE if rule.suites else "SRTP is off here" if rule.mode == OFF else NOT_IN_THE_CLEAR

    @property
    def is_missing(self) -> bool:
        """What was agreed on lacks the protection that this call must have."""
        return self.rule.mode == MANDATORY and self.srtp is None

    def answer(self, ours: SessionDescription, theirs: SessionDescription) -> SessionDescription:
        """Our answer with the line that accepts one of theirs (RFC 4568 §5.1.2), under their profile."""
        crypto, audio = self._usable(theirs), theirs.audio
        if crypto is None or audio is None:
            return ours
        self._fresh_keys()
        line = crypto_line(crypto.tag, crypto.suite, self._key(crypto.suite))
        return with_crypto(ours, (line,), audio.protocol if is_secure(audio) else PLAIN_PROFILE)

    def offer(self, ours: SessionDescription) -> SessionDescription:
        """Our offer with a line for each suite; of a call that is protected only for its own, with the same key (§7.1.4)."""
        suites = self._offered()
        if not suites:
            return ours
        self._fresh_keys()
        lines = [crypto_line(tag, suite, self._key(suite)) for tag, suite in suites.items()]
        secure = self._profile if self.srtp is not None else _SECURE_PROFILE if self.rule.mode == MANDATORY else PLAIN_PROFILE
        return with_crypto(ours, lines, secure)

    def agreed(self, theirs: SessionDescription, we_offered: bool) -> Srtp | None:
        """Offer and answer are there: how the audio is protected now, None when it is not. `theirs`: of the two the peer's."""
        audio = theirs.audio
        if audio is None:
            return self.srtp  # nothing flows, and nothing has changed
        crypto = usable(audio, self._answerable(), self._suite) if we_offered else self._usable(theirs)
        if crypto is not None and we_offered and self._offered().get(crypto.tag) != crypto.suite:
            crypto = None
        if crypto is None:
            self.srtp, self._profile = None, ""
            self._own_ended = True
            return None
        self._profile = audio.protocol if is_secure(audio) else PLAIN_PROFILE
        self.srtp = Srtp(crypto.suite, self._key(crypto.suite), crypto.keys)
        return self.srtp

    @property
    def _suite(self) -> str:
        return self.srtp.suite if self.srtp is not None else ""

    def _offered(self) -> dict[int, str]:
        """The suites of an offer of ours, by their tags."""
        return {tag: suite for tag, suite in enumerate(self.rule.suites, 1) if self._suite in ("", suite)}

    def _answerable(self) -> tuple[str, ...]:
        return tuple(self._offered().values())

    def _usable(self, theirs: SessionDescription) -> Crypto | None:
        return usable(theirs.audio, self.rule.suites, self._suite)

    def _fresh_keys(self) -> None:
        if self._own_ended:
            self._own.clear()
            self._own_ended = False

    def _key(self, suite: str) -> bytes:
        if suite not in self._own:
            self._own[suite] = self._random_bytes(sum(SUITES[suite]))
        return self._own[suite]
