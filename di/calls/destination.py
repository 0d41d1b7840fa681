# SPDX-License-Identifier: GPL-2.0-or-later
"""What a URI really calls, in one form: the one that dial patterns are compared with.

    sip:%2B49-30-123;phone-context=x@GW.example.:5070;user=phone   ─► no form: a phone-context changes the number
    SIP:0049(30)12%33@GW.example.:5070;user=phone;transport=tcp    ─► +4930123@gw.example
    tel:+49-30-123                                                 ─► +4930123
    sip:Anna@shop.example                                          ─► Anna@shop.example

What can be written in several ways is written in one, and what another server may read differently than we do has no form: a number that is
still escaped after one decoding, control characters, `maddr` (the request would go elsewhere than the host says), hosts that are neither a
name nor an address in its usual form (`0x7f.1`). Port and transport are left out: they are one host's.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata

from di.sip.headers import is_sip_uri, parse_uri

_NUMBER = re.compile(r"\+?[0-9*#A-Da-d\s().-]*[0-9*#][0-9*#A-Da-d\s().-]*")
"""A telephone number as people write it (RFC 3966 §3 and blanks); what it has none of is a name."""
_EYES = re.compile(r"[\s().-]")
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_HOST_NAME = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?\.)*[a-z](?:[a-z0-9-]*[a-z0-9])?")
"""The last label begins with a letter (RFC 3261 §25.1, toplabel), so that no number is a name; `_`: names in use have it."""


class Unclear(ValueError):
    """A URI that others may read differently; the text says what of it."""


def normal_form(uri: str, international: str = "00") -> str:
    """A called URI as `number@host`, `name@host`, `host`, or the number of a tel URI. Raises Unclear.

    `international`: what is dialled in place of `+`; empty: nothing is.
    """
    if not is_sip_uri(uri):
        raise Unclear("it is no SIP URI")
    parts = parse_uri(uri)
    user, *of_user = parts.user.split(";")
    if "phone-context" in parts.params or any(one.strip().lower().startswith("phone-context") for one in of_user):
        raise Unclear("its phone-context changes the number")
    if "maddr" in parts.params:
        raise Unclear("its maddr leads elsewhere than its host says")
    user = _user(user, international)
    if parts.scheme == "tel":
        return user
    host = _host(parts.host)
    return f"{user}@{host}" if user else host


def _user(text: str, international: str) -> str:
    if _ESCAPE.search(text):
        raise Unclear("its user is escaped twice")
    text = unicodedata.normalize("NFKC", text).strip()
    if any(unicodedata.category(char) in ("Cc", "Cf", "Cs") for char in text):
        raise Unclear("its user holds characters that cannot be seen")
    if not _NUMBER.fullmatch(text):
        return text
    number = _EYES.sub("", text).upper()
    return f"+{number[len(international) :]}" if international and number.startswith(international) else number


def _host(text: str) -> str:
    text = text.lower().removesuffix(".")
    try:
        address = ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        if not _HOST_NAME.fullmatch(text):
            raise Unclear("its host is neither a name nor an address as they are written") from None
        return text
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)
