# SPDX-License-Identifier: GPL-2.0-or-later
"""What a call says about keys, by offer and answer (RFC 4568 §5, §7.1; RFC 8643), and what it refuses."""

from __future__ import annotations

import base64
import itertools

import pytest

from di.sip.records import SrtpPolicy
from interfaces.sip.keying import NO_COMMON_SUITE, NOT_IN_THE_CLEAR, REQUIRED, Keying, SrtpRule, Unprotected, is_used, rule_of
from interfaces.sip.sdp.crypto import PROFILE, crypto_of
from interfaces.sip.sdp.model import SessionDescription, parse
from media.control.records import Srtp, SrtpKey

CM, GCM = "AES_CM_128_HMAC_SHA1_80", "AEAD_AES_128_GCM"
BOTH = (GCM, CM)
OPTIONAL, MANDATORY = SrtpRule("optional", BOTH, True), SrtpRule("mandatory", BOTH, True)
HEAD = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"


def key_of(first: int, suite: str = CM) -> bytes:
    return bytes((first + i) % 256 for i in range(30 if suite == CM else 28))


def said(profile: str, *suites: str, key: int = 100, tag: int = 1) -> SessionDescription:
    lines = [
        f"a=crypto:{number} {suite} inline:{base64.b64encode(key_of(key, suite)).decode()}\r\n"
        for number, suite in enumerate(suites, tag)
    ]
    return parse(HEAD + f"m=audio 4000 {profile} 0\r\n" + "".join(lines))


def test_a_flood_of_calls_without_keys_is_told_of_seldom(caplog: pytest.LogCaptureFixture) -> None:
    now_ns = 0
    unprotected = Unprotected(lambda: now_ns)
    for number in range(40):
        unprotected.tell(f"call {number} from 198.51.100.7", REQUIRED)
    assert (
        caplog.text.count(f"is refused: {REQUIRED}") == 10 and "call 9 from" in caplog.text and "call 10 from" not in caplog.text
    )
    now_ns = 1_000_000_000
    unprotected.tell("call 41: a later offer", REQUIRED)
    assert f"call 41: a later offer is refused: {REQUIRED} (and 30 such lines before it were left out)" in caplog.text


OURS = said("RTP/AVP")


def keying(rule: SrtpRule) -> Keying:
    numbers = itertools.count(1)
    return Keying(lambda count: bytes([next(numbers)]) * count, rule)


def crypto_in(description: SessionDescription) -> list[tuple[int, str, bytes]]:
    audio = description.audio
    assert audio is not None
    found = [crypto_of(value) for value in audio.values("crypto")]
    return [(one.tag, one.suite, one.keys[0].key) for one in found if one is not None]


def profile_of(description: SessionDescription) -> str:
    audio = description.audio
    assert audio is not None
    return "".join(audio.values(PROFILE)) or audio.protocol


@pytest.mark.parametrize(
    ("policy", "ip", "tls", "dialled", "mode", "suites"),
    [
        (SrtpPolicy(), "", True, False, "off", ()),
        (SrtpPolicy("optional", "mandatory", (), BOTH), "", True, False, "optional", BOTH),
        (SrtpPolicy("optional", "mandatory", (), BOTH), "", True, True, "mandatory", BOTH),
        (SrtpPolicy("optional", "optional", (), BOTH), "", False, False, "optional", ()),
        (SrtpPolicy("optional", "optional", (), BOTH, True), "", False, False, "optional", BOTH),
        (SrtpPolicy("off", "off", (("10.0.0.1", "mandatory"),), BOTH), "10.0.0.1", True, True, "mandatory", BOTH),
        (SrtpPolicy("optional", "off", (("10.0.0.1", "off"),), BOTH), "10.0.0.1", True, False, "off", ()),
    ],
)
def test_which_rule_holds(policy: SrtpPolicy, ip: str, tls: bool, dialled: bool, mode: str, suites: tuple[str, ...]) -> None:
    assert rule_of(policy, ip, tls, dialled) == SrtpRule(mode, suites, is_used(policy))
    assert is_used(policy) is (policy != SrtpPolicy())


@pytest.mark.parametrize("profile", ["RTP/SAVP", "RTP/SAVPF", "RTP/AVP"])
@pytest.mark.parametrize("rule", [OPTIONAL, MANDATORY])
def test_an_offer_is_answered_in_its_profile(rule: SrtpRule, profile: str) -> None:
    call, offer = keying(rule), said(profile, "AES_CM_128_HMAC_SHA1_32", CM, tag=7)
    assert call.refusal(offer) == ""
    answer = call.answer(OURS, offer)
    assert crypto_in(answer) == [(8, CM, b"\1" * 30)] and profile_of(answer) == profile
    assert call.agreed(offer, False) == Srtp(CM, b"\1" * 30, (SrtpKey(key_of(100)),)) and not call.is_missing


def test_plain_offers_are_answered_plainly_where_they_may_be() -> None:
    call, offer = keying(OPTIONAL), said("RTP/AVP")
    assert call.refusal(offer) == "" and call.answer(OURS, offer) is OURS and call.agreed(offer, False) is None


@pytest.mark.parametrize(
    ("rule", "offer", "why"),
    [
        (MANDATORY, said("RTP/AVP"), REQUIRED),
        (MANDATORY, said("RTP/SAVP"), REQUIRED),
        (SrtpRule("mandatory", (), True), said("RTP/SAVP", CM), NOT_IN_THE_CLEAR),
        (SrtpRule("optional", (), True), said("RTP/SAVP", CM), NOT_IN_THE_CLEAR),
        (SrtpRule("optional", (), True), said("RTP/AVP", CM), ""),
        (OPTIONAL, said("RTP/SAVP", "AES_CM_128_HMAC_SHA1_32"), NO_COMMON_SUITE),
        (SrtpRule("off", (), True), said("RTP/SAVP", CM), "SRTP is off here"),
        (SrtpRule(), said("RTP/SAVP", CM), ""),
        (MANDATORY, parse(HEAD + "m=audio 0 RTP/AVP 0\r\n"), ""),
    ],
)
def test_what_is_refused(rule: SrtpRule, offer: SessionDescription, why: str) -> None:
    assert keying(rule).refusal(offer) == why


@pytest.mark.parametrize(("rule", "profile"), [(OPTIONAL, "RTP/AVP"), (MANDATORY, "RTP/SAVP")])
def test_our_offer_has_a_key_for_each_suite(rule: SrtpRule, profile: str) -> None:
    call = keying(rule)
    offer = call.offer(OURS)
    assert crypto_in(offer) == [(1, GCM, b"\1" * 28), (2, CM, b"\2" * 30)] and profile_of(offer) == profile
    answer = said("RTP/SAVP", CM, tag=2)
    assert call.agreed(answer, True) == Srtp(CM, b"\2" * 30, (SrtpKey(key_of(100)),))


@pytest.mark.parametrize(
    "answer", [said("RTP/AVP"), said("RTP/SAVP", CM, tag=1), said("RTP/SAVP", CM, tag=9), said("RTP/SAVP", "X")]
)
def test_an_answer_that_does_not_fit_agrees_on_nothing(answer: SessionDescription) -> None:
    for rule in (OPTIONAL, MANDATORY):
        call = keying(rule)
        call.offer(OURS)
        assert call.agreed(answer, True) is None and call.is_missing is (rule is MANDATORY)


def test_a_later_offer_has_the_same_key_and_suite() -> None:
    call = keying(OPTIONAL)
    call.answer(OURS, said("RTP/SAVP", CM))
    call.agreed(said("RTP/SAVP", CM), False)
    again = call.offer(OURS)
    assert crypto_in(again) == [(2, CM, b"\1" * 30)] and profile_of(again) == "RTP/SAVP"
    assert call.agreed(said("RTP/SAVP", CM, tag=2, key=50), True) == Srtp(CM, b"\1" * 30, (SrtpKey(key_of(50)),))


def test_the_peer_changes_its_key_and_ours_stays() -> None:
    call = keying(OPTIONAL)
    for key in (10, 20):
        offer = said("RTP/SAVP", GCM, CM, key=key)
        call.answer(OURS, offer)
        assert call.agreed(offer, False) == Srtp(GCM, b"\1" * 28, (SrtpKey(key_of(key, GCM)),))


def test_the_suite_in_use_stays_whatever_stands_first() -> None:
    call = keying(OPTIONAL)
    for suites in ((CM,), (GCM, CM)):
        offer = said("RTP/SAVP", *suites)
        call.answer(OURS, offer)
        agreed = call.agreed(offer, False)
        assert agreed is not None and agreed.suite == CM


def test_a_key_is_never_begun_anew() -> None:
    """After plain audio a call that is protected again has another key: the old one's counters are gone."""
    call, keys = keying(OPTIONAL), []
    for offer in (said("RTP/SAVP", CM), said("RTP/AVP"), said("RTP/SAVP", CM)):
        call.answer(OURS, offer)
        agreed = call.agreed(offer, False)
        keys.append(agreed.sent if agreed is not None else b"")
    assert keys == [b"\1" * 30, b"", b"\2" * 30]


def test_each_branch_of_a_fork_is_agreed_with_by_the_key_that_was_offered() -> None:
    call = keying(OPTIONAL)
    offered = {suite: key for _, suite, key in crypto_in(call.offer(OURS))}
    assert call.agreed(said("RTP/AVP"), True) is None
    for key in (1, 2):
        agreed = call.agreed(said("RTP/AVP", GCM, key=key), True)
        assert agreed is not None and agreed.sent == offered[GCM] and agreed.received[0].key == key_of(key, GCM)


def test_a_refused_stream_changes_nothing() -> None:
    call = keying(MANDATORY)
    call.answer(OURS, said("RTP/SAVP", CM))
    before = call.agreed(said("RTP/SAVP", CM), False)
    assert call.agreed(parse(HEAD + "m=audio 0 RTP/SAVP 0\r\n"), False) == before
