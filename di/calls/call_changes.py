# SPDX-License-Identifier: GPL-2.0-or-later
"""What controls change of where a call goes and of what it says there (spec applications.md §23, ctl and cc_rest). Pure.

    control ─ Grant.changes ─► Admission.changes (those of all controls, later ones win, headers add up)
                                  │
      the application takes them (`Admission.take_changes`: an sbc puts them into the call's profile) ─ or, when nobody does:
      a call out changes itself before it is dialled, a first leg its second legs (`di.calls.changed`)

An empty text, or None, leaves things as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Literal, TypeAlias

from di.sip.headers import header_problem, is_sip_uri, uri_of, uri_problem
from di.sip.locate import parse_places

FilterKind: TypeAlias = Literal["transparent", "whitelist", "blacklist"]
FILTER_KINDS: tuple[FilterKind, ...] = ("transparent", "whitelist", "blacklist")
_URIS = ("request_uri", "outbound_proxy")
_PARTIES = ("from_header", "to_header")


@dataclass(frozen=True, slots=True)
class NameFilter:
    """Which headers, or which methods, pass. `names` in small letters."""

    kind: FilterKind
    names: tuple[str, ...] = ()

    def passes(self, name: str) -> bool:
        """Whether one of that name does."""
        return self.kind == "transparent" or (name.lower() in self.names) == (self.kind == "whitelist")


@dataclass(frozen=True, slots=True)
class CallChanges:
    """`next_hop`: `host[:port][/transport]`, several with commas; `outbound_proxy`: a URI. `append_headers`: complete lines.

    `session_timer`, `aleg_session_timer`: whether the callee's and the caller's side have one. `rtprelay_*`, `*_interface`: names of
    interfaces, which only an sbc profile knows.
    """

    request_uri: str = ""
    from_header: str = ""
    to_header: str = ""
    call_id: str = ""
    outbound_proxy: str = ""
    force_outbound_proxy: bool | None = None
    next_hop: str = ""
    outbound_interface: str = ""
    session_timer: bool | None = None
    aleg_session_timer: bool | None = None
    rtprelay: bool | None = None
    rtprelay_interface: str = ""
    aleg_rtprelay_interface: str = ""
    header_filter: NameFilter | None = None
    message_filter: NameFilter | None = None
    append_headers: tuple[str, ...] = ()

    def then(self, later: CallChanges) -> CallChanges:
        """These, and what a later control changes."""
        given = {one.name: value for one in fields(later) if (value := getattr(later, one.name)) not in ("", None, ())}
        if later.append_headers:
            given["append_headers"] = (*self.append_headers, *later.append_headers)
        return replace(self, **given)

    def names(self) -> tuple[str, ...]:
        """What is changed."""
        return tuple(one.name for one in fields(self) if getattr(self, one.name) not in ("", None, ()))

    def problem(self) -> str:
        """What of them would reach into what the SIP stack writes, or leads nowhere; empty when all is well."""
        texts = (getattr(self, name) for name in self.names())
        if any(ord(letter) < 32 or letter == "\x7f" for text in texts if isinstance(text, str) for letter in text):
            return "a control character"
        uris = [getattr(self, name) for name in _URIS] + [uri_of(getattr(self, name)) for name in _PARTIES]
        for uri in filter(None, uris):
            if not is_sip_uri(uri):
                return f"{uri!r} is no SIP URI"
            if problem := uri_problem(uri):
                return problem
        try:
            parse_places(self.next_hop or "localhost")
        except ValueError as error:
            return str(error)
        return next(filter(None, (header_problem(line) for line in self.append_headers)), "")


NO_CHANGES = CallChanges()
