# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests of the B leg that must show credentials."""

from __future__ import annotations

from dataclasses import replace

import pytest

from di.apps.api import CallFailed, RequestReceived, Value
from di.apps.sbc.bleg_auth import challenge
from di.apps.sbc.profile import Profile

GUARDED = replace(Profile(), enable_bleg_uas_auth="yes", uas_auth_bleg_realm="r", uas_auth_bleg_user="u", uas_auth_bleg_pwd="p")
INFO = RequestReceived(2, 1, "INFO", (("authorization", "Digest x"),), "text/plain", b"hi", True)


class Checker:
    def __init__(self, answer: object) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str, list[Value]]] = []

    def __call__(self, module: str, function: str, args: list[Value]) -> object:
        self.asked.append((module, function, args))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_the_right_words_pass_and_others_are_challenged() -> None:
    right = Checker([200, "OK", ""])
    assert challenge(GUARDED, INFO, right) is None
    shown = {"method": "INFO", "authorization": "Digest x", "body": b"hi"}
    assert right.asked == [("uac_auth", "checkAuth", [shown, "r", "u", "p"])]
    refused = challenge(GUARDED, INFO, Checker([401, "Unauthorized", 'WWW-Authenticate: Digest realm="r"\r\n']))
    assert refused is not None and (refused.code, refused.headers) == (401, ('WWW-Authenticate: Digest realm="r"',))


@pytest.mark.parametrize("answer", [CallFailed("no"), None, [401]])
def test_nobody_passes_where_nobody_can_check(answer: object, caplog: pytest.LogCaptureFixture) -> None:
    refused = challenge(GUARDED, INFO, Checker(answer))
    assert refused is not None and refused.code == 500
    assert "cannot check a INFO" in caplog.text


def test_without_the_option_nobody_is_asked() -> None:
    nobody = Checker(CallFailed("no"))
    assert challenge(Profile(), INFO, nobody) is None and not nobody.asked
