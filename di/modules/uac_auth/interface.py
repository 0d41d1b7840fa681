# SPDX-License-Identifier: GPL-2.0-or-later
"""The functions of `uac_auth`, and uac_auth.conf."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from di.kernel.errors import TypeMismatch
from di.kernel.options import option
from di.kernel.ports import Clock
from di.kernel.registry import RawArgs, di_method
from di.kernel.value import Value
from di.modules.uac_auth.check import CredentialCheck

if TYPE_CHECKING:
    from di.server.plugin import Closer
    from di.server.services import Services


def _secret(text: str) -> str:
    if len(text) < 5:
        raise ValueError("right are five characters and more")
    return text


@dataclass(frozen=True)
class Options:
    """uac_auth.conf."""

    server_secret: str = option(
        "", help="Makes nonces; five characters and more. Empty: another one at each start.", parse=_secret, secret=True
    )


class UacAuth:
    """Requests are structs here: `method`, `authorization` (the header's value) and `body`."""

    def __init__(self, check: CredentialCheck, clock: Clock) -> None:
        self._check, self._clock = check, clock

    @di_method("getHandler", changes=False)
    def get_handler(self, *arguments: Value) -> None:
        """Return nothing: calls answer their challenges by themselves, and no handler can be handed out."""

    @di_method("checkAuth")
    def check_auth(self, arguments: RawArgs) -> list[Value]:
        """Check request, realm, user, password: [200, "OK", ""], or [401, "Unauthorized", the challenge as a header line]."""
        if not isinstance(arguments, list) or len(arguments) < 4 or not isinstance(arguments[0], dict):
            raise TypeMismatch("checkAuth needs a request (a struct of method, authorization, body), realm, user and password")
        request, texts = arguments[0], arguments[1:4]
        method, authorization, body = (request.get(name, "") for name in ("method", "authorization", "body"))
        realm, user, password = texts
        if not isinstance(realm, str) or not isinstance(user, str) or not isinstance(password, str):
            raise TypeMismatch("checkAuth: realm, user and password must be strings")
        if not isinstance(method, str) or not isinstance(authorization, str) or not isinstance(body, (str, bytes)):
            raise TypeMismatch("checkAuth: method, authorization and body of the request must be strings")
        data = body.encode("utf-8", "surrogateescape") if isinstance(body, str) else body
        now_s = int(self._clock.epoch_s())
        if self._check.right(method, authorization, data, realm, user, password, now_s):
            return [200, "OK", ""]
        shown = realm.replace("\\", "\\\\").replace('"', '\\"').replace("\r", "").replace("\n", "")
        challenge = f'WWW-Authenticate: Digest realm="{shown}", qop="auth,auth-int", nonce="{self._check.nonce(now_s)}"\r\n'
        return [401, "Unauthorized", challenge]


def start(services: Services, options: Options) -> Closer:
    """Register the functions."""
    secret = options.server_secret.encode() or services.clock.random.getrandbits(256).to_bytes(32, "big")
    services.registry.register("uac_auth", UacAuth(CredentialCheck(secret), services.clock))
    return lambda: services.registry.unregister("uac_auth")
