# SPDX-License-Identifier: GPL-2.0-or-later
"""What becomes of a REGISTER (RFC 3261 §10.3): who may, what is bound, what is answered. Pure but for the book.

trusted peer ─► binds whomever it names · anybody else ─► 401, credentials of the user that he registers, or 403
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from di.calls.outside import OutsideReply
from di.kernel.errors import Refused
from di.kernel.seldom import Seldom
from di.modules.uac_auth.check import CredentialCheck
from di.sip.auth_params import parameters
from di.sip.headers import parse_uri, uri_of
from di.sip.outside_records import OutsideReceived
from di.stores.location.book import LocationBook, UserBinding
from di.stores.location.contacts import all_of, aor_of, read

log = logging.getLogger(__name__)


class Registrar:
    """`users`: user → password, of those who may register from anywhere."""

    def __init__(
        self, book: LocationBook, users: Mapping[str, str], realm: str, check: CredentialCheck, any_domain: bool
    ) -> None:
        self.book = book
        self._users, self._realm, self._check = users, realm, check
        self._any_domain = any_domain
        self._told = Seldom()

    def register(self, request: OutsideReceived, trusted: bool, now_s: float) -> OutsideReply:
        """Answer a REGISTER. A refusal stands in the log, once, with who and why."""
        to = uri_of(request.to_header)
        aor = aor_of(to, self._any_domain)
        try:
            if not aor:
                raise Refused(404, "Not Found")
            self._admit(request, parse_uri(to).user, trusted, int(now_s))
            order = read(request.headers, request.call_id, (request.source_ip, request.source_port))
            bindings = self.book.register(aor, order, now_s)
        except ValueError as error:
            return self._refused(request, Refused(400, "Bad Request"), str(error), now_s)
        except Refused as refused:
            nobody_may = refused.code == 403 and not self._users
            return self._refused(
                request, refused, "it is none of trusted_peers, and there is no users_file" if nobody_may else "", now_s
            )
        lines = tuple(f"Contact: <{one.contact}>;expires={max(1, round(one.expires_s - now_s))}" for one in bindings)
        return OutsideReply(200, "OK", lines)

    def _admit(self, request: OutsideReceived, user: str, trusted: bool, now_s: int) -> None:
        """Whether this one may register that user. Raises Refused: 401 with a challenge, or 403."""
        if trusted:
            return
        if not self._users:
            raise Refused(403, "Forbidden")
        for given in all_of(request.headers, "Authorization"):
            fields = parameters(given.strip().partition(" ")[2])
            name = fields.get("username", "")
            password = self._users.get(name)
            if fields.get("realm") != self._realm or password is None:
                continue
            if self._check.right("REGISTER", given, request.body, self._realm, name, password, now_s):
                if name != user:
                    raise Refused(403, "Forbidden")
                return
        challenge = (
            f'WWW-Authenticate: Digest realm="{self._realm}", nonce="{self._check.nonce(now_s)}", algorithm=MD5, qop="auth"'
        )
        raise Refused(401, "Unauthorized", (challenge,))

    def _refused(self, request: OutsideReceived, refused: Refused, why: str, now_s: float) -> OutsideReply:
        more = self._told.line(round(now_s * 1e9)) if refused.code != 401 else None  # a challenge is no news
        if more is not None:
            where = f"{request.source_ip}:{request.source_port}"
            log.warning(
                "REGISTER of %s from %s: %s%s", uri_of(request.to_header), where, refused, f": {why}{more}" if why else more
            )
        return OutsideReply(refused.code, refused.reason, refused.headers)

    def find(self, uri: str, now_s: float) -> UserBinding:
        """Where a request to a URI goes. Raises Refused: 404."""
        found = self.book.find(aor_of(uri, self._any_domain), now_s)
        if not found:
            raise Refused(404, "Not Found")
        return found[0]


def hop(binding: UserBinding) -> str:
    """Where its REGISTER came from, as a next hop; empty for a transport that we cannot call by."""
    if binding.transport not in ("udp", "tcp", "tls"):
        return ""
    host = f"[{binding.source_ip}]" if ":" in binding.source_ip else binding.source_ip
    return f"{host}:{binding.source_port}/{binding.transport}"
