# SPDX-License-Identifier: GPL-2.0-or-later
"""Answers of the web server of cc_rest: what they change, and that no bytes do more; questions to the black list."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from di.calls.call_changes import NameFilter
from di.calls.control_modules import OutsideAsk
from di.kernel.errors import Refused
from di.modules.cc_bl_redis.control import command, is_hit
from di.modules.cc_bl_redis.options import parse_pauses
from di.modules.cc_rest.answers import read
from di.modules.cc_rest.control import RestControl
from di.modules.cc_rest.options import Options
from di.sip.outside_records import OutsideReceived


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


@pytest.mark.parametrize(
    ("answer", "format_name", "url", "says"),
    [
        (b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n", "", "http://anna:pw-123@127.0.0.1:PORT/route", "answered 500"),
        (b"HTTP/1.1 2000 Odd\r\n\r\n", "", "http://127.0.0.1:PORT/route", "no answer of HTTP"),
        (b"", "", "http://127.0.0.1:PORT/route", "isconnect"),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nodd = 1",
            "",
            "http://127.0.0.1:PORT/route",
            "says odd, which is not known",
        ),
        (None, "", "http://127.0.0.1:PORT/route", "Cannot connect"),
        (None, "", "http://127.0.0.1:99999/route", "it is no URL"),
        (None, "", "http://[::x/route", "it is no URL"),
        (None, "", "ftp://127.0.0.1:PORT/route", "right is http"),
        (None, "xml", "http://anna:pw-123@127.0.0.1:PORT/route", "format 'xml'"),
    ],
)
async def test_a_key_in_the_url_does_not_come_into_the_log(
    caplog: pytest.LogCaptureFixture, answer: bytes | None, format_name: str, url: str, says: str
) -> None:
    caplog.set_level(logging.DEBUG)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer or b"")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    if answer is None:
        server.close()
        await server.wait_closed()
    control = RestControl(Options())
    values = {"url": f"{url.replace('PORT', str(port))}?key=abc-789#xyz-456", "format": format_name}
    request = OutsideReceived(1, "MESSAGE", "sip:b@x", "<sip:a@x>", "<sip:b@x>", "c", "192.0.2.1", 5060, ())
    try:
        await control.route(OutsideAsk("web", values, request, True))
    except Refused as refused:
        assert refused.code == 500 and says.startswith(("right", "format"))
    finally:
        await control.close()
        server.close()
    assert says in caplog.text and not any(secret in caplog.text for secret in ("abc-789", "pw-123", "xyz-456"))
    assert "a URL that cannot be read" in caplog.text if "[" in url else "/route" in caplog.text


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
