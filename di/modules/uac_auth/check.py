# SPDX-License-Identifier: GPL-2.0-or-later
"""Digest credentials looked at from a server's side (RFC 3261 §22, RFC 7616), with MD5. Pure: time comes in.

A nonce is the time as eight hex digits and a keyed hash of it, so that no list of those that were given out is needed.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import OrderedDict

from di.sip.auth_params import parameters

NONCE_S = 300
"""A nonce that is older is stale."""
_MAX_COUNTED = 10_000
_FREE = ("ACK", "CANCEL")
"""They cannot be challenged (RFC 3261 §22.1)."""


class CredentialCheck:
    """`secret` makes nonces; those of another one are strange."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._counts: OrderedDict[str, int] = OrderedDict()

    def nonce(self, now_s: int) -> str:
        """A fresh one."""
        time = f"{now_s & 0xFFFFFFFF:08x}"
        return time + hmac.new(self._secret, time.encode(), hashlib.sha256).hexdigest()[:32]

    def right(self, method: str, authorization: str, body: bytes, realm: str, user: str, password: str, now_s: int) -> bool:
        """Whether they are, and the nonce is ours, young, and used with a higher count than before."""
        if method.upper() in _FREE:
            return True
        scheme, _, rest = authorization.strip().partition(" ")
        given = parameters(rest) if scheme.lower() == "digest" else {}
        nonce, count = given.get("nonce", ""), given.get("nc", "")
        if given.get("username") != user or given.get("realm") != realm or not self._young(nonce, now_s):
            return False
        if given.get("algorithm", "MD5").upper() != "MD5" or not self._matches(method, given, body, realm, user, password):
            return False
        return not given.get("qop") or self._counted(nonce, count)

    def _young(self, nonce: str, now_s: int) -> bool:
        if not re.fullmatch(r"[0-9a-f]{40}", nonce):
            return False
        age_s = (now_s - int(nonce[:8], 16)) & 0xFFFFFFFF
        return age_s <= NONCE_S and hmac.compare_digest(nonce, self.nonce(int(nonce[:8], 16)))

    def _counted(self, nonce: str, count: str) -> bool:
        """Eight hex digits (RFC 7616 §3.4), more than the last time: the same credentials again are a replay."""
        if not re.fullmatch(r"[0-9a-fA-F]{8}", count) or int(count, 16) <= self._counts.get(nonce, 0):
            return False
        self._counts[nonce] = int(count, 16)
        self._counts.move_to_end(nonce)
        while len(self._counts) > _MAX_COUNTED:
            self._counts.popitem(last=False)
        return True

    @staticmethod
    def _matches(method: str, given: dict[str, str], body: bytes, realm: str, user: str, password: str) -> bool:
        def digest(data: bytes) -> str:
            return hashlib.md5(data, usedforsecurity=False).hexdigest()

        def joined(*words: str) -> bytes:
            return ":".join(words).encode("utf-8", "surrogateescape")

        qop = given.get("qop", "").lower()
        if qop not in ("", "auth", "auth-int"):
            return False
        asked = (method, given.get("uri", ""), digest(body)) if qop == "auth-int" else (method, given.get("uri", ""))
        between = (given["nonce"], given.get("nc", ""), given.get("cnonce", ""), qop) if qop else (given["nonce"],)
        expected = digest(joined(digest(joined(user, realm, password)), *between, digest(joined(*asked))))
        return hmac.compare_digest(expected.encode(), given.get("response", "").lower().encode("utf-8", "surrogateescape"))
