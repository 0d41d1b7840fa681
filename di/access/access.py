# SPDX-License-Identifier: GPL-2.0-or-later
"""Access control as gateways see it: who calls (`authenticate`), where one may listen (`check_bind`), and the audit log.

    no access file   everybody on loopback may do everything, as in SEMS; other addresses cannot be listened on
    access file      each request shows a token or a password; its roles decide, in the dispatcher, for every transport alike

The file is looked at again when it changes, so a token works or stops working within a second. A file that has vanished or cannot be read
any more opens nothing: the last good rules stay. A checked credential is remembered by a keyed hash; only a first password or a wrong
secret costs scrypt, which runs in a thread, two at a time. A good token always passes, whoever guesses or floods from its address.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import ipaddress
import logging
import os
import secrets
import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from di.access import file as access_file
from di.access import log as access_log
from di.access.options import AccessOptions, read_options
from di.access.rules import AccessRules, SourceGuard, Unauthenticated, parse_authorization
from di.kernel.errors import ConfigError, NoSuchModule, NotImplementedInDI
from di.kernel.registry import Caller, Method, Registry
from di.kernel.seldom import Seldom

log = logging.getLogger("cordboard.access")

_LOOK_AGAIN_NS = 1_000_000_000
_REMEMBERED = 4096
_KNOWN_SOURCES = 1024
_CHECKS_AT_ONCE = 2
_CHECKS_WAITING = 32
_CHECKS_PER_SOURCE = 4
_ANYONE = "*anyone"
"""Name of every caller while there is no access file; `*` because no credential can have it."""
_ANONYMOUS = "*anonymous"
"""Name of a caller that showed nothing, where the access file allows that."""
_OWN_RIGHTS = ("rpc", "permissions")
"""Everybody who is let in may ask what he may do."""
_NOBODY = "scrypt:15:8:1:" + "A" * 22 + "==:" + "A" * 43 + "="
"""Checked for unknown names, so that they take as long as known ones."""


@functools.lru_cache(4096)
def is_loopback(ip: str) -> bool:
    """Whether an address can be reached from this machine only."""
    try:
        address = ipaddress.ip_address(ip.partition("%")[0])
    except ValueError:
        return ip == "localhost"
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


class Access:
    """The access rules of a running server. Without arguments: no access file."""

    def __init__(
        self,
        path: Path | None = None,
        options: AccessOptions | None = None,
        registry: Registry | None = None,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Read the access file, if it exists. Raises ConfigError when it cannot be used."""
        options = options or AccessOptions()
        self._path, self._registry, self._now_ns = path, registry, now_ns
        self._guard = SourceGuard(options.lockout_failures, options.lockout_s, options.requests_per_s)
        self._rules: AccessRules | None = None
        self._seen: tuple[int, int, int] | None = None
        self._looked_ns = 0
        self._key = secrets.token_bytes(32)
        self._known: OrderedDict[bytes, str] = OrderedDict()
        self._sources: OrderedDict[str, None] = OrderedDict()
        self._checking: Counter[str] = Counter()
        self._slots: asyncio.Semaphore | None = None
        self._callers: dict[tuple[str, str, str], Caller] = {}
        self.exposed: list[str] = []
        """Gateways that can be reached from elsewhere: the dial control asks (`di.calls.toll`)."""
        self._denied = Seldom()
        self.failures = 0
        """Wrong credentials since the start, for metrics."""
        if path is not None and path.exists():
            self._seen = self._fingerprint()
            self._rules = access_file.read(path)

    @classmethod
    def load(cls, conf_dir: Path, environ: Mapping[str, str], registry: Registry) -> Access:
        """Read access.conf and the file it names, and write an audit line for each changing call.

        Raises ConfigError.
        """
        options, path = read_options(conf_dir, environ)
        access = cls(path, options, registry)
        registry.observers.append(access_log.audit)
        return access

    @property
    def restricted(self) -> bool:
        """Whether callers have to show who they are."""
        return self._rules is not None

    # --- who calls ---

    def authenticate(self, transport: str, source_ip: str, authorization: str | None) -> Caller | Awaitable[Caller]:
        """Say on whose behalf a request comes; `authorization` is the value of that HTTP header, empty when there is none.

        The answer is an awaitable when a credential has to be checked first. Raises Unauthenticated (also when awaited).
        """
        now_ns = self._now_ns()
        self._keep_up(now_ns)
        local = is_loopback(source_ip) or not source_ip
        rules = self._rules
        if rules is None:
            self._admit(source_ip, "", local, now_ns)
            if not local:
                raise Unauthenticated("there is no access file; make one with `cordboard token add`")
            return self._caller(_ANYONE, transport, source_ip)
        if not authorization:
            self._admit(source_ip, "", local, now_ns)
            if transport not in rules.anonymous:
                raise Unauthenticated("credentials are needed")
            return self._caller(_ANONYMOUS, transport, source_ip)
        digest = hashlib.blake2b(authorization.encode("utf-8", "surrogateescape"), key=self._key, digest_size=32).digest()
        name = self._known.get(digest)
        if name is not None and name in rules.credentials:
            self._admit(source_ip, name, local, now_ns)
            return self._caller(name, transport, source_ip)
        parsed = parse_authorization(authorization)
        if parsed is not None and self._is_good_token(*parsed):
            self._admit(source_ip, parsed[0], local, now_ns)
            return self._logged_in(parsed[0], digest, transport, source_ip)
        self._admit(source_ip, "", local, now_ns)
        return self._check_first(parsed, digest, transport, source_ip, now_ns)

    def _admit(self, source: str, name: str, local: bool, now_ns: int) -> None:
        """Count a request: each credential of an address for itself, so that no stranger there uses its requests up."""
        if not local and not self._guard.admit(f"{source} {name}" if name else source, now_ns):
            raise Unauthenticated("too many requests", 1)

    def _is_good_token(self, name: str, secret: str) -> bool:
        """Whether that is a token that can be checked at once, with the right secret. Nobody guesses it, so nothing limits the tries."""
        credential = self._rules.credentials.get(name) if self._rules else None
        return (
            credential is not None
            and access_file.is_quick(credential.hash)
            and access_file.verify_secret(secret, credential.hash)
        )

    def _check_first(
        self, parsed: tuple[str, str] | None, digest: bytes, transport: str, source: str, now_ns: int
    ) -> Awaitable[Caller]:
        if not self._is_token(parsed):
            self._refuse_locked(source, now_ns)
        if self._checking[source] >= _CHECKS_PER_SOURCE or self._checking.total() >= _CHECKS_WAITING:
            raise Unauthenticated("too many logins at once", 1)
        if parsed is None:
            self._failed("", transport, source)
            raise Unauthenticated("wrong credentials; right are `Bearer name.secret` and `Basic base64(name:secret)`")
        return self._check(*parsed, digest, transport, source)

    def _is_token(self, parsed: tuple[str, str] | None) -> bool:
        """Whether the name is that of a token with a slow hash, as they were made before: it is checked even from a locked address."""
        credential = self._rules.credentials.get(parsed[0]) if parsed is not None and self._rules else None
        return credential is not None and credential.kind == "token" and not access_file.is_quick(credential.hash)

    def _refuse_locked(self, source: str, now_ns: int) -> None:
        locked_s = self._guard.locked_s(source, now_ns)
        if locked_s:
            raise Unauthenticated("locked out after too many wrong credentials", locked_s)

    async def _check(self, name: str, secret: str, digest: bytes, transport: str, source: str) -> Caller:
        if self._slots is None:
            self._slots = asyncio.Semaphore(_CHECKS_AT_ONCE)
        self._checking[source] += 1
        try:
            async with self._slots:
                if not self._is_token((name, secret)):
                    self._refuse_locked(source, self._now_ns())
                credential = self._rules.credentials.get(name) if self._rules else None
                hashed = credential.hash if credential and not access_file.is_quick(credential.hash) else _NOBODY
                good = await asyncio.to_thread(access_file.verify_secret, secret, hashed) and credential is not None
        finally:
            self._checking[source] -= 1
            if not self._checking[source]:
                del self._checking[source]
        now = self._rules.credentials.get(name) if self._rules else None
        if not good or now is None or now != credential:  # it may have been withdrawn meanwhile
            self._refuse_locked(source, self._now_ns())
            self._failed(name, transport, source)
            raise Unauthenticated("wrong credentials")
        return self._logged_in(name, digest, transport, source)

    def _logged_in(self, name: str, digest: bytes, transport: str, source: str) -> Caller:
        self._guard.succeeded(source)
        self._known[digest] = name
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        self._sources[source] = None
        self._sources.move_to_end(source)
        if len(self._sources) > _KNOWN_SOURCES:
            self._sources.popitem(last=False)
        return self._caller(name, transport, source)

    def knows(self, source_ip: str) -> bool:
        """Whether somebody has logged in from there (while nobody has to: everybody). Gateways keep places for these addresses."""
        return self._rules is None or source_ip in self._sources

    def _failed(self, name: str, transport: str, source: str) -> None:
        self.failures += 1
        locked = self._guard.failed(source, self._now_ns())
        log.warning(
            "login failed source=%s transport=%s name=%s%s", source, transport, name or "-", " (locked out)" if locked else ""
        )

    def _caller(self, name: str, transport: str, source: str) -> Caller:
        """The caller. Each decision asks the rules of that moment, so that a connection does not outlive its credential.

        So one who has called before from there is the same one.
        """
        key = name, transport, source
        caller = self._callers.get(key)
        if caller is None:
            if len(self._callers) >= _KNOWN_SOURCES:
                self._callers.clear()
            caller = self._callers[key] = self._new_caller(name, transport, source)
        return caller

    def _new_caller(self, name: str, transport: str, source: str) -> Caller:
        def allows(module: str, method: str) -> bool:
            self._keep_up(self._now_ns())
            if self._allows(name, transport, module, method):
                return True
            more = self._denied.line(self._now_ns())
            if more is not None:
                call = f"{module}.{method}"
                log.warning("denied caller=%s transport=%s source=%s call=%.200r%s", name, transport, source, call, more)
            return False

        def would_allow(module: str, method: str) -> bool:
            self._keep_up(self._now_ns())
            return self._allows(name, transport, module, method)

        return Caller(name, transport, source, allows, would_allow)

    def _allows(self, name: str, transport: str, module: str, method: str) -> bool:
        """Whether a function may be called. One that does not exist counts as a changing one; calling it fails in its own way."""
        rules = self._rules
        if rules is None:
            return name == _ANYONE
        if name == _ANONYMOUS:
            roles = rules.anonymous.get(transport, ())
        else:
            roles = rules.credentials[name].roles if name in rules.credentials else ()
        if (module, method) == _OWN_RIGHTS:
            return bool(roles)
        found = self._find(module, method)
        changes, dangerous = (found.changes, found.dangerous) if found else (method != "_list", False)
        return rules.allows(roles, module, method, changes, dangerous)

    def _find(self, module: str, method: str) -> Method | None:
        try:
            return self._registry.find(module, method) if self._registry else None
        except (NoSuchModule, NotImplementedInDI):
            return None

    # --- the file ---

    def _fingerprint(self) -> tuple[int, int, int] | None:
        try:
            status = os.stat(self._path) if self._path else None
        except OSError:
            return None
        return (status.st_ino, status.st_mtime_ns, status.st_size) if status else None

    def read_again(self) -> None:
        """Look at the file now, not only when a second has passed."""
        self._looked_ns = self._now_ns() - _LOOK_AGAIN_NS
        self._keep_up(self._now_ns())

    def _keep_up(self, now_ns: int) -> None:
        """Read the file again when it changed; looks once a second."""
        if now_ns - self._looked_ns < _LOOK_AGAIN_NS:
            return
        self._looked_ns = now_ns
        seen = self._fingerprint()
        if seen == self._seen:
            return
        self._seen = seen
        if self._path is None or seen is None:
            log.error("access file %s is gone; the rules read from it stay until the server starts again", self._path)
            return
        try:
            self._rules = access_file.read(self._path)
        except ConfigError as error:
            log.error("%s; the rules read before stay", error)
            if self._rules is None:
                self._rules = AccessRules()  # somebody wants restrictions: until they can be read, nobody gets in
        else:
            log.info("access file %s read: %d credentials", self._path, len(self._rules.credentials))
        self._known.clear()

    # --- where to listen ---

    def check_bind(self, ip: str, key: str, file: str, line: int, *, transport: str = "") -> None:
        """Raise ConfigError when an address must not be listened on: one that others can reach, without an access file.

        `ip` empty is every address. A `transport` that cannot carry credentials needs an `anonymous` line for itself.
        """
        if is_loopback(ip):
            return
        shown = ip or "every address"
        if self._rules is None:
            hint = f"{shown} can be reached from elsewhere and nobody would have to log in; use 127.0.0.1, or run"
            hint += " `cordboard token add` first"
            raise ConfigError(file, line, key, hint)
        if transport and transport not in self._rules.anonymous:
            hint = f"{shown} can be reached from elsewhere and {transport} cannot carry credentials; use 127.0.0.1, or put a line"
            raise ConfigError(
                file, line, key, f"{hint} `anonymous {transport} ROLE` into {self._path} to say what strangers may do"
            )
        self.exposed.append(f"{Path(file).stem} at {shown}")
