# SPDX-License-Identifier: GPL-2.0-or-later
"""The registration cache: REGISTERs that passed, so that calls to the contacts which registrars know come back to the phones. Pure.

    phone ─ REGISTER, Contact: its own ─► cache ─ Contact: <alias>@ours, expires ≥ min_reg_expires ─► registrar
          ◄ 200, its own contact, expires ≤ max_ua_expires ─ cache ◄─ 200 ─
    phone registers again, the registrar's binding lasts well beyond ─► answered here
    call to <alias>@ours ─► the phone's own contact, sent to where its REGISTER came from

Time comes in as whole seconds that only grow. Everything is in memory: after a restart a phone is known again with its next REGISTER.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from di.apps.api import parse_uri, uri_of
from di.apps.sbc.contacts import contact_values, expires_of, with_expires

DEFAULT_EXPIRES_S = 3600
"""What a REGISTER without Expires means to us; the registrar decides (RFC 3261 §10.2.1.1)."""
_MARGIN_S = 30
"""A binding of the registrar's is renewed when it would outlive the phone's by less."""
MOST_BINDINGS = 200_000
"""More are refused: a flood of registrations must not fill the memory."""


@dataclass(frozen=True, slots=True)
class CachedContact:
    """One contact of one address of record. `transport`: tcp, tls, empty for UDP.

    `until_s`: what the phone was told, `registrar_until_s`: what the registrar said.
    """

    aor: str
    alias: str
    contact: str
    source_ip: str
    source_port: int
    transport: str = ""
    until_s: int = 0
    registrar_until_s: int = 0

    @property
    def source(self) -> str:
        """Where requests to it are sent, as next_hop has it: host:port, by TCP and TLS with that behind a slash."""
        host = f"[{self.source_ip}]" if ":" in self.source_ip else self.source_ip
        return f"{host}:{self.source_port}{f'/{self.transport}' if self.transport else ''}"


@dataclass(frozen=True, slots=True)
class RegistrationLimits:
    """`least_s`: what the registrar is asked for at least; `most_s`: what a phone is told at most. 0: no limit."""

    least_s: int = 0
    most_s: int = 0


@dataclass(frozen=True, slots=True)
class PassingRegister:
    """What becomes of a REGISTER. `answer`: the contacts that it is answered with here; None: it goes on with `contacts`."""

    aor: str
    contacts: tuple[str, ...] = ()
    bindings: tuple[CachedContact, ...] = ()
    answer: tuple[str, ...] | None = None
    removes_all: bool = False


@dataclass
class RegistrationCache:
    """Bindings by alias, and the aliases of each address of record. `secret`: without it nobody works out a phone's alias."""

    secret: bytes = field(repr=False)
    bindings: dict[str, CachedContact] = field(default_factory=dict)
    of_aor: dict[str, list[str]] = field(default_factory=dict)
    of_place: dict[tuple[str, int], str] = field(default_factory=dict)
    """Source address → the alias that was registered from there last."""
    next_look_s: int = 0

    # ------------------------------------------------------------------------------------------------------------ REGISTER
    def register(
        self,
        headers: Sequence[tuple[str, str]],
        source: tuple[str, int, str],
        place: str,
        limits: RegistrationLimits,
        now_s: int,
    ) -> PassingRegister:
        """Look at a REGISTER that came from `source` (address, port, transport). `place`: our host and port, for the contacts that go on."""
        pairs = list(headers)
        aor = aor_of(pairs)
        common = _expires_header(pairs)
        values = contact_values(pairs)
        if "*" in (value.strip() for value in values):
            return PassingRegister(aor, ("*",), removes_all=True)
        found, contacts, answers = [], [], []
        for value in values:
            said = expires_of(value)
            wanted_s = said if said is not None else common
            binding = self._binding(aor, value, source)
            found.append(
                replace(binding, until_s=now_s + wanted_s, registrar_until_s=0 if not wanted_s else binding.registrar_until_s)
            )
            asked_s = max(wanted_s, limits.least_s) if wanted_s else 0
            contacts.append(with_expires(f"<sip:{binding.alias}@{place}>{_kept_parameters(value)}", asked_s))
            answers.append(self._answered_here(binding, value, wanted_s, limits, now_s))
        if answers and all(answers):
            for binding, told in zip(found, answers, strict=True):
                self._keep(replace(binding, until_s=now_s + (expires_of(told) or 0)))
            return PassingRegister(aor, answer=tuple(answers))
        return PassingRegister(aor, tuple(contacts), tuple(found))

    def _binding(self, aor: str, value: str, source: tuple[str, int, str]) -> CachedContact:
        """The one that is there for a contact, from where it now comes, or a new one."""
        uri = uri_of(value)
        alias = alias_of(self.secret, aor, uri)
        known = self.bindings.get(alias)
        return replace(
            known or CachedContact(aor, alias, uri, *source), source_ip=source[0], source_port=source[1], transport=source[2]
        )

    def _answered_here(self, binding: CachedContact, value: str, wanted_s: int, limits: RegistrationLimits, now_s: int) -> str:
        """The phone's Contact in our answer, when the registrar need not be asked; empty when it must be."""
        known = self.bindings.get(binding.alias)
        told_s = _capped(wanted_s, limits)
        if not limits.most_s or not wanted_s or known is None or known.until_s <= now_s:
            return ""
        lasts = known.registrar_until_s - now_s >= told_s + _MARGIN_S
        same_place = (known.source_ip, known.source_port) == (binding.source_ip, binding.source_port)
        return with_expires(value, told_s) if lasts and same_place else ""

    def replied(
        self, asked: PassingRegister, code: int, headers: Sequence[tuple[str, str]], limits: RegistrationLimits, now_s: int
    ) -> tuple[str, ...]:
        """The registrar's final reply: what it says is kept. Returns the contacts that the phone is told, as it wrote them."""
        if not 200 <= code < 300:
            return ()
        if asked.removes_all:
            for alias in list(self.of_aor.get(asked.aor, ())):
                self._drop(alias)
        pairs = list(headers)
        granted = {parse_uri(uri_of(value)).user: expires_of(value) for value in contact_values(pairs)}
        common = next((_number(value) for name, value in pairs if name.lower() == "expires"), None)
        told = []
        for binding in asked.bindings:
            if binding.until_s <= now_s or binding.alias not in granted:
                self._drop(binding.alias)
                continue
            lasts_s = granted[binding.alias]
            lasts_s = lasts_s if lasts_s is not None else common if common is not None else DEFAULT_EXPIRES_S
            told_s = _capped(min(lasts_s, binding.until_s - now_s), limits)
            self._keep(replace(binding, until_s=now_s + told_s, registrar_until_s=now_s + lasts_s))
            told.append(with_expires(f"<{binding.contact}>", told_s))
        others = [
            alias
            for alias in self.of_aor.get(asked.aor, ())
            if alias in granted and alias not in {one.alias for one in asked.bindings}
        ]
        for alias in others:
            known = self.bindings[alias]
            if known.until_s > now_s:
                told.append(with_expires(f"<{known.contact}>", known.until_s - now_s))
        return tuple(told)

    # ------------------------------------------------------------------------------------------------------------- look-up
    def find(self, user: str, now_s: int) -> CachedContact | None:
        """The phone that the user part of a Request-URI stands for; None: for none, or for one that is gone."""
        known = self.bindings.get(user)
        if known is not None and known.until_s <= now_s:
            self._drop(user)
            return None
        return known

    def of_source(self, ip: str, port: int, now_s: int) -> CachedContact | None:
        """A phone that registered from an address ($Ua, $UA: who calls)."""
        return self.find(self.of_place.get((ip, port), ""), now_s)

    def forget_gone(self, now_s: int) -> int:
        """Drop what has run out. Returns how many."""
        gone = [alias for alias, binding in self.bindings.items() if binding.until_s <= now_s]
        for alias in gone:
            self._drop(alias)
        return len(gone)

    def forget_gone_sometimes(self, now_s: int) -> None:
        """Drop what has run out, once in a while."""
        if now_s >= self.next_look_s:
            self.next_look_s = now_s + _MARGIN_S
            self.forget_gone(now_s)

    def has_room(self, headers: Sequence[tuple[str, str]], now_s: int) -> bool:
        """Whether what a REGISTER brings can be kept: a phone whose alias is forgotten would be told 200, and no call would reach it."""
        if len(self.bindings) < MOST_BINDINGS:
            return True
        pairs = list(headers)
        aor, contacts = aor_of(pairs), [value.strip() for value in contact_values(pairs)]
        known = all(value == "*" or alias_of(self.secret, aor, uri_of(value)) in self.bindings for value in contacts)
        return known or (self.forget_gone(now_s) > 0 and len(self.bindings) < MOST_BINDINGS)

    def _keep(self, binding: CachedContact) -> None:
        before = self.bindings.get(binding.alias)
        if before is not None:
            self._leave_place(before)
        self.bindings[binding.alias] = binding
        self.of_place[_place(binding)] = binding.alias
        aliases = self.of_aor.setdefault(binding.aor, [])
        if binding.alias not in aliases:
            aliases.append(binding.alias)

    def _leave_place(self, binding: CachedContact) -> None:
        if self.of_place.get(_place(binding)) == binding.alias:
            del self.of_place[_place(binding)]

    def _drop(self, alias: str) -> None:
        binding = self.bindings.pop(alias, None)
        if binding is None:
            return
        self._leave_place(binding)
        aliases = self.of_aor.get(binding.aor, [])
        if alias in aliases:
            aliases.remove(alias)
        if not aliases:
            self.of_aor.pop(binding.aor, None)


def _place(binding: CachedContact) -> tuple[str, int]:
    return binding.source_ip, binding.source_port


def aor_of(headers: Sequence[tuple[str, str]]) -> str:
    """Who is registered: the URI of To without parameters and port, host in lower case (RFC 3261 §10.3)."""
    uri = parse_uri(uri_of(next((value for name, value in headers if name.lower() in ("to", "t")), "")))
    return f"{uri.user}@{uri.host.lower()}" if uri.user else uri.host.lower()


def alias_of(secret: bytes, aor: str, contact: str) -> str:
    """The user part that stands for a contact: with one secret always the same, and of letters and digits.

    Who knows an alias reaches the phone past whatever the registrar's side asks about a call, so it is none that can be worked out.
    """
    said = f"alias\0{aor}\0{contact}".encode("utf-8", "surrogateescape")
    return hmac.new(secret, said, hashlib.sha256).hexdigest()[:24]


def _expires_header(headers: Sequence[tuple[str, str]]) -> int:
    said = next((_number(value) for name, value in headers if name.lower() == "expires"), None)
    return DEFAULT_EXPIRES_S if said is None else said


def _number(text: str) -> int | None:
    return int(text.strip()) if text.strip().isdecimal() and len(text.strip()) < 11 else None


def _kept_parameters(value: str) -> str:
    """Parameters of a Contact value that go on, instance and order of preference among them."""
    behind = value[value.find(">") + 1 :] if "<" in value else value[len(uri_of(value)) :]
    return f";{behind.strip().lstrip(';')}" if behind.strip().strip(";") else ""


def _capped(seconds: int, limits: RegistrationLimits) -> int:
    return min(seconds, limits.most_s) if limits.most_s else seconds
