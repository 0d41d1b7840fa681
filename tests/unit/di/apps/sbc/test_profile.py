# SPDX-License-Identifier: GPL-2.0-or-later
"""Profiles are read, checked and filled in (spec applications.md §22.3)."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from di.apps.api import ConfigError, PatternValues, describe
from di.apps.sbc.added_headers import added
from di.apps.sbc.profile import Profile, load_profile, parse_profile
from di.apps.sbc.unsupported import MISSING

ROOT = Path(__file__).parents[5]
FILE = Path("/etc/x.sbcprofile.conf")


def parse(text: str) -> Profile:
    return parse_profile(text, FILE)


WORDS = {
    "transparent", "whitelist", "blacklist", "always", "never", "on_missing_compatible", "lowfi_codec", "default", "code", "reason",
    "uas_auth_bleg_enabled", "P-MsgFlags", "enable_call_timer", "enable_prepaid", "aleg_",
}  # fmt: skip
"""What stands between back quotes in §22.3 and is no option; the last two are read by nobody."""


def test_every_option_of_the_specification_is_an_option() -> None:
    part = (ROOT / "docs/spec/applications.md").read_text().partition("### 22.3")[2].partition("### 22.4")[0]
    named = set()
    for text in re.findall(r"`([^`]+)`", part):
        named |= {word for word in re.split(r"[,/ ]", text) if re.fullmatch(r"[A-Za-z][A-Za-z_0-9-]*", word)}
    keys = {info.key for info in describe(Profile).values()}
    parts = {
        "displayname",
        "user",
        "host",
        "port",
        "uri_params",
        "params",
        "pwd",
        "bleg",
        "from",
    }  # ends of `a_user/pwd` and the like
    assert named - keys - WORDS - parts == set()
    assert len(keys & named) > 90


def test_a_file_s_values_and_defaults() -> None:
    profile = parse(
        'From=<sip:$fU@x>\nheader_filter=whitelist\nheader_list="P-One, Subject"\nenable_rtprelay=yes\nnext_hop_1st_req=yes\n'
    )
    assert (profile.from_, profile.header_filter, profile.header_list) == ("<sip:$fU@x>", "whitelist", ("P-One", "Subject"))
    assert profile.next_hop_1st_req and profile.message_filter == "transparent" and profile.allow_subless_notify


def test_texts_are_filled_in_for_a_call() -> None:
    values = PatternValues(request_uri="sip:ben@here", from_header="<sip:anna@home>", call_id="abc")
    filled = parse('RURI=sip:$rU@$fh\nCall-ID=$ci-b\nappend_headers="X: 1\\r\\nY: $fU"\nheader_list=$fU\n').filled(values)
    assert (filled.ruri, filled.call_id, filled.append_headers) == ("sip:ben@home", "abc-b", "X: 1\r\nY: anna")
    assert filled.header_list == ("$fU",), "a list of names takes no patterns"


def test_controls_with_their_values() -> None:
    profile = parse("call_control=few,$H(X)\nfew_module=cc_pcalls\nfew_uuid=$fU\nlate_module=cc_call_timer\nlate_timer=5\n")
    assert profile.controls == {
        "few": {"module": "cc_pcalls", "uuid": "$fU"},
        "late": {"module": "cc_call_timer", "timer": "5"},
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\nheader_filters=x\n", "x.sbcprofile.conf:2: header_filters: is no option of a profile; did you mean header_filter?"),
        ("header_filter=perhaps\n", "'perhaps' is none of: transparent, whitelist, blacklist"),
        ("enable_auth=maybe\n", "right is one of yes, no, or a pattern"),
        ("session_expires=soon\n", "right is a whole number, or a pattern"),
        ("next_hop=a/b/c\n", "right is host[:port][/transport]"),
        ("outbound_proxy=<sip:x>\n", "right is a SIP URI, or a pattern"),
        ("Contact=<sip:x>\n", "'<sip:x>' cannot be had here: SEMS does not read it either"),
        ("transparent_dlg_id=yes\n", "the SIP stack chooses the tags of its dialogs"),
        ("log_rtp=yes\n", "tcpdump writes RTP"),
        ("enable_call_timer=yes\n", "use call_control with module cc_call_timer"),
        ('refuse_with="nothing"\n', "right is `code reason`"),
        ('refuse_with="200 OK"\n', "refuses nothing"),
        ("one two\n", "expected `key = value`"),
        ("few_uuid=1\n", "is no option of a profile"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert said in str(caught.value).replace("\\`", "`") and str(FILE) in str(caught.value)


@pytest.mark.parametrize("missing", MISSING, ids=lambda one: one.keys)
def test_what_cannot_be_had_may_stand_with_its_harmless_values(missing: object) -> None:
    keys, harmless = missing.keys, missing.harmless  # type: ignore[attr-defined]
    for key in (info.key for info in describe(Profile).values()):
        if key == keys:
            for value in harmless:
                parse(f"{key}={value}\n")
            with pytest.raises(ConfigError, match="cannot be had here"):
                parse(f"{key}=otherwise\n")


def test_the_samples_can_be_read() -> None:
    samples = sorted((ROOT / "etc").glob("*.sbcprofile.conf"))
    assert len(samples) >= 5
    for path in samples:
        loaded = load_profile(path.name, path)
        assert loaded.md5 == hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match="profile x cannot be read"):
        load_profile("x", Path("/nowhere"))


@pytest.mark.parametrize("key", ["append_headers", "append_headers_req", "aleg_append_headers_req"])
def test_what_a_caller_says_begins_no_header_of_its_own(key: str) -> None:
    """A user part is unescaped: a trunk would see an identity that strangers are not let say."""
    evil = "sip:a%0D%0AP-Asserted-Identity%3A%20%3Csip%3Aboss%40x%3E@h"
    values = PatternValues(from_header=f"<{evil}>;tag=1", request_uri=evil, headers=(("X-A", "b"),))
    profile = parse(f'{key}="X-From: $fU\\r\\nX-To: $rU\\r\\nX-Own: $H(X-A)"\n').filled(values)
    lines = added(getattr(profile, key))
    said = "a%0D%0AP-Asserted-Identity: <sip:boss@x>"
    assert lines == (f"X-From: {said}", f"X-To: {said}", "X-Own: b")
