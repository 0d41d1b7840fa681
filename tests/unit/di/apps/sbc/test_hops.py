# SPDX-License-Identifier: GPL-2.0-or-later
"""Hops and credentials of what goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from di.apps.api import Refused
from di.apps.sbc.hops import credential_lines, foreign, hop_line
from di.apps.sbc.profile import parse_profile

PAIRS = (("Authorization", "Digest a"), ("X", "y"), ("WWW-Authenticate", "Digest b"), ("proxy-authenticate", "c\r\nEvil: 1"))


@pytest.mark.parametrize(
    ("value", "left"), [("70", 69), ("1", 0), ("999", 69), ("nonsense", 69), ("", 69), ("99999999", 69), (" 5 ", 4)]
)
def test_one_hop_less(value: str, left: int) -> None:
    assert hop_line((("max-forwards", value),)) == f"X-Cordboard-Hops: {left}"


def test_no_hop_is_left() -> None:
    with pytest.raises(Refused, match="483"):
        hop_line((("Max-Forwards", "0"),))


def test_what_was_written_for_us_stays_here() -> None:
    for_us = [(name, "x") for name in ("x-cordboard-hops", "P-App-Param", "P-App-Name", "P-Call-Control", "P-MsgFlags")]
    assert foreign((*for_us, ("X", "y"), ("P-Asserted-Identity", "z"))) == (("X", "y"), ("P-Asserted-Identity", "z"))


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("", ("Authorization: Digest a", "WWW-Authenticate: Digest b")),
        ("header_filter=blacklist\nheader_list=authorization\n", ("WWW-Authenticate: Digest b",)),
        ("header_filter=whitelist\nheader_list=Authorization\n", ("Authorization: Digest a",)),
        ("header_filter=whitelist\n", ()),
    ],
)
def test_credentials_pass_as_the_filter_says(text: str, passes: tuple[str, ...]) -> None:
    profile = parse_profile(text, Path("p"))
    assert credential_lines(profile, PAIRS, ours=False) == passes
    assert credential_lines(profile, PAIRS, ours=True) == ()
