# SPDX-License-Identifier: GPL-2.0-or-later
"""The session descriptions of one call: what pjsip writes becomes what we say (RFC 3264). Pure.

pjsip makes an offer or an answer of all codecs that it knows, at an address that belongs to no socket; here it is cut to what is wanted, put
in order, pointed at the media process and given a direction. pjmedia then negotiates with the changed text. Where we have no address
yet, or something goes wrong, what is said refuses every stream: pjsip's own description never goes out.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from di.sip.records import Appearance
from interfaces.sip.keying import Keying
from interfaces.sip.sdp import edits
from interfaces.sip.sdp.carried import carrying
from interfaces.sip.sdp.model import END, NOTHING, MediaDescription, SessionDescription, parse

_NOWHERE = ("127.0.0.1", 0)
_UNSPECIFIED = "0.0.0.0"
_EMPTY = parse(END.join(("v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0", "")))


@dataclass(frozen=True, slots=True)
class Wish:
    """What the hub wants of our side. `payloads`: the only codecs (`NAME/clock`), empty for all; `offer`: those of the next offer, in order.

    `first`: codecs that stand first in an offer that the hub has not listed. `nowhere`: offers name no address.
    """

    address: tuple[str, int] | None = None
    direction: str = "sendrecv"
    payloads: tuple[str, ...] = ()
    offer: tuple[str, ...] = ()
    first: tuple[str, ...] = ()
    nowhere: bool = False


_ANY, _USUAL = Wish(), Appearance()


class Descriptions:
    """`offered`: upper-case `NAME/clock` of what our own offers name when the hub names nothing."""

    def __init__(self, outgoing: bool, offered: Collection[str], keying: Keying | None = None) -> None:
        self._outgoing, self._offered = outgoing, frozenset(offered)
        self.keying = keying or Keying(bytes)
        self.wish = _ANY
        self.appearance = _USUAL
        self.theirs = NOTHING
        """Their last description that was agreed on, or is being answered."""
        self.ours = NOTHING
        """What we said last."""
        self.received = NOTHING
        """Their offer, until it has been answered."""
        self.answer: SessionDescription | None = None
        """Our first answer as it was before the hub said how to answer."""
        self.negotiated = False
        self.we_offered = outgoing
        """Who made the offer of the last agreement."""

    def created(self, text: str, current: str) -> str:
        """What we say instead of pjsip's description: the answer to what was received, or an offer. `current`: the codec that is spoken."""
        if not text:
            return self.nothing_said(text)
        wish, theirs, ours = self.wish, self.received, edits.parsed(edits.steady(text))
        if theirs.media:
            self.theirs = theirs
            ours = edits.answering(ours, theirs.meaning)
            if not self._outgoing and not self.negotiated:
                self.answer = ours  # the media address comes with the hub's answer
                if wish.address is None:  # pjsip only asks whether we can speak with each other
                    self.ours = edits.with_events_of(ours, theirs.meaning)
                    return str(self.ours)
            ours = edits.only(edits.only(ours, wish.payloads), wish.offer)
        elif wish.offer:
            allowed = tuple(codec for codec in wish.offer if codec in wish.payloads or not wish.payloads) or wish.offer
            ours = edits.in_order(edits.only(ours, allowed), allowed)
        else:
            ours = edits.only(edits.keep_codecs(ours, self._offered | ({current} if current else frozenset())), wish.payloads)
            ours = edits.in_order(ours, wish.first) if wish.first else ours
        return self._said(edits.with_direction(ours, wish.direction), theirs)

    def _said(self, ours: SessionDescription, theirs: SessionDescription) -> str:
        """With keys, and pointed at our media. Before that is known the text stays here: `answer_now` comes before the first answer."""
        ours = edits.with_events_of(ours, theirs.meaning) if theirs.media else edits.with_own_events(ours)
        ours = carrying(ours, self.appearance.lines)
        if self.wish.address is not None:
            user = "-" if self.appearance.anonymous else edits.OWN_NAME
            ours = edits.placed(ours, *self.wish.address, user, theirs.wished_ptime_ms())
            if self.wish.nowhere and not theirs.media:
                ours = edits.at_address(ours, "IP4", _UNSPECIFIED)
        ours = self.keying.answer(ours, theirs) if theirs.media else self.keying.offer(ours)
        self.ours = ours
        return str(ours)

    def nothing_said(self, text: str) -> str:
        """Every stream refused and no address of pjsip's: for when our own description cannot be made. `text`: pjsip's, if it is known."""
        said = parse(text)
        if not said.media:
            streams = self.received.media or (MediaDescription(("m=audio 0 RTP/AVP 0" + END,)),)
            said = replace(_EMPTY, media=tuple(MediaDescription(stream.lines[:1]) for stream in streams))
        self.ours = edits.placed(edits.refused(said), *(self.wish.address or _NOWHERE))
        return str(self.ours)

    def answer_now(self) -> str:
        """Our first answer with what the hub now wants; empty when pjsip's is right: none is there yet, or it has gone out."""
        if self.answer is None or self.negotiated:
            return ""
        return self._said(edits.only(self.answer, self.wish.payloads), self.theirs)

    def nothing_in_common(self) -> bool:
        """The caller offers none of the codecs that the answer is limited to."""
        offered = self.theirs.codecs
        return bool(self.wish.payloads) and bool(offered) and not any(name in self.wish.payloads for name in offered)

    def move(self, address: tuple[str, int] | None) -> None:
        """Our media is there from now on; None: where it was."""
        if address is not None:
            wish = self.wish
            self.wish = Wish(address, wish.direction, wish.payloads, wish.offer, wish.first, wish.nowhere)

    def prefer(self, codecs: tuple[str, ...]) -> None:
        """Codecs (`NAME/clock`) that stand first in our offers, where we offer them at all."""
        self.wish = replace(self.wish, first=codecs)

    def offer_only(self, codecs: tuple[str, ...]) -> None:
        """The only codecs of our first offer, most wanted first; empty: those of every offer."""
        self.wish = replace(self.wish, offer=codecs)

    def limit(self, payloads: tuple[str, ...]) -> None:
        """Only these codecs from now on; empty: all."""
        wish = self.wish
        if payloads != wish.payloads:
            self.wish = Wish(wish.address, wish.direction, payloads, wish.offer, wish.first, wish.nowhere)

    def offer_again(
        self, direction: str, payloads: tuple[str, ...], address: tuple[str, int] | None, nowhere: bool = False
    ) -> Wish:
        """Prepare a further offer. Returns what was wanted before, for `restore` when it is refused."""
        before = self.wish
        self.received = NOTHING
        self.wish = replace(before, direction=direction, offer=payloads, nowhere=nowhere)
        self.move(address)
        return before

    def restore(self, before: Wish) -> None:
        """The offer was refused: all stays as it was (RFC 3261 §14.1)."""
        self.wish = before

    def agreed(self, arrived: SessionDescription = NOTHING) -> None:
        """Offer and answer are there. `arrived`: what came in the message that brought this about, their answer if we had offered."""
        self.we_offered = not self.received.media
        if self.we_offered and arrived.media:
            self.theirs = arrived
        self.keying.agreed(self.theirs, self.we_offered)
        self.negotiated = True
        self.received = NOTHING
        if self.wish.offer:
            self.wish = replace(self.wish, offer=())
