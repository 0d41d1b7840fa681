# SPDX-License-Identifier: GPL-2.0-or-later
"""What every RPC gateway does alike: say on whose behalf a call comes, set TLS up, pick the address, judge a browser's Origin."""

from __future__ import annotations

import ipaddress
import logging
import re
import ssl
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from inspect import isawaitable
from typing import TYPE_CHECKING, Protocol

from di.access.rules import Unauthenticated
from di.kernel.addresses import address_here, bind_hint, probe
from di.kernel.errors import ConfigError
from di.kernel.options import where
from di.kernel.registry import INTERNAL, Caller
from di.kernel.value import LongLong, OwnArray, Value
from interfaces.http1 import BadRequest, HttpRequest
from interfaces.http_server import plain_answer
from interfaces.large import Text

if TYPE_CHECKING:
    from typing_extensions import TypeIs  # for the type checker alone; Python has it from 3.13 on

    from di.server.services import Services

log = logging.getLogger(__name__)

_PLAIN = frozenset((type(None), bool, int, float, str, bytes, list, tuple, dict, LongLong, OwnArray))


class AccessControl(Protocol):
    """The part of `di.access` that a gateway needs."""

    @property
    def restricted(self) -> bool:
        """Whether callers have to show who they are."""

    def knows(self, source_ip: str) -> bool:
        """Whether somebody has logged in from there, or nobody has to."""

    def authenticate(self, transport: str, source_ip: str, authorization: str) -> Caller | Awaitable[Caller]:
        """Say who calls. Raises Unauthenticated when the credentials are wrong, or missing and needed."""

    def check_bind(self, ip: str, key: str, file: str, line: int) -> None:
        """Raise ConfigError when this address may not be bound without authentication."""


def waits(answer: Value | Awaitable[Value]) -> TypeIs[Awaitable[Value]]:
    """Whether a call's answer must be awaited; quick for plain values, which nearly all are."""
    return type(answer) not in _PLAIN and isawaitable(answer)


async def settle(answer: Value | Awaitable[Value]) -> Value:
    """The answer itself, after waiting where needed."""
    return await answer if waits(answer) else answer


def names(text: str) -> tuple[str, ...]:
    """A `;`-separated list in a configuration value."""
    return tuple(part.strip() for part in text.split(";") if part.strip())


def bind_address(text: str) -> str:
    """An address to listen on: as given, loopback when empty, an interface's IPv4 when a name. Raises ValueError.

    SEMS takes every interface when the key is empty; cordboard stays on loopback until an address is named (docs/differences.md).
    """
    if not text:
        return "127.0.0.1"
    address = address_here(text)
    if address is None:
        raise ValueError("right is an IP address or the name of a network interface that has one")
    return address


def tls_context(certificate: str, key: str, source: tuple[str, int]) -> ssl.SSLContext | None:
    """A server context, TLS 1.2 or later; None when no certificate is configured. Raises ConfigError."""
    if not certificate and not key:
        return None
    file, line = source
    if not certificate:
        raise ConfigError(
            file, line, "tls_certificate", "is missing while tls_key is set; name the PEM file with the certificate chain"
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key or None, lambda: "")  # one with a password must not ask for it at a terminal
    except (OSError, ssl.SSLError) as error:
        hint = f"certificate {certificate!r} or key {key or certificate!r} cannot be used ({error}); name two matching PEM files"
        raise ConfigError(file, line, "tls_certificate", hint) from error
    return context


@dataclass(frozen=True, slots=True)
class PortOption:
    """Where a gateway listens, and the fields of its options that say so."""

    ip: str
    port: int
    ip_field: str
    port_field: str
    udp: bool = False


async def listen(services: Services, options: object, at: PortOption, begin: Callable[[], Awaitable[object]]) -> None:
    """Open a gateway's port by `begin`; where the configuration is only tried out, see whether that could be done.

    Raises ConfigError, for address and port each with its own key.
    """
    try:
        if services.trial:
            probe(at.ip, at.port if services.try_ports else 0, udp=at.udp)
        else:
            await begin()
    except OSError as error:
        foreign, hint = bind_hint(at.ip, at.port, error)
        field = at.ip_field if foreign else at.port_field
        raise ConfigError(*where(options, field), field, hint) from error


def origin_check(allowed: Iterable[str]) -> Callable[[str], bool]:
    """A test whether a browser's Origin header is listed in `allowed_origins`."""
    listed = frozenset(origin.rstrip("/").lower() for origin in allowed)
    return lambda origin: "*" in listed or origin.lower() in listed


def named_by_dns(host: str) -> bool:
    """Whether a Host header names a machine by a name that somebody else's DNS may lead here (not an address, not localhost)."""
    name = host.rpartition(":")[0] if re.search(r":[0-9]*$", host) else host
    name = name.strip("[]").rstrip(".").lower()
    if name in ("", "localhost") or name.endswith(".localhost"):
        return False
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return True
    return False


class ForeignOrigin(Exception):
    """A browser sends this for a page that is not listed in `allowed_origins`."""


class Authenticator:
    """Who comes in by HTTP: the page a browser acts for is judged first, then the credentials.

    Every HTTP way in asks here, so that no gateway is laxer than another. Without an Origin a request is no page's, but for a GET of a
    page of the same origin, which `admit_page` judges by its Host.
    """

    def __init__(self, access: AccessControl, origin_allowed: Callable[[str], bool]) -> None:
        self.access, self.origin_allowed = access, origin_allowed

    def admit(self, transport: str, origin: str, host: str, source: str, authorization: str) -> Caller | Awaitable[Caller]:
        """Say who calls. `origin`, `host`: the headers, "" without one. Raises ForeignOrigin, Unauthenticated (the awaitable too).

        A page may call when it came from this very port or is listed: one that another program of this machine serves, at another
        port, is foreign. Our own may be reached by any name if callers have to log in; else a foreign page that has its name resolved
        to this address could do everything.
        """
        if origin and not self.origin_allowed(origin):
            ours = same_origin(origin, host) and (self.access.restricted or not named_by_dns(host))
            if not ours:
                raise ForeignOrigin(origin)
        return self.access.authenticate(transport, source, authorization)

    def admit_page(self, transport: str, origin: str, host: str, source: str, authorization: str) -> Caller | Awaitable[Caller]:
        """The same for a GET, which a browser sends without Origin to where its page came from.

        Where nobody has to log in, a name from DNS in the Host header would let any page read along. Raises as `admit`.
        """
        if not self.access.restricted and named_by_dns(host) and not self._listed_host(host):
            raise ForeignOrigin(host)
        return self.admit(transport, origin, host, source, authorization)

    def _listed_host(self, host: str) -> bool:
        return any(self.origin_allowed(f"{scheme}://{host}") for scheme in ("http", "https"))

    def answer(
        self, transport: str, request: HttpRequest, run: Callable[[bytes, Caller], bytes | Awaitable[Text]]
    ) -> bytes | Awaitable[Text]:
        """The answer to one request: `run` on its body once its sender is known, at once when nothing waits.

        A sender without valid credentials gets the refusal. Raises BadRequest for a page of a foreign origin.
        """
        try:
            header = request.header
            caller = self.admit(transport, header(b"origin"), header(b"host"), request.source, header(b"authorization"))
        except ForeignOrigin:
            raise BadRequest(403, "Forbidden") from None
        except Unauthenticated as error:
            return refused(error)
        if isinstance(caller, Caller):
            request.admitted = True
            return run(request.body, caller)
        return _after_login(request, caller, run)


async def _after_login(
    request: HttpRequest, login: Awaitable[Caller], run: Callable[[bytes, Caller], bytes | Awaitable[Text]]
) -> Text:
    try:
        caller = await login
    except Unauthenticated as error:
        return refused(error)
    request.admitted = True
    answer = run(request.body, caller)
    return answer if isinstance(answer, bytes) else await answer


def same_origin(origin: str, host: str) -> bool:
    """Whether a browser's Origin names the very server that its Host header does, port included."""
    scheme, separator, authority = origin.lower().partition("://")
    return bool(separator) and scheme in ("http", "https") and bool(authority) and authority == host.strip().lower()


def refused(error: Unauthenticated) -> bytes:
    """The HTTP answer to a caller without valid credentials: 429 while he is locked out, else 401."""
    if error.retry_after_s:
        return plain_answer(429, "Too Many Requests", f"Retry-After: {error.retry_after_s}\r\n")
    return plain_answer(401, "Unauthorized", CHALLENGE)


CHALLENGE = 'WWW-Authenticate: Basic realm="cordboard", charset="UTF-8"\r\n'


class OpenAccess:
    """Access without any rule, as SEMS has it; only for loopback."""

    restricted = False

    def knows(self, source_ip: str) -> bool:
        """Nobody has to log in."""
        return True

    def authenticate(self, transport: str, source_ip: str, authorization: str) -> Caller:
        """Everybody may do everything."""
        return Caller(INTERNAL.name, transport, source_ip)

    def check_bind(self, ip: str, key: str, file: str, line: int) -> None:
        """Raise ConfigError for an address that others can reach."""
        if not ipaddress.ip_address(ip).is_loopback:
            raise ConfigError(
                file, line, key, f"{ip} can be reached from elsewhere; set up access tokens first, or use 127.0.0.1"
            )
