# SPDX-License-Identifier: GPL-2.0-or-later
"""`fix_replaces_inv`, `fix_replaces_ref`: a dialog that one side of the border names is named as the other side knows it. Pure.

A phone that transfers a call names the dialog which *it* has (RFC 3891); behind the border that call has another Call-ID and other tags. Where
the dialog is one of ours, what is passed on names the dialog of the other leg.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote, unquote

from di.apps.api import parse_replaces, uri_of


@dataclass(frozen=True, slots=True)
class DialogName:
    """A dialog as Replaces names it for who is in it: `to_tag` is his own, `from_tag` ours (RFC 3891 §3)."""

    call_id: str
    to_tag: str
    from_tag: str


OtherDialog = Callable[[str, str, str], DialogName | None]
"""(Call-ID, to-tag, from-tag) that name a leg of ours → the dialog of the leg that it is connected with, for whoever is there."""


def fixed_replaces(value: str, other: OtherDialog) -> str:
    """A value of Replaces for the far side; as it came when it names no dialog of ours. Its further parameters stay."""
    named = parse_replaces(value)
    found = other(*named) if named is not None else None
    if found is None:
        return value
    further = [
        part.strip() for part in value.split(";")[1:] if part.partition("=")[0].strip().lower() not in ("to-tag", "from-tag")
    ]
    return ";".join((found.call_id, f"to-tag={found.to_tag}", f"from-tag={found.from_tag}", *further))


def fixed_refer_to(value: str, other: OtherDialog) -> str:
    """A value of Refer-To whose URI has a Replaces, for the far side; else as it came."""
    uri = uri_of(value)
    head, mark, fields = uri.partition("?")
    if not mark:
        return value
    changed = "&".join(_fixed_field(field, other) for field in fields.split("&"))
    return value.replace(uri, f"{head}?{changed}", 1)


def _fixed_field(field: str, other: OtherDialog) -> str:
    name, _, text = field.partition("=")
    if name.strip().lower() != "replaces":
        return field
    before = unquote(text, errors="surrogateescape")
    after = fixed_replaces(before, other)
    return field if after == before else f"{name}={quote(after, safe='', errors='surrogateescape')}"
