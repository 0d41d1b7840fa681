# SPDX-License-Identifier: GPL-2.0-or-later
"""What stands for bytes that pjsua2 does not take."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from interfaces.sip.message import escaped, text_of, wire_bytes
from interfaces.sip.placeholders import Placeholders


@given(st.binary(max_size=80))
def test_what_is_given_out_is_a_text_and_leads_back(data: bytes) -> None:
    first: list[int] = []
    known = Placeholders(lambda: first.append(1))
    header, body = known.header("X-A", text_of(data)).encode(), known.body(data).encode()
    back = {(name, placeholder): found for name, placeholder, found in known.known()}
    assert back.get(("X-A", header), header) == data
    assert back.get(("", body), body) == data
    assert len(first) == (header != data)


def test_a_headers_placeholder_is_no_body() -> None:
    known = Placeholders(lambda: None)
    known.header("X-A", "\udcff")
    assert [name for name, _, _ in known.known()] == ["X-A"]


def test_only_so_many_are_kept() -> None:
    known = Placeholders(lambda: None)
    for _ in range(1000):
        known.header("X-A", "\udcff")
    assert len(list(known.known())) == 64


@given(st.text(max_size=40))
def test_uris_are_texts_of_whole_characters(uri: str) -> None:
    assert wire_bytes(escaped(uri)).decode() == escaped(uri)


def test_bytes_in_uris_are_escaped() -> None:
    assert escaped('"\udce9" <sip:\udcff\u00fc@h>') == '"%E9" <sip:%FF\u00fc@h>'
