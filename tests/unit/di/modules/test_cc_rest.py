# SPDX-License-Identifier: GPL-2.0-or-later
"""Answers of the web server of cc_rest: what they change, and that no bytes do more; questions to the black list."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from di.calls.call_changes import NameFilter
from di.modules.cc_bl_redis.control import command, is_hit
from di.modules.cc_bl_redis.options import parse_pauses
from di.modules.cc_rest.answers import read


def test_both_forms_say_the_same() -> None:
    text = b"\r\n# a comment\nruri = sip:a@b\nnext_hop=10.0.0.1\r\nsst_enabled = no\nheader_filter = blacklist\nheader_list = X-A,X-B\n"
    answer = {
        "ruri": "sip:a@b",
        "next_hop": "10.0.0.1",
        "sst_enabled": False,
        "header_filter": "blacklist",
        "header_list": ["X-A", "X-B"],
    }
    changes, said = read(text, "text")
    assert changes == read(json.dumps(answer).encode(), "json")[0]
    assert (changes.request_uri, changes.session_timer) == ("sip:a@b", False) and len(said) == 5
    assert changes.header_filter == NameFilter("blacklist", ("x-a", "x-b"))


@pytest.mark.parametrize(
    ("body", "kind"),
    [(b"x", "text"), (b"= x", "text"), (b"\xff", "text"), (b"[]", "json"), (b"{", "json"), (b'{"ruri": {}}', "json"), (b'{"ruri": 1.5}', "json"),
     (b"sst_enabled = often", "text"), (b"[" * 100_000, "json")],
)  # fmt: skip
def test_what_is_no_answer_is_said(body: bytes, kind: str) -> None:
    with pytest.raises(ValueError):
        read(body, kind)


@given(st.binary(max_size=200), st.sampled_from(["text", "json"]))
def test_any_bytes_are_read_or_refused(body: bytes, kind: str) -> None:
    try:
        changes, _ = read(body, kind)
    except ValueError:
        return
    assert not any(letter in line for line in changes.append_headers for letter in "\r\n")


def test_a_question_has_the_words_of_the_configuration() -> None:
    values = {"argc": "2", "argv_0": "GET", "argv_1": "a b", "argv_2": "x"}
    assert command(values) == ["GET", "a b"]
    for wrong in ({}, {"argc": "0"}, {"argc": "21"}, {"argc": "x"}, {"argc": "1"}, {"argc": "2", "argv_0": "x"}):
        with pytest.raises(ValueError, match="argc"):
            command(wrong)
    assert [is_hit(answer) for answer in (None, 0, b"", [], 1, -1, b"0", b"x", [b""])] == [False] * 4 + [True] * 5
    assert parse_pauses("5, 10") == (5, 10)
    for text in ("", "0", "x", "5;6"):
        with pytest.raises(ValueError):
            parse_pauses(text)
