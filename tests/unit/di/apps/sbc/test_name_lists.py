# SPDX-License-Identifier: GPL-2.0-or-later
"""Filters by name: laws, and the forms that names have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from di.apps.sbc.name_lists import attribute_passes, codec_passes, is_codec, passes, passing_headers

NAMES = st.text(st.characters(codec="ascii", exclude_characters=" \t\r\n"), min_size=1, max_size=12)


@given(st.lists(NAMES, max_size=6), NAMES)
def test_a_blacklist_passes_what_a_whitelist_blocks(listed: list[str], name: str) -> None:
    assert passes("transparent", listed, name)
    assert passes("whitelist", listed, name) is not passes("blacklist", listed, name)
    assert passes("whitelist", [*listed, name.swapcase()], name) and not passes("blacklist", [*listed, name.upper()], name)
    assert not passes("whitelist", [], name) and passes("blacklist", [], name)


HEADERS = (("Subject", "one"), ("s", "two"), ("X-Mine", "three"), ("Via", "SIP/2.0/UDP a"), ("Contact", "<sip:a>"))


@pytest.mark.parametrize(
    ("kind", "listed", "left"),
    [
        ("transparent", (), ("Subject: one", "s: two", "X-Mine: three")),
        ("whitelist", ("subject",), ("Subject: one", "s: two")),
        ("whitelist", ("S", "via", "contact"), ("Subject: one", "s: two")),
        ("blacklist", ("SUBJECT",), ("X-Mine: three",)),
        ("whitelist", (), ()),
    ],
)
def test_headers_by_either_name_and_never_those_of_the_stack(kind: str, listed: tuple[str, ...], left: tuple[str, ...]) -> None:
    assert passing_headers(kind, listed, HEADERS) == left


@pytest.mark.parametrize(
    ("said", "codec", "same"),
    [
        ("pcmu", "PCMU/8000", True),
        ("PCMU/8000", "PCMU/8000", True),
        ("PCMU/16000", "PCMU/8000", False),
        ("PCM", "PCMU/8000", False),
        ("opus/48000/2", "OPUS/48000", True),
        ("speex", "SPEEX/32000", True),
        ("", "PCMU/8000", False),
    ],
)
def test_a_codec_by_name_and_by_clock(said: str, codec: str, same: bool) -> None:
    assert is_codec(said, codec) is same
    assert codec_passes("whitelist", (said,), codec) is same and codec_passes("blacklist", (said,), codec) is not same


def test_attributes_by_name() -> None:
    assert attribute_passes("blacklist", ("x-flag",), "a=label:x-flag") and not attribute_passes(
        "blacklist", ("x-flag",), "a=X-Flag:1"
    )
    assert attribute_passes("whitelist", ("label",), "a=label") and not attribute_passes("whitelist", ("label",), "a=labels:1")
