# SPDX-License-Identifier: GPL-2.0-or-later
"""The session descriptions of one call: what pjsip writes becomes what we say (RFC 3264). Pure.

pjsip makes an offer or an answer of all codecs that it knows, at an address that belongs to no socket; here it is cut to what is wanted, put
in order, pointed at the media process and given a direction. pjmedia then negotiates with the changed text.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from interfaces.sip import sdp


@dataclass(frozen=True, slots=True)
class Wish:
    """What the hub wants of our side. `payloads`: the only codecs (`NAME/clock`), empty for all; `offer`: those of the next offer, in order.

    `first`: codecs that stand first in an offer that the hub has not listed.
    """

    address: tuple[str, int] | None = None
    direction: str = "sendrecv"
    payloads: tuple[str, ...] = ()
    offer: tuple[str, ...] = ()
    first: tuple[str, ...] = ()


class Descriptions:
    """`offered`: upper-case `NAME/clock` of what our own offers name when the hub names nothing."""

    def __init__(self, outgoing: bool, offered: Collection[str]) -> None:
        self._outgoing, self._offered = outgoing, frozenset(offered)
        self.wish = Wish()
        self.theirs = self.answer = ""
        """Their last description, and our first answer as it was before the hub said how to answer."""
        self.received = ""
        """Their offer, until it has been answered."""
        self.negotiated = False

    def created(self, ours: str, theirs: str, current: str) -> str:
        """What we say instead of pjsip's description. `theirs`: the offer that it answers, or empty; `current`: the codec that is spoken."""
        wish = self.wish
        if theirs:
            self.theirs = theirs
            ours = sdp.agree_on_mode(sdp.keep_offered(ours, theirs), theirs)
            if not self._outgoing and not self.negotiated:
                self.answer = ours  # the media address comes with the hub's answer
            ours = sdp.only(ours, wish.payloads)
            ours = sdp.only(ours, wish.offer)
        elif wish.offer:
            ours = sdp.in_order(sdp.only(ours, wish.offer), wish.offer)
        else:
            ours = sdp.only(sdp.keep_codecs(ours, self._offered | ({current} if current else set())), wish.payloads)
            ours = sdp.in_order(ours, wish.first) if wish.first else ours
        return self._placed(sdp.with_direction(ours, wish.direction), sdp.wished_ptime_ms(theirs))

    def _placed(self, ours: str, ptime_ms: int) -> str:
        return ours if self.wish.address is None else sdp.rewrite(ours, *self.wish.address, ptime_ms=ptime_ms)

    def answer_now(self) -> str:
        """Our first answer with what the hub now wants; empty when pjsip's is right: none is there yet, or it has gone out."""
        if not self.answer or self.negotiated:
            return ""
        return self._placed(sdp.only(self.answer, self.wish.payloads), sdp.wished_ptime_ms(self.theirs))

    def nothing_in_common(self) -> bool:
        """The caller offers none of the codecs that the answer is limited to."""
        offered = sdp.audio_codecs(self.theirs)
        return bool(self.wish.payloads) and bool(offered) and not any(name in self.wish.payloads for name in offered)

    def move(self, address: tuple[str, int] | None) -> None:
        """Our media is there from now on; None: where it was."""
        if address is not None:
            self.wish = replace(self.wish, address=address)

    def prefer(self, codecs: tuple[str, ...]) -> None:
        """Codecs (`NAME/clock`) that stand first in our offers, where we offer them at all."""
        self.wish = replace(self.wish, first=codecs)

    def limit(self, payloads: tuple[str, ...]) -> None:
        """Only these codecs from now on; empty: all."""
        self.wish = replace(self.wish, payloads=payloads)

    def offer_again(self, direction: str, payloads: tuple[str, ...], address: tuple[str, int] | None) -> Wish:
        """Prepare a further offer. Returns what was wanted before, for `restore` when it is refused."""
        before = self.wish
        self.received = ""
        self.wish = replace(before, direction=direction, offer=payloads)
        self.move(address)
        return before

    def restore(self, before: Wish) -> None:
        """The offer was refused: all stays as it was (RFC 3261 §14.1)."""
        self.wish = before

    def agreed(self) -> None:
        """Offer and answer are there."""
        self.negotiated = True
        self.received = ""
        self.wish = replace(self.wish, offer=())
