# SPDX-License-Identifier: GPL-2.0-or-later
"""Who may call what. Pure: roles, credentials, lock-out and rate limit are values; `access` adds file, thread and log.

A role is a set of patterns over `module.method`:

    monitoring.get     webconference.*     *     everything but dangerous methods (files, code, shutdown, other hosts, dial-out …)
    read:core.*        read:*                    only methods that change nothing
    dangerous:dsm.*    dangerous:*               dangerous methods too, which no other wildcard includes
    dsm.loadConfig                               a method's full name, which may be a dangerous one

The decision is asked by the dispatcher (`Registry.invoke`), so every transport, multicall and batch decide alike.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")
_PATTERN = re.compile(r"(?:(read|dangerous):)?(\*|[A-Za-z0-9_]+\.(?:\*|[A-Za-z0-9_.]+))")


class Unauthenticated(Exception):
    """A request may not be served at all: no or wrong credentials (status 401), or too many tries (429, with `retry_after_s`)."""

    def __init__(self, reason: str, retry_after_s: int = 0) -> None:
        super().__init__(reason)
        self.reason, self.retry_after_s = reason, retry_after_s

    @property
    def status(self) -> int:
        """The HTTP status that says so."""
        return 429 if self.retry_after_s else 401


@dataclass(frozen=True, slots=True)
class Role:
    """A named set of patterns, split by kind: full names, modules with a wildcard, and whether all modules."""

    name: str
    patterns: tuple[str, ...]
    names: frozenset[str] = frozenset()
    modules: frozenset[str] = frozenset()
    """Module names for the three kinds of wildcard, each written `kind:module`; `kind:*` is every module."""

    @classmethod
    def of(cls, name: str, patterns: Iterable[str]) -> Role:
        """Read patterns. Raises ValueError naming the bad one."""
        patterns = tuple(patterns)
        names: set[str] = set()
        modules: set[str] = set()
        for pattern in patterns:
            match = _PATTERN.fullmatch(pattern)
            if match is None:
                raise ValueError(f"{pattern!r:.80} is no pattern; right are module.method, module.*, *, read:… and dangerous:…")
            kind, target = match[1] or "", match[2]
            if target == "*" or target.endswith(".*"):
                modules.add(f"{kind}:{target.removesuffix('.*')}")
            else:
                names.add(f"{kind}:{target}")
        return cls(name, patterns, frozenset(names), frozenset(modules))

    def allows(self, module: str, method: str, changes: bool, dangerous: bool) -> bool:
        """Whether the role includes a method of that kind."""
        full = f":{module}.{method}"
        if full in self.names:
            return True
        kinds = ["dangerous"] if dangerous else ["", "dangerous"]
        if not changes and not dangerous:
            kinds.append("read")
        return any(
            kind + full in self.names or f"{kind}:{module}" in self.modules or f"{kind}:*" in self.modules for kind in kinds
        )


BUILT_IN_ROLES = {
    "reader": Role.of("reader", ["read:*"]),
    "attendant": Role.of("attendant", ["read:*", "rooms.*", "webconference.*", "core.hangup"]),
    "operator": Role.of("operator", ["*"]),
    "admin": Role.of("admin", ["*", "dangerous:*"]),
}


@dataclass(frozen=True, slots=True)
class StoredCredential:
    """One line of the access file: a token or a password, as a scrypt hash, and the roles that it gives."""

    name: str
    kind: str
    roles: tuple[str, ...]
    hash: str


@dataclass(frozen=True, slots=True)
class AccessRules:
    """What an access file says. `anonymous`: transport → roles of callers that show nothing."""

    roles: dict[str, Role] = field(default_factory=lambda: dict(BUILT_IN_ROLES))
    credentials: dict[str, StoredCredential] = field(default_factory=dict)
    anonymous: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def allows(self, roles: Iterable[str], module: str, method: str, changes: bool, dangerous: bool) -> bool:
        """Whether one of the roles includes the method."""
        return any(role in self.roles and self.roles[role].allows(module, method, changes, dangerous) for role in roles)


def parse_authorization(header: str) -> tuple[str, str] | None:
    """Name and secret of an Authorization header: `Basic base64(name:secret)` or `Bearer name.secret`.

    None when it is neither.
    """
    scheme, _, rest = header.strip().partition(" ")
    rest = rest.strip()
    if scheme.lower() == "bearer":
        name, separator, secret = rest.partition(".")
    elif scheme.lower() == "basic":
        try:
            name, separator, secret = base64.b64decode(rest, validate=True).decode("utf-8").partition(":")
        except (binascii.Error, ValueError):
            return None
    else:
        return None
    return (name, secret) if separator and NAME.fullmatch(name) and 0 < len(secret) <= 256 else None


@dataclass(slots=True)
class _Source:
    failures: int = 0
    last_failure_ns: int = 0
    locked_until_ns: int = 0
    locks: int = 0
    tokens: float = 0.0
    filled_ns: int = 0


class SourceGuard:
    """Lock-out and rate limit per source address. Keeps a bounded number of sources, the busiest last."""

    def __init__(self, failures: int = 5, lock_s: int = 60, rate_per_s: int = 0, capacity: int = 10000) -> None:
        """`failures` in a row lock a source out for `lock_s`, twice as long each further time up to an hour.

        `rate_per_s` 0: no limit.
        """
        self._failures, self._lock_ns, self._rate, self._capacity = failures, lock_s * 10**9, rate_per_s, capacity
        self._sources: OrderedDict[str, _Source] = OrderedDict()

    def _source(self, source: str) -> _Source:
        history = self._sources.get(source)
        if history is None:
            history = self._sources[source] = _Source(tokens=2.0 * self._rate)
            if len(self._sources) > self._capacity:
                self._sources.popitem(last=False)
        self._sources.move_to_end(source)
        return history

    def locked_s(self, source: str, now_ns: int) -> int:
        """For how many more seconds a source is locked out; 0 when it is not."""
        history = self._sources.get(source)
        return 0 if history is None else max(0, -((now_ns - history.locked_until_ns) // 10**9))

    def failed(self, source: str, now_ns: int) -> bool:
        """Note a failed try; True when that locks the source out."""
        history = self._source(source)
        if now_ns - history.last_failure_ns > max(10 * self._lock_ns, 600 * 10**9):
            history.failures = history.locks = 0
        history.failures += 1
        history.last_failure_ns = now_ns
        if history.failures < self._failures:
            return False
        history.failures = 0
        history.locked_until_ns = now_ns + min(self._lock_ns << min(history.locks, 12), 3600 * 10**9)
        history.locks += 1
        return True

    def succeeded(self, source: str) -> None:
        """Note a good try: the count of failures starts again."""
        if source in self._sources:
            self._sources[source].failures = 0

    def admit(self, source: str, now_ns: int) -> bool:
        """Count one request against the rate limit; False when it is exceeded. Bursts of two seconds' worth pass."""
        if not self._rate:
            return True
        history = self._source(source)
        history.tokens = min(2.0 * self._rate, history.tokens + (now_ns - history.filled_ns) * self._rate / 10**9)
        history.filled_ns = now_ns
        if history.tokens < 1.0:
            return False
        history.tokens -= 1.0
        return True
