# SPDX-License-Identifier: GPL-2.0-or-later
"""Which application takes a call, by the mapping and by the other ways to choose."""

from __future__ import annotations

import pytest

from di.calls.selection import Selection, map_uri, parse_mapping
from di.kernel.errors import ConfigError

MAPPING = parse_mapping(
    """# comment
^sip:announce=>announcement

^sip:(room|conference)([0-9]+)@=>\\1app\\2
^sip:[^@]*@conference\\.=>webconference
^sip:x[[:digit:]]{2}@=>digits
""",
    "app_mapping.conf",
)


@pytest.mark.parametrize(
    ("uri", "application"),
    [
        ("sip:announce@h", "announcement"),
        ("sip:announce.too@conference.h", "announcement"),
        ("sip:room7@h", "roomapp7"),
        ("sip:conference12@h", "conferenceapp12"),
        ("sip:somebody@conference.example", "webconference"),
        ("sip:x42@h", "digits"),
        ("sip:x4@h", ""),
        ("", ""),
    ],
)
def test_mapping(uri: str, application: str) -> None:
    assert map_uri(MAPPING, uri) == application


@pytest.mark.parametrize("line", ["no arrow", "=>echo", "^sip:=>", "(=>echo", "[a=>echo"])
def test_bad_mapping_line_is_named(line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_mapping(f"^a=>b\n{line}\n", "m")
    assert str(caught.value).startswith("m:2: ")


@pytest.mark.parametrize(
    ("setting", "application"),
    [
        ("$(ruri.user)", "bob"),
        ("$(ruri.param)", "echo"),
        ("$(apphdr)", "voicebox"),
        ("$(mapping)", "mapped"),
        ("fixed", "fixed"),
        ("", ""),
    ],
)
def test_ways_to_choose(setting: str, application: str) -> None:
    chosen = Selection(setting, parse_mapping("bob=>mapped", "m"))
    headers = (("To", "x"), ("p-app-name", " voicebox "))
    assert chosen.choose("sip:bob@h;app=echo;x", headers) == application


def test_the_mapping_as_text_is_the_same_mapping() -> None:
    again = parse_mapping(Selection("$(mapping)", MAPPING).lines(), "again")
    assert [(rule.pattern, rule.application) for rule in again] == [(rule.pattern, rule.application) for rule in MAPPING]
    assert Selection("echo").lines() == ""
