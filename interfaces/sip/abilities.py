# SPDX-License-Identifier: GPL-2.0-or-later
"""What we say that we can do (RFC 3261 §20.5, §20.37): in answers to OPTIONS, and in pjsip's own messages.

pjsip's modules each add what they know to lists that go into every INVITE and its replies; some of it is not so here, since the hub and not
pjsua answers requests inside calls. `Capabilities.say` puts the right words in place of theirs.
"""

from __future__ import annotations

import ctypes
from collections.abc import Collection
from ctypes import POINTER, c_int, c_uint, c_void_p
from dataclasses import dataclass

from interfaces.sip.layout import Memory, Text
from interfaces.sip.message import TOKEN

_ALLOW_KIND, _SUPPORTED_KIND = 4, 36  # pjsip_hdr_e
_MOST_VALUES = 32


@dataclass(frozen=True, slots=True)
class Abilities:
    """`reliable`: whether provisional replies may be acknowledged (RFC 3262)."""

    reliable: bool = False
    user_agent: str = ""

    @property
    def allow(self) -> tuple[str, ...]:
        """Methods: those of calls, and those that the hub may answer inside them."""
        prack = ("PRACK",) if self.reliable else ()
        return ("INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "INFO", *prack, "UPDATE", "MESSAGE", "REFER", "NOTIFY")

    @property
    def supported(self) -> tuple[str, ...]:
        """Extensions."""
        return ("100rel", "replaces", "timer") if self.reliable else ("replaces", "timer")

    def headers(self, known: Collection[str] = ()) -> tuple[tuple[str, str], ...]:
        """Of an answer to OPTIONS (§11.2), without those that are `known`, in lower case."""
        pairs = (
            ("Allow", ", ".join(self.allow)), ("Accept", "application/sdp"), ("Supported", ", ".join(self.supported)),
            ("Server", self.user_agent),
        )  # fmt: skip
        return tuple(pair for pair in pairs if pair[1] and pair[0].lower() not in known)


class _Values(ctypes.Structure):
    """pjsip_generic_array_hdr: eight words that every header has, then the list."""

    _fields_ = [("head", c_void_p * 8), ("count", c_uint), ("values", Text * _MOST_VALUES)]


class Capabilities:
    """pjsip's lists of `endpoint`. Keeps what they point to."""

    def __init__(self, library: ctypes.CDLL, endpoint: int) -> None:
        self._library, self._endpoint = library, endpoint
        self._kept: list[Text] = []
        library.pjsip_endpt_get_capability.argtypes = [c_void_p, c_int, POINTER(Text)]
        library.pjsip_endpt_get_capability.restype = c_void_p

    def say(self, abilities: Abilities) -> bool:
        """Put these into pjsip's messages. False when its lists are laid out differently; nothing is changed then."""
        return self._put(_ALLOW_KIND, abilities.allow, "INVITE") and self._put(_SUPPORTED_KIND, abilities.supported, "timer")

    def _put(self, kind: int, words: tuple[str, ...], surely: str) -> bool:
        """Replace a list, in which one word must be found."""
        address = self._library.pjsip_endpt_get_capability(self._endpoint, kind, None)
        if not address or surely not in _words(address):
            return False
        found = _Values.from_address(address)
        texts = [Text.of(word) for word in words]
        self._kept += texts
        for place, text in enumerate(texts):
            found.values[place] = text
        found.count = len(texts)
        return True


def _words(address: int) -> list[str]:
    """The words of a list, empty when it cannot be one."""
    memory, words = Memory(), []
    try:
        count = memory.number(address + _Values.count.offset)
        for place in range(count if 0 < count <= _MOST_VALUES else 0):
            at = address + _Values.values.offset + place * ctypes.sizeof(Text)
            length = memory.word(at + 8)
            word = memory.data(memory.word(at), length if 0 < length < 64 else 1).decode("ascii", "replace")
            if not TOKEN.fullmatch(word):
                return []
            words.append(word)
    except OSError:
        return []
    finally:
        memory.close()
    return words
