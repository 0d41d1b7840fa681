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
_NUMBERS = re.compile(
    r"(v=0\r\no=[^ \r\n]+ )[0-9]{1,18} [0-9]{1,18}( IN .*?\r\nm=audio )(?:[1-5][0-9]{4}|[1-9][0-9]{0,3})(?![0-9])",
    re.ASCII | re.DOTALL,
)
"""Of a description that begins as each should, up to a port of its first stream."""


class DescriptionReader:
    """`known`: the codecs (`NAME/clock`) that can be spoken. `rule`: what holds for SRTP in the message that pjsip works on now."""

    def __init__(self, known: Collection[str] = ()) -> None:
        self._known = frozenset(known)
        self._read: OrderedDict[tuple[str, SrtpRule], tuple[SessionDescription, str]] = OrderedDict()
        self._long = LongOnes()
        self._right: OrderedDict[str, SessionDescription] = OrderedDict()
        self.rule = NO_RULE
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
        known = self._read.get((text, self.rule))
        if known is None:
            if self._long.is_too_much(text):
                self._read.clear()
            known = self._read[text, self.rule] = self._once(text)
            while len(self._read) > _KEPT:
                self._read.popitem(last=False)
        return known

    def _once(self, text: str) -> tuple[SessionDescription, str]:
        """The same, not read before. What phones of one kind write differs in numbers that do not matter: is one right, all are."""
        if self.rule.known:
            description = chosen(mended(parse(text), self._known), self.rule.suites)
            return description, str(with_stand_ins(for_pjmedia(description)))
        shape = shape_of(text)
        known = self._right.get(shape)
        if known is not None:
            self._right.move_to_end(shape)
            return parse_like(text, known), text
        said = parse(text)
        description = mended(said, self._known)
        given = str(with_stand_ins(description))
        if shape and given == text:
            self._right[shape] = said
            if len(self._right) > _SHAPES:
                self._right.popitem(last=False)
        return description, given


def shape_of(text: str) -> str:
    """A description without the numbers of its origin and the port of its audio, as nearly everybody writes them; empty of any other."""
    found = _NUMBERS.match(text) if len(text) <= LONG else None
    return f"{found[1]}{found[2]}{text[found.end() :]}" if found is not None else ""
