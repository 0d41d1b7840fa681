# SPDX-License-Identifier: GPL-2.0-or-later
"""Which codecs the legs of a call get, by hand and by law."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from di.apps.api import Refused
from di.apps.sbc.codec_choice import answer_to_a, keys_pass_as_events, later_of_a, later_of_b, offer_to_b
from di.apps.sbc.name_lists import codec_passes
from di.apps.sbc.profile import Profile

PCMU, PCMA, G722, GSM, OPUS = "PCMU/8000", "PCMA/8000", "G722/8000", "GSM/8000", "OPUS/48000"
PLAIN = Profile()
CONVERTS = replace(PLAIN, enable_transcoder="always", transcoder_codecs="pcma,G722/8000,opus")


@pytest.mark.parametrize(
    ("changes", "offered", "expected"),
    [
        ({}, (PCMU, GSM), (PCMU, GSM)),
        ({}, (), ()),
        ({"sdp_filter": "blacklist", "sdpfilter_list": ("pcmu",)}, (PCMU, GSM), (GSM,)),
        ({"sdp_filter": "whitelist", "sdpfilter_list": ("gsm", "PCMU/8000")}, (PCMU, PCMA, GSM), (PCMU, GSM)),
        ({"codec_preference": "gsm,pcma"}, (PCMU, PCMA, GSM), (GSM, PCMA, PCMU)),
        ({"transcoder_codecs": "pcma"}, (PCMU,), (PCMU,)),
        ({"enable_transcoder": "always", "transcoder_codecs": "pcma,opus"}, (PCMU,), (PCMU, PCMA, OPUS)),
        ({"enable_transcoder": "always", "transcoder_codecs": "pcma", "codec_preference": "pcma"}, (PCMU,), (PCMA, PCMU)),
        (
            {"enable_transcoder": "always", "transcoder_codecs": "pcma", "codec_preference": "pcma,gsm", "prefer_existing_codecs": "yes"},
            (PCMU, GSM),
            (GSM, PCMU, PCMA),
        ),
        ({"enable_transcoder": "always", "transcoder_codecs": "pcma", "prefer_transcoding_for_codecs": "gsm"}, (GSM, PCMU), (PCMU, PCMA, GSM)),
        ({"prefer_transcoding_for_codecs": "gsm"}, (GSM, PCMU), (GSM, PCMU)),
        (
            {"enable_transcoder": "on_missing_compatible", "transcoder_codecs": "pcma", "callee_codeccaps": "pcma,pcmu"},
            (PCMU, GSM),
            (PCMU, GSM),
        ),
        (
            {"enable_transcoder": "on_missing_compatible", "transcoder_codecs": "pcma", "callee_codeccaps": "pcma"},
            (GSM,),
            (GSM, PCMA),
        ),
        (
            {"enable_transcoder": "always", "transcoder_codecs": "pcma", "sdp_filter": "whitelist", "sdpfilter_list": ("pcma",)},
            (GSM,),
            (PCMA,),
        ),
    ],
)  # fmt: skip
def test_what_the_called_one_is_offered(changes: dict[str, str], offered: tuple[str, ...], expected: tuple[str, ...]) -> None:
    assert offer_to_b(replace(PLAIN, **changes), offered) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("profile", "offered", "second", "expected"),
    [
        (PLAIN, (PCMU, GSM), GSM, (GSM,)),
        (PLAIN, (), GSM, ()),
        (PLAIN, (PCMU, GSM), "", (PCMU, GSM)),
        (CONVERTS, (PCMU, GSM), GSM, (GSM,)),
        (CONVERTS, (PCMU, PCMA), G722, (PCMA,)),
        (CONVERTS, (PCMU, GSM), G722, (PCMU,)),
        (replace(CONVERTS, codec_preference_aleg="pcma"), (GSM, PCMA), GSM, (PCMA,)),
        (replace(CONVERTS, codec_preference_aleg="pcma", prefer_existing_codecs_aleg="yes"), (GSM, PCMA), GSM, (GSM,)),
        (replace(CONVERTS, prefer_transcoding_for_codecs_aleg="gsm"), (GSM, PCMA), GSM, (PCMA,)),
        (replace(CONVERTS, prefer_transcoding_for_codecs_aleg="gsm"), (GSM, PCMU), GSM, (GSM,)),
        (replace(CONVERTS, aleg_sdp_filter="blacklist", aleg_sdpfilter_list=("gsm",)), (GSM, PCMA), GSM, (PCMA,)),
        (replace(CONVERTS, sdp_filter="blacklist", sdpfilter_list=("gsm",)), (GSM, PCMA), GSM, (PCMA,)),
        (replace(CONVERTS, sdp_filter="blacklist", sdpfilter_list=("gsm",), aleg_sdp_filter="transparent"), (GSM, PCMA), GSM, (GSM,)),
    ],
)  # fmt: skip
def test_what_the_caller_is_answered(profile: Profile, offered: tuple[str, ...], second: str, expected: tuple[str, ...]) -> None:
    assert answer_to_a(profile, offered, second) == expected


def test_nothing_in_common_is_refused() -> None:
    with pytest.raises(Refused):
        offer_to_b(replace(PLAIN, sdp_filter="whitelist", sdpfilter_list=("gsm",)), (PCMU,))
    with pytest.raises(Refused):
        answer_to_a(PLAIN, (PCMU,), GSM)
    with pytest.raises(Refused):
        answer_to_a(replace(CONVERTS, aleg_sdp_filter="whitelist", aleg_sdpfilter_list=("gsm",)), (PCMU,), PCMU)


CODECS = st.lists(st.sampled_from([PCMU, PCMA, G722, GSM, OPUS]), unique=True)
LISTS = CODECS.map(",".join)
FILTERS = st.sampled_from(["transparent", "whitelist", "blacklist"])
PROFILES = st.builds(
    Profile,
    enable_transcoder=st.sampled_from(["always", "never", "on_missing_compatible"]),
    transcoder_codecs=LISTS,
    callee_codeccaps=LISTS,
    codec_preference=LISTS,
    codec_preference_aleg=LISTS,
    prefer_existing_codecs=st.sampled_from(["yes", "no"]),
    prefer_transcoding_for_codecs=LISTS,
    prefer_transcoding_for_codecs_aleg=LISTS,
    sdp_filter=FILTERS,
    sdpfilter_list=CODECS.map(tuple),
    aleg_sdp_filter=st.just("") | FILTERS,
    aleg_sdpfilter_list=CODECS.map(tuple),
)


@given(PROFILES, CODECS.filter(bool), st.integers(0, 4))
def test_laws(profile: Profile, offered: list[str], place: int) -> None:
    """Nothing filtered is ever offered or answered; without transcoder both legs have one codec; each codec once."""
    try:
        offer = offer_to_b(profile, offered)
    except Refused:
        return
    assert len(set(offer)) == len(offer)
    assert all(codec_passes(profile.sdp_filter, profile.sdpfilter_list, codec) for codec in offer)
    assert set(offer) >= {codec for codec in offered if codec_passes(profile.sdp_filter, profile.sdpfilter_list, codec)}
    second = offer[place % len(offer)]
    try:
        answer = answer_to_a(profile, offered, second)
    except Refused:
        return
    assert len(answer) == 1 and answer[0] in offered
    if profile.enable_transcoder == "never":
        assert answer == (second,) and set(offer) <= set(offered)


def test_later_offers() -> None:
    filtering = replace(PLAIN, sdp_filter="blacklist", sdpfilter_list=("gsm",))
    assert later_of_a(PLAIN, (PCMU, GSM)) == later_of_b(PLAIN, (PCMU,)) == ()
    assert later_of_a(filtering, (PCMU, GSM)) == (PCMU,) and later_of_b(filtering, (PCMU,)) == (PCMU,)
    converting = replace(filtering, enable_transcoder="always", transcoder_codecs="pcma,gsm")
    assert later_of_a(converting, (PCMU, GSM)) == (PCMU, PCMA)


def test_keys_in_the_audio() -> None:
    assert keys_pass_as_events(replace(PLAIN, dtmf_transcoding="always"), PCMU) and not keys_pass_as_events(PLAIN, GSM)
    low = replace(PLAIN, dtmf_transcoding="lowfi_codec", lowfi_codecs="gsm,ilbc")
    assert keys_pass_as_events(low, GSM) and not keys_pass_as_events(low, PCMU)
