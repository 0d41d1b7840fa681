# SPDX-License-Identifier: GPL-2.0-or-later
"""Whose greeting a call is about (spec applications.md §15). Pure."""

from __future__ import annotations

from dataclasses import dataclass

from di.apps.api import APP_PARAMS_HEADER, BoxOwner, CallInfo, Refused, first_header, order_param, parse_uri, uri_of


@dataclass(frozen=True, slots=True)
class GreetingOrder:
    """`owner` is the user; his greetings are `owner.greetings`. `kind` names the greeting: voicemail plays `vm`."""

    owner: BoxOwner
    language: str = ""
    kind: str = "vm"

    @property
    def name(self) -> str:
        """Of the greeting among the owner's greetings."""
        return f"{self.kind}.wav"


def read_order(info: CallInfo, simple: bool) -> GreetingOrder:
    """What a call asks for. Raises Refused with SEMS's replies."""
    if simple:
        user = parse_uri(uri_of(info.from_header)).user
        if not user:
            raise Refused(500, "annrecorder: could not parse From-URI")
        if not info.trusted:  # anybody may write any From
            raise Refused(403, "Forbidden")
        return GreetingOrder(BoxOwner("default", user))
    if first_header(info.headers, APP_PARAMS_HEADER) is None:
        raise Refused(500, "annrecorder: parameters not found")
    uri = parse_uri(info.request_uri)

    def param(*names: tuple[str, str], default: str = "") -> str:
        return order_param(info.headers, *names, default=default)

    user = param(("uid", "UserID"), ("usr", "User"), default=uri.user)
    if not user:
        raise Refused(500, "annrecorder: user missing")
    domain = param(("did", "DomainID"), ("dom", "Domain"), default=uri.host.strip("[]"))
    return GreetingOrder(BoxOwner(domain, user), param(("lng", "Language")), param(("typ", "Type"), default="vm"))
