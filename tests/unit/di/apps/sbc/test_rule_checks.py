# SPDX-License-Identifier: GPL-2.0-or-later
"""Rules that cannot be had are found when a profile is loaded, with the key that says them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from di.apps.api import ConfigError
from di.apps.sbc.profile import parse_profile
from di.apps.sbc.rule_checks import rules_problem
from di.kernel.registry import Registry

FILE = Path("/x/a.sbcprofile.conf")


def problem(text: str, loaded: bool = False) -> tuple[str, str]:
    services: Any = SimpleNamespace(registry=Registry())
    if loaded:
        services.registry.register("uac_auth", object())
    return rules_problem(parse_profile(text, FILE), services)


GUARD = "enable_bleg_uas_auth=yes\nuas_auth_bleg_realm=r\nuas_auth_bleg_user=u\nuas_auth_bleg_pwd=p\n"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("media_filter=whitelist\nmediafilter_list=video\n", "media_filter"),
        ("media_filter=blacklist\nmediafilter_list=audio\n", "media_filter"),
        ("enable_transcoder=always\n", "transcoder_codecs"),
        ("enable_transcoder=always\ntranscoder_codecs=PCMU,AMR\n", "transcoder_codecs"),
        (GUARD, "enable_bleg_uas_auth"),
        ("msg_logger_path=log/$ci.pcap\n", "msg_logger_path"),
        ("msg_logger_path=/no/such/folder/$ci.pcap\n", "msg_logger_path"),
        ("msg_logger_path=/$ci.pcap\n", "msg_logger_path"),
    ],
)
def test_wrong_rules_name_their_key(text: str, key: str) -> None:
    assert problem(text)[0] == key


@pytest.mark.parametrize("missing", ["realm", "user", "pwd"])
def test_a_guard_needs_all_its_words(missing: str) -> None:
    text = "\n".join(line for line in GUARD.splitlines() if not line.startswith(f"uas_auth_bleg_{missing}"))
    assert problem(text, loaded=True)[0] == f"uas_auth_bleg_{missing}"


def test_right_rules(tmp_path: Path) -> None:
    assert problem("") == ("", "")
    assert problem(GUARD, loaded=True) == ("", "")
    assert problem("media_filter=whitelist\nmediafilter_list=Audio\nenable_transcoder=always\ntranscoder_codecs=pcmu,opus\n") == (
        "",
        "",
    )
    assert problem(f"msg_logger_path={tmp_path}/$ci.pcap\n") == ("", "")


@pytest.mark.parametrize(
    "line",
    [
        "header_filter=grey",
        "message_filter=x",
        "sdp_filter=x",
        "aleg_sdp_filter=x",
        "media_filter=x",
        "sdp_alines_filter=x",
        "reply_translations=486=>200 OK",
        "enable_transcoder=maybe",
        "dtmf_transcoding=x",
        "hold_activity_aleg=x",
        "log_rtp=yes",
    ],
)
def test_a_word_that_is_none_is_a_load_error(line: str) -> None:
    with pytest.raises(ConfigError, match=line.partition("=")[0]):
        parse_profile(f"# x\n{line}\n", FILE)
