# SPDX-License-Identifier: GPL-2.0-or-later
"""What is accepted and offered, by what the media process has and the configuration says (spec core.md §8)."""

from __future__ import annotations

from random import Random

import pytest

from di.kernel.errors import ConfigError
from di.media_control.codecs import NAMES, check, choose
from media.control.records import AudioFormat

PCMU, PCMA, GSM = AudioFormat("PCMU", 8000, 1, 0), AudioFormat("PCMA", 8000, 1, 8), AudioFormat("GSM", 8000, 1, 3)
OPUS, ILBC, G726 = AudioFormat("opus", 48000, 2), AudioFormat("iLBC", 8000), AudioFormat("G726-32", 8000)
SPEEX, WIDE_SPEEX = AudioFormat("speex", 8000), AudioFormat("speex", 16000, rate_hz=16000)
ALL = (PCMU, PCMA, OPUS, GSM, WIDE_SPEEX, SPEEX, ILBC, G726)


def names(formats: tuple[AudioFormat, ...]) -> list[str]:
    return [known.codec for known in formats]


def test_static_numbers_rise_and_the_rest_keeps_its_order() -> None:
    choice = choose(ALL, (), ())
    assert choice.accepted == (PCMU, GSM, PCMA, OPUS, WIDE_SPEEX, SPEEX, ILBC, G726)
    assert choice.offered == (PCMU, GSM, PCMA, OPUS, SPEEX, ILBC)


def test_named_ones_come_first_and_are_offered() -> None:
    choice = choose(ALL, ("g726-32", "ILBC", "isac", "PCMA"), ())
    assert names(choice.offered)[:4] == ["G726-32/8000", "ILBC/8000", "PCMA/8000", "PCMU/8000"]


def test_one_name_means_every_rate() -> None:
    """SEMS keeps only the first of them (spec core.md §8)."""
    assert choose(ALL, ("speex",), ()).offered[:2] == (WIDE_SPEEX, SPEEX)
    assert choose(ALL, ("speex/8000", "speex"), ()).offered[:2] == (SPEEX, WIDE_SPEEX)


def test_excluded_ones_are_neither_offered_nor_accepted() -> None:
    choice = choose(ALL, ("PCMU", "speex"), ("pcmu", "speex/16000", "never-heard-of"))
    assert PCMU not in choice.accepted and WIDE_SPEEX not in choice.accepted and choice.offered[0] == SPEEX


def test_what_is_rare_is_offered_when_nothing_else_is_left() -> None:
    assert choose((G726,), (), ()).offered == (G726,)


def test_nothing_left_is_told_with_its_place() -> None:
    with pytest.raises(ConfigError, match=r"sems.conf:7: exclude_payloads: no codec is left; there are: PCMU/8000"):
        choose((PCMU,), (), ("PCMU",), "sems.conf", 7)
    with pytest.raises(ConfigError, match="there are: none"):
        choose((), (), ())


def test_names_are_judged_before_the_start() -> None:
    check(["speex/16000", "pcmu", "isac", "telephone-event"], ["anything"], "f", 1)
    with pytest.raises(ConfigError, match="f:1: codec_order: 'MP5' is no codec; there are: PCMU"):
        check(["MP5"], [], "f", 1)
    with pytest.raises(ConfigError, match="no codec is left"):
        check([], NAMES, "f", 1)


def test_any_configuration_loses_and_invents_nothing() -> None:
    chance = Random(7)
    words = [known.codec for known in ALL] + [known.name for known in ALL] + ["", "/", "x/8000"]
    for _ in range(500):
        order, excluded = chance.choices(words, k=chance.randrange(6)), chance.choices(words, k=chance.randrange(4))
        choice = choose(ALL, order, excluded)
        assert set(choice.offered) <= set(choice.accepted) <= set(ALL)
        assert len(choice.accepted) == len(set(choice.accepted)) and choice.offered
