# SPDX-License-Identifier: GPL-2.0-or-later
"""Bytes that pjsua2 does not take: it wants texts of whole characters, but a header or body that comes from one peer and goes to another may
be anything.

    value ─► text: itself, or a placeholder ─► pjsua2 ─► pjsip writes the message ─► put_back: the bytes, in the last moment

A message may be sent again, or copied for a second attempt, so placeholders stay known for a while.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterator

from interfaces.sip.message import wire_bytes

_MOST_KEPT = 64


class Placeholders:
    """The last ones that were given out, by what stands for the bytes. `on_first` is called before the first one is."""

    def __init__(self, on_first: Callable[[], None]) -> None:
        self._on_first = on_first
        self._known: OrderedDict[bytes, tuple[str, bytes]] = OrderedDict()

    def header(self, name: str, value: str) -> str:
        """A header's value as pjsua2 takes it."""
        return self._text(name, wire_bytes(value))

    def body(self, data: bytes) -> str:
        """A body as pjsua2 takes it."""
        return self._text("", data)

    def _text(self, name: str, data: bytes) -> str:
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            if not self._known:
                self._on_first()
            placeholder = f"cordboard-{secrets.token_hex(16)}"
            self._known[placeholder.encode()] = (name, data)
            while len(self._known) > _MOST_KEPT:
                self._known.popitem(last=False)
            return placeholder

    def known(self) -> Iterator[tuple[str, bytes, bytes]]:
        """Header name (empty for a body), placeholder and bytes of each."""
        return ((name, placeholder, data) for placeholder, (name, data) in self._known.items())
