# SPDX-License-Identifier: GPL-2.0-or-later
"""Which codecs each leg is offered and answered with, and whether audio passes undecoded (spec applications.md §22.3). Pure.

    A offers ─► less sdp_filter ─► with transcoder_codecs, where enable_transcoder says so ─► in order ─► B is offered
    B answers ─► its codec, where A has it: passes undecoded ─► A is answered with one codec
              └► else, or where the profile prefers it: one of A's, and the media process converts

Codecs are upper-case NAME/clock. A profile's name without clock means all clocks of it; where it is to be offered, 8000 Hz, or what its codec
always has.
"""

from __future__ import annotations

from collections.abc import Sequence

from di.apps.api import Refused
from di.apps.sbc.keys import is_yes, names
from di.apps.sbc.name_lists import codec_passes, is_codec
from di.apps.sbc.profile import Profile

_CLOCKS = {"OPUS": "48000"}
"""RFC 7587 §4.1. All others of ours have 8000 Hz, some others beside it."""


def offer_to_b(profile: Profile, offered: Sequence[str]) -> tuple[str, ...]:
    """What the B leg is offered, most wanted first, where the A leg offers these. Empty `offered`, a call without an offer: what we have.

    Raises Refused(488) when nothing is left.
    """
    existing = [codec for codec in offered if codec_passes(profile.sdp_filter, profile.sdpfilter_list, codec)]
    if not offered:
        return ()
    extra = [codec for codec in transcoder_codecs(profile, existing) if codec not in existing]
    last = [codec for codec in existing if extra and _among(profile.prefer_transcoding_for_codecs, codec)]
    first = [codec for codec in existing if codec not in last]
    preference = names(profile.codec_preference)
    ordered = in_order(first, extra, preference, is_yes(profile.prefer_existing_codecs)) + last
    if not ordered:
        raise Refused(488, "Not Acceptable Here")
    return tuple(ordered)


def transcoder_codecs(profile: Profile, existing: Sequence[str]) -> list[str]:
    """What we convert to beside these, in the profile's order; none where they are to pass as they are."""
    if profile.enable_transcoder == "always":
        wanted = True
    elif profile.enable_transcoder == "on_missing_compatible":
        wanted = not any(_among(profile.callee_codeccaps, codec) for codec in existing)
    else:
        wanted = False
    said = [whole_name(name) for name in names(profile.transcoder_codecs)] if wanted else []
    return [codec for codec in dict.fromkeys(said) if codec_passes(profile.sdp_filter, profile.sdpfilter_list, codec)]


def answer_to_a(profile: Profile, offered: Sequence[str], second: str) -> tuple[str, ...]:
    """What the A leg, which offers these, is answered with when the B leg speaks `second`; one codec. Empty: all, it offered nothing.

    Raises Refused(488) when it has none that it may use.
    """
    if not offered:
        return ()
    allowed = [codec for codec in offered if codec_passes(*_filter_of_a(profile), codec)]
    if not allowed:
        raise Refused(488, "Not Acceptable Here")
    relayed = [second] if second in allowed else []
    existing = [codec for codec in offered if codec_passes(profile.sdp_filter, profile.sdpfilter_list, codec)]
    converts = bool(transcoder_codecs(profile, existing)) or profile.enable_transcoder == "always"
    if not converts:
        if second and not relayed:
            raise Refused(488, "Not Acceptable Here")
        return tuple(relayed) or tuple(allowed)
    reachable = [whole_name(name) for name in names(profile.transcoder_codecs)]
    extra = [codec for codec in allowed if codec != second and codec in reachable]
    if relayed and extra and _among(profile.prefer_transcoding_for_codecs_aleg, second):
        relayed = []
    ordered = in_order(relayed, extra, names(profile.codec_preference_aleg), is_yes(profile.prefer_existing_codecs_aleg))
    return tuple((ordered or allowed)[:1])


def later_of_a(profile: Profile, offered: Sequence[str]) -> tuple[str, ...]:
    """What the A leg may speak in offers that come later. Empty: all."""
    kind, listed = _filter_of_a(profile)
    if kind == "transparent" or not offered:
        return ()
    ours = [whole_name(name) for name in names(profile.transcoder_codecs)] if profile.enable_transcoder != "never" else []
    return tuple(codec for codec in dict.fromkeys((*offered, *ours)) if codec_passes(kind, listed, codec))


def later_of_b(profile: Profile, offered: Sequence[str]) -> tuple[str, ...]:
    """What the B leg, which was offered these, may speak later. Empty: all."""
    return () if profile.sdp_filter == "transparent" else tuple(offered)


def _filter_of_a(profile: Profile) -> tuple[str, tuple[str, ...]]:
    if profile.aleg_sdp_filter:
        return profile.aleg_sdp_filter, profile.aleg_sdpfilter_list
    return profile.sdp_filter, profile.sdpfilter_list


def in_order(existing: Sequence[str], extra: Sequence[str], preference: Sequence[str], existing_first: bool) -> list[str]:
    """Both, those of `preference` first and in its order; the rest as it was. `existing_first`: all of those before all that are added."""

    def rank(codec: str) -> int:
        return next((place for place, said in enumerate(preference) if is_codec(said, codec)), len(preference))

    if existing_first:
        return sorted(existing, key=rank) + sorted(extra, key=rank)
    return sorted((*existing, *extra), key=rank)


def whole_name(said: str) -> str:
    """A codec as an offer names it."""
    words = said.strip().upper().split("/")
    return f"{words[0]}/{words[1] if len(words) > 1 else _CLOCKS.get(words[0], '8000')}"


def _among(listed: str, codec: str) -> bool:
    return any(is_codec(said, codec) for said in names(listed))


def keys_pass_as_events(profile: Profile, codec: str) -> bool:
    """dtmf_transcoding: whether keys in the audio of a leg become events for another one that speaks `codec`."""
    if profile.dtmf_transcoding == "always":
        return True
    return profile.dtmf_transcoding == "lowfi_codec" and _among(profile.lowfi_codecs, codec)
