# SPDX-License-Identifier: GPL-2.0-or-later
"""Contacts that a profile makes, and contacts that are hidden in addresses of ours (spec applications.md §22.3). Pure.

    sip:anna@10.0.0.7:5062  ─► hidden ─► sip:<prefix><secret text>@ours  ─► … ─► a request to that ─► shown ─► sip:anna@10.0.0.7:5062

The hidden text is signed, so that nobody else makes one, and encrypted by nothing: whoever decodes it sees the address. What it hides, it
hides from devices that route by Contact, not from people.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass

from di.apps.api import is_sip_uri, parse_uri, uri_of

_SIGNATURE_BYTES = 8
_LONGEST_USER = 1500
"""Longer URIs than 2048 bytes are not read by many."""


@dataclass(frozen=True, slots=True)
class ContactParts:
    """What a profile says of a Contact, filled in; empty parts are ours."""

    displayname: str = ""
    user: str = ""
    host: str = ""
    port: str = ""
    uri_params: str = ""
    params: str = ""

    def __bool__(self) -> bool:
        return any((self.displayname, self.user, self.host, self.port, self.uri_params, self.params))


def contact_value(parts: ContactParts, ip: str, port: int) -> str:
    """A complete value of Contact; `ip`, `port`: ours. Empty when the profile says nothing, or nothing that is one."""
    if not parts:
        return ""
    user = f"{parts.user}@" if parts.user else ""
    host = parts.host or (f"[{ip}]" if ":" in ip and not ip.startswith("[") else ip)
    place = parts.port or ("" if parts.host else str(port))
    uri = f"sip:{user}{host}{f':{place}' if place else ''}{_parameters(parts.uri_params)}"
    name = parts.displayname.strip().strip('"').replace("\\", "\\\\").replace('"', '\\"')
    value = f"{f'{chr(34)}{name}{chr(34)} ' if name else ''}<{uri}>{_parameters(parts.params)}"
    return value if is_sip_uri(uri) and value.isprintable() and split_list(value) == [value] and value.count("<") == 1 else ""


def _parameters(text: str) -> str:
    text = text.strip().strip(";")
    return f";{text}" if text else ""


class ContactHider:
    """`secret` signs; with another one, hidden contacts of before lead nowhere."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def hidden(self, uri: str, prefix: str, kept: Mapping[str, str]) -> str:
        """The user part that stands for a URI; `kept` comes back with it. Empty: it is too long."""
        said = json.dumps([uri, dict(kept)], separators=(",", ":")).encode()
        text = base64.urlsafe_b64encode(self._signature(said) + said).decode().rstrip("=")
        user = prefix + text
        return user if len(user) <= _LONGEST_USER else ""

    def shown(self, user: str, prefix: str) -> tuple[str, dict[str, str]] | None:
        """The URI that a user part stands for, and what was kept with it; None: it stands for none."""
        if not user.startswith(prefix):
            return None
        text = user[len(prefix) :]
        try:
            data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except ValueError:
            return None
        signature, said = data[:_SIGNATURE_BYTES], data[_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, self._signature(said)):
            return None
        uri, kept = json.loads(said)
        return str(uri), {str(name): str(value) for name, value in kept.items()}

    def _signature(self, said: bytes) -> bytes:
        return hmac.new(self._secret, said, hashlib.sha256).digest()[:_SIGNATURE_BYTES]


def changed_contact(value: str, user: str, host: str, displayname: str = "") -> str:
    """A Contact value with another user, place and name; its parameters (expires, q …) stay, those of its URI do not.

    `host`: with port. `*` stays as it is.
    """
    if value.strip() == "*":
        return value
    uri = uri_of(value)
    behind = value[value.find(">") + 1 :] if "<" in value else value[len(uri) + len(value) - len(value.lstrip()) :]
    scheme = "sips" if parse_uri(uri).scheme == "sips" else "sip"
    name = f'"{displayname}" ' if displayname else ""
    return f"{name}<{scheme}:{f'{user}@' if user else ''}{host}>{behind.strip()}"


def contact_values(headers: list[tuple[str, str]]) -> list[str]:
    """Every Contact of a message, lists taken apart (RFC 3261 §7.3.1)."""
    return [one for name, value in headers if name.lower() in ("contact", "m") for one in split_list(value)]


def split_list(value: str) -> list[str]:
    """The members of a comma list; commas inside `<…>` and quotes are theirs."""
    found, start, depth, quoted, escaped = [], 0, 0, False, False
    for at, char in enumerate(value):
        if quoted:
            quoted = char != '"' or escaped
            escaped = char == "\\" and not escaped
        elif char == '"':
            quoted = True
        elif char in "<>":
            depth += 1 if char == "<" else -1
        elif char == "," and depth <= 0:
            found.append(value[start:at].strip())
            start = at + 1
    found.append(value[start:].strip())
    return [one for one in found if one]


def expires_of(value: str) -> int | None:
    """The expires parameter of a Contact value; None without one."""
    behind = value[value.find(">") + 1 :] if "<" in value else value
    for part in behind.split(";")[1:]:
        name, _, text = part.partition("=")
        if name.strip().lower() == "expires" and text.strip().isdecimal() and len(text.strip()) < 11:
            return int(text.strip())  # `int` by itself does not take all that `strip` takes away
    return None


def with_expires(value: str, expires_s: int) -> str:
    """A Contact value with this expires parameter in place of its own."""
    head, mark, behind = (
        value.partition(">") if "<" in value else (value.partition(";")[0], "", value[len(value.partition(";")[0]) :])
    )
    kept = [part for part in behind.split(";") if part.strip() and part.partition("=")[0].strip().lower() != "expires"]
    return ";".join((f"{head}{mark}", *(part.strip() for part in kept), f"expires={expires_s}"))
