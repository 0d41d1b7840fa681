# SPDX-License-Identifier: GPL-2.0-or-later
"""Any text is a profile or a mistake with its place; whatever peers write, what goes on is a header line and an end comes."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from di.apps.api import ConfigError, PatternValues, Refused, describe, header_problem
from di.apps.sbc.choice import choose
from di.apps.sbc.hops import credential_lines, hop_line
from di.apps.sbc.identity import from_of, request_uri_of, without_tag
from di.apps.sbc.profile import Profile, parse_profile

KEYS = st.sampled_from([info.key for info in describe(Profile).values()] + ["few_module", "few_uuid", "call_control"])
VALUES = st.one_of(
    st.sampled_from(["yes", "no", "transparent", "few", "$H(x)", "480 No", "120", "sip:a@b", "192.0.2.1:5060"]),
    st.text(max_size=20),
)
LINES = st.lists(st.tuples(KEYS, VALUES).map(lambda pair: f'{pair[0]}="{pair[1]}"'), max_size=6).map("\n".join)
PAIRS = st.lists(st.tuples(st.sampled_from(["Authorization", "Max-Forwards", "X"]), st.text(max_size=30)), max_size=5)
FILE = Path("p.sbcprofile.conf")


@given(st.one_of(LINES, st.text(max_size=200)), st.text(max_size=30), PAIRS)
def test_any_profile(text: str, uri: str, pairs: list[tuple[str, str]]) -> None:
    try:
        profile = parse_profile(text, FILE)
    except ConfigError as error:
        assert error.file and error.hint
        return
    filled = profile.filled(PatternValues(request_uri=uri, from_header=uri, headers=tuple(pairs)))
    try:
        request_uri_of(filled, uri)
    except Refused as refused:
        assert filled.patch_ruri_next_hop and refused.code == 500
    assert isinstance(from_of(filled, uri), str)


@given(PAIRS)
def test_any_headers(pairs: list[tuple[str, str]]) -> None:
    for line in credential_lines(parse_profile("", FILE), pairs, ours=False):
        assert not header_problem(line)
    try:
        assert not header_problem(hop_line(pairs))
    except Refused as refused:
        assert refused.code == 483


@given(st.text(max_size=60))
def test_any_value(value: str) -> None:
    assert len(without_tag(value)) <= len(value)
    assert isinstance(
        choose(("$(paramhdr)", "$(ruri.user)", "$H(X)"), PatternValues(request_uri=value, headers=(("P-App-Param", value),))), str
    )
