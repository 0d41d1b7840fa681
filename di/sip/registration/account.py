# SPDX-License-Identifier: GPL-2.0-or-later
"""An account to register, and how that is done. Values only."""

from __future__ import annotations

from dataclasses import dataclass, field

from di.sip.headers import TOKEN, uri_problem

MAX_EXPIRES_S = 2**31 - 1


@dataclass(frozen=True, slots=True)
class RegisterAccount:
    """An account at a registrar. `handle` names the registration here and is the From tag; `proxy`: a URI or host[:port], empty for the
    domain itself; `contact`: what is registered, as a URI; empty: our own address with the user's name.
    """

    handle: str
    domain: str
    user: str
    display_name: str = ""
    auth_user: str = ""
    password: str = field(default="", repr=False)
    proxy: str = ""
    contact: str = ""

    @property
    def address(self) -> str:
        """The address of record."""
        return f"sip:{self.user}@{self.domain}"

    @property
    def next_hop(self) -> str:
        """The proxy as a URI; empty: none is named."""
        return self.proxy if not self.proxy or self.proxy.lower().startswith(("sip:", "sips:")) else f"sip:{self.proxy}"

    @property
    def party(self) -> str:
        """The value of From and To, without a tag."""
        name = "".join(f"\\{c}" if c in '"\\' else c for c in self.display_name)
        return f'"{name}" <{self.address}>' if name else f"<{self.address}>"

    def problem(self) -> str:
        """Why it cannot be registered, by the name of the value that is wrong; empty when it can."""
        for name, text in (("domain", self.domain), ("user", self.user), ("handle", self.handle)):
            if not text:
                return f"{name} is empty"
        if not TOKEN.fullmatch(self.handle):
            return f"handle {self.handle!r} cannot be a tag: letters, digits and -.!%*_+`'~ can"
        if any(ord(c) < 32 or c == "\x7f" for c in self.display_name + self.auth_user + self.password):
            return "display name, user and password must not hold control characters"
        if wrong := uri_problem(f"sip:{self.domain}") or ("it holds an @" if "@" in self.domain else ""):
            return f"domain {self.domain!r}: {wrong}"
        if wrong := uri_problem(self.address):
            return f"user {self.user!r}: {wrong}"
        if self.proxy and (wrong := uri_problem(self.next_hop)):
            return f"proxy {self.proxy!r}: {wrong}"
        if self.contact and (wrong := uri_problem(self.contact)):
            return f"contact {self.contact!r}: {wrong}; right is e.g. sip:{self.user}@192.0.2.1:5060"
        return ""


@dataclass(frozen=True, slots=True)
class RegisterPolicy:
    """How registrations are kept. Times are seconds.

    A refresh is due between the shares `earliest` and `latest` of what was granted. `give_up`: who is refused, or is not refreshed before
    the end, is forgotten; else it is tried again: after `retry_s`, doubled up to `retry_most_s`, and after `refused_s`, doubled up to
    `refused_most_s`, when the registrar answered with a refusal, which the same request again seldom changes. `retry_s` and `refused_s` 0: never.
    `keepalive_s`: how often the way to the registrar is kept open, 0: not; `learn_contact`: what its replies say of our address is registered.
    """

    expires_s: int = 3600
    earliest: float = 0.4
    latest: float = 0.5
    give_up: bool = False
    retry_s: int = 10
    retry_most_s: int = 300
    refused_s: int = 60
    refused_most_s: int = 3600
    granted_without_word_s: int = 300
    keepalive_s: int = 0
    learn_contact: bool = False
