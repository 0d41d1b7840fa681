# SPDX-License-Identifier: GPL-2.0-or-later
"""Signing after the Standard Webhooks specification: any of its libraries verifies what is sent with these headers.

The options that name key and receiver are read here too.

`webhook-id` is the same in each attempt; `webhook-signature` is `v1,` and the HMAC-SHA256 of `id.timestamp.body`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from pathlib import Path
from urllib.parse import urlsplit

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


def parse_secret_file(text: str) -> bytes:
    """Read the key from a file, so that it does not stand in the configuration. Raises ValueError with what would be right."""
    try:
        return parse_secret(Path(text).read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{text} cannot be read: {error}") from error


def public_part(url: str) -> str:
    """Scheme, host, port and path of a URL, for the log: a query may hold a key, and the user part a password."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "a URL that cannot be read"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"[:200]


def parse_web_url(text: str) -> str:
    """Read a URL of HTTP. Raises ValueError with what would be right."""
    if not re.match(r"https?://[^\s/]+", text):
        raise ValueError("right is http://… or https://…")
    return text
