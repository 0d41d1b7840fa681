# SPDX-License-Identifier: GPL-2.0-or-later
"""What `conf_auth` makes of the answers of the server that it asks: whatever that does, the caller hears something."""

from __future__ import annotations

import pytest

from clients.app import Call
from clients.app.home import Worker
from clients.examples.apps import conf_auth
from tests.support.xml_answers import NO_ANSWERS, answering, result


def made() -> Call:
    return Call(Worker(None, "conf_auth", {}), "call-1", {})  # type: ignore[arg-type]


async def test_an_answer() -> None:
    with answering(*result(["OK", "room", "sip:room@c.example", 60])) as url:
        call = made()
        assert await conf_auth.judged(call, url, "sip:a@a.example", "sip:b@b.example", "42") == [
            "OK",
            "room",
            "sip:room@c.example",
            60,
        ]


@pytest.mark.parametrize("status, body", NO_ANSWERS.values(), ids=NO_ANSWERS)
async def test_what_is_no_answer_is_a_no_and_has_its_line(
    status: int, body: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(conf_auth, "ANSWER_S", 0.3 if not status else 30)
    with answering(status, body) as url:
        call = made()
        assert await conf_auth.judged(call, url, "sip:a@a.example", "sip:b@b.example", "42") == []
        (line,) = caplog.messages
        assert line.startswith(f"call call-1: {url}")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "nowhere", "ftp://127.0.0.1/"])
async def test_a_server_that_is_not_there(url: str, caplog: pytest.LogCaptureFixture) -> None:
    call = made()
    assert await conf_auth.judged(call, url, "sip:a@a.example", "sip:b@b.example", "42") == []
    (line,) = caplog.messages
    assert line.startswith(f"call call-1: {url}")
