# SPDX-License-Identifier: GPL-2.0-or-later
"""Who calls whom and by which way, in the B leg."""

from __future__ import annotations

from pathlib import Path

import pytest

from di.apps.sbc.identity import from_of, hop_uri, next_hop_of, request_uri_of, to_of, with_host, without_tag
from di.apps.sbc.profile import Profile, parse_profile


def profile(text: str) -> Profile:
    return parse_profile(text, Path("p"))


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("", "sip:ben@here:5070;user=phone"),
        ("RURI=sip:x@y\n", "sip:x@y"),
        ("RURI_host=there:5080\n", "sip:ben@there:5080;user=phone"),
        ("RURI=sip:x@y\nRURI_host=z\n", "sip:x@z"),
        ("next_hop=192.0.2.1:5061/tcp\n", "sip:ben@here:5070;user=phone"),
        ("next_hop=192.0.2.1:5061/tcp\npatch_ruri_next_hop=yes\n", "sip:ben@192.0.2.1:5061;user=phone"),
        ('next_hop="[2001:db8::1],b"\npatch_ruri_next_hop=yes\n', "sip:ben@[2001:db8::1];user=phone"),
    ],
)
def test_request_uri(text: str, uri: str) -> None:
    assert request_uri_of(profile(text), "sip:ben@here:5070;user=phone") == uri


@pytest.mark.parametrize(
    ("uri", "made"),
    [
        ("sips:a@[::1]:5061;x=y", "sips:a@h;x=y"),
        ("sip:here", "sip:h"),
        ("sip:a:secret@b?Subject=x", "sip:a:secret@h?Subject=x"),
        ("tel:+49", "tel:+49"),
    ],
)
def test_another_host(uri: str, made: str) -> None:
    assert with_host(uri, "h") == made


@pytest.mark.parametrize(
    ("value", "made"),
    [
        ("<sip:a@b>;tag=1", "<sip:a@b>"),
        ('"A ;tag=x" <sip:a@b;tag=u>;x=y;tag=1;z=w', '"A ;tag=x" <sip:a@b;tag=u>;x=y;z=w'),
        ("sip:a@b;tag=1", "sip:a@b"),
    ],
)
def test_a_tag_belongs_to_one_dialog(value: str, made: str) -> None:
    assert without_tag(value) == made


def test_parties() -> None:
    assert (from_of(profile(""), "<sip:a@b>;tag=1"), to_of(profile(""), "<sip:c@d>")) == ("<sip:a@b>", "<sip:c@d>")
    one = profile("From=<sip:x@y>;tag=9\nTo=<sip:u@v>\n")
    assert (from_of(one, "<sip:a@b>"), to_of(one, "<sip:c@d>")) == ("<sip:x@y>", "<sip:u@v>")


def test_ways() -> None:
    assert next_hop_of(profile("outbound_proxy=proxy.example:5070\n")) == "sip:proxy.example:5070"
    assert next_hop_of(profile("outbound_proxy=sip:proxy.example;lr\n")) == "sip:proxy.example;lr"
    assert hop_uri(profile("next_hop=192.0.2.1:5070/tcp,b\n")) == "sip:192.0.2.1:5070;transport=tcp;lr"
    assert hop_uri(profile("")) == next_hop_of(profile("")) == ""
