# SPDX-License-Identifier: GPL-2.0-or-later
"""What a web server says of a call: lines `name = value`, or a JSON object. Pure.

ruri = sip:bob@10.0.0.2                 {"ruri": "sip:bob@10.0.0.2", "append_headers": ["P-Tenant: acme"], "sst_enabled": false}
append_headers = P-Tenant: acme
"""

from __future__ import annotations

import json

from di.calls.call_changes import CallChanges
from di.calls.change_keys import changes_of

FORMATS = ("text", "json")


def read(body: bytes, kind: str) -> tuple[CallChanges, dict[str, str]]:
    """What it changes, and all that it said. Raises ValueError for what is no such answer."""
    said = _of_json(body) if kind == "json" else _of_text(body)
    return changes_of(said), said


def _of_text(body: bytes) -> dict[str, str]:
    """Empty lines and those that begin with # say nothing; `append_headers` may come more than once."""
    said: dict[str, str] = {}
    for number, line in enumerate(body.decode("utf-8").splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = (part.strip() for part in line.partition("="))
        if not equals or not name:
            raise ValueError(f"line {number}: right is name = value")
        said[name] = f"{said[name]}|{value}" if name.lower() == "append_headers" and name in said else value
    return said


def _of_json(body: bytes) -> dict[str, str]:
    try:
        found = json.loads(body)
    except RecursionError as error:
        raise ValueError("the object is too deep") from error
    if not isinstance(found, dict):
        raise ValueError("right is a JSON object")
    return {name: _text(name, value) for name, value in found.items()}


def _text(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return "|".join(value)
    if value is None:
        return ""
    if not isinstance(value, (str, int)):
        raise ValueError(f"{name} is neither a text nor a list of texts")
    return str(value)
