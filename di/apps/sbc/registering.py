# SPDX-License-Identifier: GPL-2.0-or-later
"""REGISTERs that pass: their contacts become addresses of ours, and phones are told their own again (spec applications.md §22.3). Pure.

enable_reg_caching       the contact is an alias of ours, and remembered (`di.apps.sbc.reg_cache`)
enable_contact_hiding    the contact is written into an address of ours
contact_user, _host …    the contact has these parts
none of them             contacts pass as they are
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from di.apps.api import OutsideReply, long_name, parse_uri, uri_of
from di.apps.sbc.contacts import ContactHider, changed_contact, contact_values
from di.apps.sbc.keys import is_yes, whole
from di.apps.sbc.profile import Profile
from di.apps.sbc.reg_cache import PassingRegister, RegistrationCache, RegistrationLimits

_EXPIRES = ("contact", "expires")


@dataclass(frozen=True, slots=True)
class Onward:
    """A REGISTER goes on with these lines, Contact and Expires among them, or is answered here.

    `ours`: an address of ours → the Contact URI that the phone gave for it.
    """

    lines: tuple[str, ...] = ()
    answer: OutsideReply | None = None
    cached: PassingRegister | None = None
    ours: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RegisterOrigin:
    """Where a REGISTER came from. `transport`: tcp, tls, empty for UDP; `local`: our own address as a URI has it."""

    ip: str
    port: int
    transport: str
    local: str


def limits_of(profile: Profile) -> RegistrationLimits:
    """min_reg_expires, max_ua_expires."""
    return RegistrationLimits(whole(profile.min_reg_expires, 0), whole(profile.max_ua_expires, 0))


def onward(
    profile: Profile,
    headers: Sequence[tuple[str, str]],
    origin: RegisterOrigin,
    cache: RegistrationCache,
    hider: ContactHider,
    now_s: int,
) -> Onward:
    """What goes on to the registrar."""
    if is_yes(profile.enable_reg_caching):
        source = origin.ip, origin.port, origin.transport
        asked = cache.register(headers, source, origin.local, limits_of(profile), now_s)
        if asked.answer is not None:
            return Onward(answer=OutsideReply(200, "OK", tuple(f"Contact: {one}" for one in asked.answer)))
        lines = tuple(f"Contact: {one}" for one in asked.contacts)
        return Onward((*lines, *(("Expires: 0",) if asked.removes_all else ())), cached=asked)
    ours: dict[str, str] = {}
    lines = tuple(f"Contact: {_changed(profile, value, origin, hider, ours)}" for value in contact_values(list(headers)))
    return Onward((*lines, *_expires(headers)), ours=ours)


def _expires(headers: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(f"{name}: {value}" for name, value in headers if name.lower() == "expires")


def _changed(profile: Profile, value: str, origin: RegisterOrigin, hider: ContactHider, ours: dict[str, str]) -> str:
    uri = uri_of(value)
    user, host = parse_uri(uri).user, origin.local
    if value.strip() == "*":
        return value
    if is_yes(profile.enable_contact_hiding):
        user = hider.hidden(uri, profile.contact_hiding_prefix, kept_variables(profile.contact_hiding_vars)) or user
    elif profile.contact_user or profile.contact_host or profile.contact_port or profile.contact_displayname:
        user = profile.contact_user or user
        host = profile.contact_host or origin.local.rpartition(":")[0]
        port = profile.contact_port or ("" if profile.contact_host else origin.local.rpartition(":")[2])
        host = f"{host}:{port}" if port else host
    else:
        return value
    new = changed_contact(value, user, host, profile.contact_displayname)
    ours[_key(new)] = uri
    return new


def kept_variables(text: str) -> dict[str, str]:
    """`name=value` pairs of contact_hiding_vars, filled in, separated by `;`."""
    pairs = (part.partition("=") for part in text.split(";") if part.strip())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _key(value: str) -> str:
    uri = parse_uri(uri_of(value))
    return f"{uri.user}@{uri.host}:{uri.port}"


def back(
    profile: Profile, asked: Onward, code: int, headers: Sequence[tuple[str, str]], cache: RegistrationCache, now_s: int
) -> tuple[str, ...]:
    """Contact and Expires of the registrar's reply as the phone gets them."""
    if asked.cached is not None:
        told = cache.replied(asked.cached, code, headers, limits_of(profile), now_s)
        return tuple(f"Contact: {one}" for one in told)
    contacts = (
        value.replace(uri_of(value), asked.ours.get(_key(value), uri_of(value)), 1) for value in contact_values(list(headers))
    )
    return (*(f"Contact: {one}" for one in contacts), *_expires(headers))


def without_contacts(lines: Sequence[str]) -> tuple[str, ...]:
    """Lines that do not say what `onward` and `back` say."""
    return tuple(line for line in lines if long_name(line.partition(":")[0].strip()).lower() not in _EXPIRES)


def transport_of(headers: Sequence[tuple[str, str]]) -> str:
    """How a request came, as its first Via says: `tcp`, `tls`, empty for UDP."""
    via = next((value for name, value in headers if long_name(name).lower() == "via"), "")
    said = via.partition(" ")[0].lower().rpartition("/")[2]
    return said if said in ("tcp", "tls") else ""
