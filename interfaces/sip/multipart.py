# SPDX-License-Identifier: GPL-2.0-or-later
"""The parts of a message's body (RFC 2046 §5.1). Lenient and pure: what is no part is passed over, nothing raises."""

from __future__ import annotations

from collections.abc import Iterator

_MOST_PARTS, _DEEPEST = 32, 4
"""A body with more of them is read so far."""


def media_type(content_type: str) -> str:
    """`type/subtype` in lower case, without parameters."""
    return content_type.partition(";")[0].strip().lower()


def find_part(content_type: str, body: bytes, wanted: str, depth: int = 0) -> bytes | None:
    """The first body of the media type `wanted`: the message's, or a part's, however deep; None when there is none."""
    kind = media_type(content_type)
    if kind == wanted:
        return body or None
    if not kind.startswith("multipart/") or depth >= _DEEPEST:
        return None
    found = (find_part(inner, part, wanted, depth + 1) for inner, part in _parts(content_type, body))
    return next((part for part in found if part is not None), None)


def _parts(content_type: str, body: bytes) -> Iterator[tuple[str, bytes]]:
    """Content type and body of each part, in order."""
    boundary = _boundary(content_type)
    if not boundary:
        return
    pieces = (b"\n" + body.replace(b"\r\n", b"\n")).split(b"\n--" + boundary)  # the line end before a boundary belongs to it
    for piece in pieces[1 : 1 + _MOST_PARTS]:
        if piece.startswith(b"--"):
            return
        _, _, part = piece.partition(b"\n")
        head, _, inner = (b"", b"", part[1:]) if part.startswith(b"\n") else part.partition(b"\n\n")
        yield _content_type(head), inner.replace(b"\n", b"\r\n")


def _boundary(content_type: str) -> bytes:
    """The boundary parameter, whose value may be quoted."""
    for parameter in content_type.split(";")[1:]:
        name, equals, value = parameter.strip().partition("=")
        if equals and name.strip().lower() == "boundary":
            return value.strip().strip('"').encode("utf-8", "surrogateescape")
    return b""


def _content_type(head: bytes) -> str:
    """A part's Content-Type, text/plain without one (RFC 2046 §5.1)."""
    for line in head.decode("utf-8", "surrogateescape").replace("\n ", " ").replace("\n\t", " ").split("\n"):
        name, colon, value = line.partition(":")
        if colon and name.strip().lower() in ("content-type", "c"):
            return value.strip()
    return "text/plain"
