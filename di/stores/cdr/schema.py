# SPDX-License-Identifier: GPL-2.0-or-later
"""The JSON Schema of a call record, made from the dataclass, so that it cannot say anything else. Pure."""

from __future__ import annotations

import dataclasses
import typing

from di.stores.cdr.record import DISPOSITIONS, HANGUP_BY, VERSION, CallRecord, RtpFigures

_TYPES: dict[object, dict[str, object]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    dict[str, str]: {"type": "object", "additionalProperties": {"type": "string"}},
}
_NARROWER: dict[str, dict[str, object]] = {
    "version": {"const": VERSION},
    "leg": {"enum": ["a", "b"]},
    "direction": {"enum": ["in", "out"]},
    "disposition": {"enum": [*DISPOSITIONS, ""]},
    "hangup_by": {"enum": list(HANGUP_BY)},
    "id": {"type": "string", "format": "uuid"},
}


def schema() -> dict[str, object]:
    """JSON Schema 2020-12 of version 1."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"cordboard call record, version {VERSION}",
        **_object(CallRecord),
    }


def _object(cls: type) -> dict[str, object]:
    hints = typing.get_type_hints(cls)
    properties: dict[str, object] = {}
    for one in dataclasses.fields(cls):
        name, hint = one.name.rstrip("_"), hints[one.name]
        properties[name] = _NARROWER.get(name) or (_object(hint) if hint is RtpFigures else _TYPES[hint])
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
