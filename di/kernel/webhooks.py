# SPDX-License-Identifier: GPL-2.0-or-later
"""Signing after the Standard Webhooks specification: any of its libraries verifies what is sent with these headers. Pure.

`webhook-id` is the same in each attempt; `webhook-signature` is `v1,` and the HMAC-SHA256 of `id.timestamp.body`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

_PREFIX = "whsec_"
_SHORTEST_SECRET = 24


def parse_secret(text: str) -> bytes:
    """The key behind `whsec_`, in base64. Raises ValueError for what is none, or shorter than the specification's 24 bytes."""
    try:
        key = base64.b64decode(text.strip().removeprefix(_PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("right is whsec_ and base64") from error
    if len(key) < _SHORTEST_SECRET:
        raise ValueError(f"the key has {len(key)} bytes; right are {_SHORTEST_SECRET} to 64")
    return key


def signed_headers(key: bytes, id: str, timestamp_s: int, body: bytes) -> dict[str, str]:
    """The headers of a POST with that body of JSON."""
    digest = hmac.new(key, f"{id}.{timestamp_s}.".encode() + body, hashlib.sha256).digest()
    return {
        "content-type": "application/json",
        "webhook-id": id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
    }
