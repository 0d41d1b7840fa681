# SPDX-License-Identifier: GPL-2.0-or-later
"""Text that comes from outside and goes there: what files and bodies may begin with, and text that any reader takes."""

from __future__ import annotations

import codecs

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def without_mark(data: bytes) -> bytes:
    """Leave out the byte order mark that Windows editors and some clients put before UTF-8. Raises ValueError for UTF-16."""
    if data.startswith(_UTF_16):
        raise ValueError("UTF-16; save or send it as UTF-8")
    return data.removeprefix(codecs.BOM_UTF8)


def from_file(data: bytes) -> str:
    """A file's text: without a mark; bytes that are not UTF-8 survive as surrogate escapes. Raises ValueError for UTF-16."""
    return without_mark(data).decode("utf-8", "surrogateescape")


def readable(text: str) -> str:
    """The text with U+FFFD in place of bytes that are no UTF-8 (surrogate escapes) and of other lone surrogates."""
    if text.isascii():
        return text
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def utf8(text: str) -> bytes:
    """The text as UTF-8 that every reader takes, `readable` where it has to be."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return readable(text).encode()
