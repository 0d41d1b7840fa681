# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads the session description of each message that comes, before pjsip does, and says what pjsip is to read instead. Pure.

    content type, body ─► its description ─► lenient.mended, crypto.chosen ─┬─► `arrived`, for the callbacks of this message
                                    crypto.for_pjmedia, lenient.with_stand_ins └─► text for pjsip, if it differs

pjsip works on one message at a time and calls back while it does, so `arrived` is what those callbacks are about.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Collection
from typing import NamedTuple

from interfaces.sip.keying import NO_RULE, SrtpRule
from interfaces.sip.message import SDP, text_of, wire_bytes
from interfaces.sip.multipart import find_part, media_type
from interfaces.sip.sdp.crypto import chosen, for_pjmedia
from interfaces.sip.sdp.lenient import mended, with_stand_ins
from interfaces.sip.sdp.memories import LONG, LongOnes
from interfaces.sip.sdp.model import NOTHING, SessionDescription, parse, parse_like

_KEPT = 64
"""Descriptions: each is asked for several times while its message is worked on, and again when the message is repeated."""


_SHAPES = 256
_BYTE = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_SHAPED = re.compile(
    r"v=0\r\n(o=[!-~]+ [0-9]{1,18} [0-9]{1,18} IN IP4 [!-~]+\r\n)(s=[^\r\n]*\r\n)"
    rf"(?:c=IN IP4 ([1-9][0-9]?(?:\.{_BYTE}){{3}}|(?:1[0-9][0-9]|2[01][0-9]|22[0-3])(?:\.{_BYTE}){{3}})\r\n)?"
    r"((?:[abt]=[^\r\n]*\r\n)*m=audio )([1-5][0-9]{4}|[1-9][0-9]{0,3})( [!-~][ -~]*\r\n)"
)
"""A description that begins as nearly everybody's: origin, name, address and port of its first stream."""


class Shaped(NamedTuple):
    """A description taken apart. `shape`: all but what differs from call to call: o= line, session's address of version 4, port of its audio."""

    shape: str
    origin: str
    host: str
    port: str


class DescriptionReader:
    """`known`: the codecs (`NAME/clock`) that can be spoken. `rule`: what holds for SRTP in the message that pjsip works on now."""

    def __init__(self, known: Collection[str] = ()) -> None:
        self._known = frozenset(known)
        self._read: OrderedDict[tuple[str, SrtpRule], tuple[SessionDescription, str]] = OrderedDict()
        self._long = LongOnes()
        self._right: OrderedDict[str, SessionDescription] = OrderedDict()
        self.rule = self._last_rule = NO_RULE
        self._last_text, self._last = "", (NOTHING, "")
        self.arrived = NOTHING
        """That of the message that pjsip works on now."""

    def read(self, text: str) -> SessionDescription:
        """A description as it was meant; NOTHING of an empty text."""
        return self._both(text)[0] if text else NOTHING

    def look(self, content_type: str, body: bytes, rule: SrtpRule = NO_RULE) -> bytes | None:
        """A message with this body has come. Returns the description that pjsip is to read instead; None: it reads this one itself."""
        self.rule = rule
        found = find_part(content_type, body, SDP) if body else None
        if found is None:
            self.arrived = NOTHING
            return None
        text = text_of(found)
        self.arrived, given = self._both(text)
        alone = media_type(content_type) == SDP
        return None if alone and given == text else wire_bytes(given)

    def _both(self, text: str) -> tuple[SessionDescription, str]:
        """What was meant, and the text of it for pjsip."""
        if text != self._last_text or self.rule is not self._last_rule:
            alike = None if self.rule.known else self._alike(text)
            self._last = alike if alike is not None else self._remembered(text)
            self._last_text, self._last_rule = text, self.rule
        return self._last

    def _remembered(self, text: str) -> tuple[SessionDescription, str]:
        known = self._read.get((text, self.rule))
        if known is None:
            if self._long.is_too_much(text):
                self._read.clear()
            known = self._read[text, self.rule] = self._once(text)
            while len(self._read) > _KEPT:
                self._read.popitem(last=False)
        return known

    def _alike(self, text: str) -> tuple[SessionDescription, str] | None:
        """What phones of one kind write differs in what does not matter here: is one right, all are. None when no such is known."""
        taken = shaped(text)
        known = self._right.get(taken.shape) if taken is not None else None
        if taken is None or known is None:
            return None
        self._right.move_to_end(taken.shape)
        return parse_like(known, taken.origin, taken.host, taken.port), text

    def _once(self, text: str) -> tuple[SessionDescription, str]:
        """The same, not read before."""
        if self.rule.known:
            description = chosen(mended(parse(text), self._known), self.rule.suites)
            return description, str(with_stand_ins(for_pjmedia(description)))
        taken = shaped(text)
        said = parse(text)
        description = mended(said, self._known)
        given = str(with_stand_ins(description))
        if taken is not None and given == text and said.media[0].words[1] == taken.port:
            self._right[taken.shape] = said
            if len(self._right) > _SHAPES:
                self._right.popitem(last=False)
        return description, given


def shaped(text: str) -> Shaped | None:
    """A description without what differs from call to call; None when it is not written as nearly everybody does."""
    found = _SHAPED.match(text) if len(text) <= LONG else None
    if found is None:
        return None
    origin, name, host, session, port, stream = found.groups()
    return Shaped(f"{name}{'c' if host else ''}{session}{stream}{text[found.end() :]}", origin, host or "", port)
