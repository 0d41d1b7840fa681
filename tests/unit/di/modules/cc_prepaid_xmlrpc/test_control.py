# SPDX-License-Identifier: GPL-2.0-or-later
"""The server elsewhere answers in pieces, by half, or nonsense: only the first is an answer, all else is `ControlUnreachable`."""

from __future__ import annotations

import xmlrpc.client
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from di.calls.control_modules import ControlUnreachable
from di.kernel.errors import CallFailed
from di.modules.cc_prepaid_xmlrpc.control import CreditServer, RemoteCredits
from tests.support.piece_server import pieces

ANSWER = xmlrpc.client.dumps((65,), methodresponse=True).encode()


@asynccontextmanager
async def asking(port: int) -> AsyncIterator[CreditServer]:
    server = CreditServer(f"http://127.0.0.1:{port}/RPC2")
    try:
        yield server
    finally:
        await server.close()


async def test_an_answer_in_pieces_is_read_whole() -> None:
    async with pieces(ANSWER[:50], ANSWER[50:]) as port, asking(port) as server:
        assert await server.credit("4711") == 65
        assert await RemoteCredits(server).get_credit("4711") == [65]


@pytest.mark.parametrize(
    "body",
    [
        ANSWER[:50],
        b"",
        b"<!DOCTYPE html><html><body><p>Down for maintenance<br></body></html>",
        b"<html><body>Down for maintenance</body></html>",
        b"<methodResponse><params><param><struct><value>a</value></struct></param></params></methodResponse>",
        b"<methodResponse><params><param><struct><value><array></array></value><value>a</value></struct></param></params></methodResponse>",
        xmlrpc.client.dumps(("65",), methodresponse=True).encode(),
        b" " * (1 << 20) + ANSWER,
    ],
    ids=["half", "empty", "html", "xml", "odd_struct", "list_as_name", "text", "too_long"],
)
async def test_what_is_no_answer_names_server_and_method(body: bytes) -> None:
    async with pieces(body) as port, asking(port) as server:
        with pytest.raises(ControlUnreachable, match=f"http://127.0.0.1:{port}/RPC2: getCredit: ."):
            await server.credit("4711")
        with pytest.raises(CallFailed, match="subtractCredit"):
            await RemoteCredits(server).subtract_credit("4711", 5)
