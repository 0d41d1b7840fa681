# SPDX-License-Identifier: GPL-2.0-or-later
"""Request bytes in, reply bytes out: every dialogue of tests/vectors/xmlrpc against the running gateway (spec di.md §3)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateways import Gateways, exchange, http_post, running

VECTORS = Path(__file__).parents[2] / "vectors" / "xmlrpc"


def dialogues(path: Path) -> Iterator[tuple[int, bytes, bytes]]:
    """Line number, request body, expected whole reply."""
    request = b""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        mark, rest = line[:1], line[2:].replace("\\r\\n", "\r\n")
        if mark == ">":
            method, _, params = rest.partition(" ")
            request = call(method, params.split(" | ") if params else [])
        elif mark in ("=", "!"):
            yield number, request, reply(success(rest) if mark == "=" else fault(*rest.split(" ", 1)))


def call(method: str, params: list[str]) -> bytes:
    inside = "".join(f"<param>{value}</param>" for value in params)
    head = f"<?xml version='1.0'?>\n<methodCall>\n<methodName>{method}</methodName>\n"
    return f"{head}<params>\n{inside}</params>\n</methodCall>\n".encode()


def success(value: str) -> str:
    return f'<?xml version="1.0"?>\r\n<methodResponse><params><param>\r\n\t{value}\r\n</param></params></methodResponse>\r\n'


def fault(code: str, text: str) -> str:
    for plain, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("'", "&apos;"), ('"', "&quot;")):
        text = text.replace(plain, entity)
    members = (
        f"<member><name>faultCode</name><value><i4>{code}</i4></value></member>"
        f"<member><name>faultString</name><value><string>{text}</string></value></member>"
    )
    return (
        '<?xml version="1.0"?>\r\n<methodResponse><fault>\r\n\t'
        f"<value><struct>{members}</struct></value>\r\n</fault></methodResponse>\r\n"
    )


def reply(body: str) -> bytes:
    data = body.encode()
    head = f"HTTP/1.1 200 OK\r\nServer: XMLRPC++ 0.8\r\nContent-Type: text/xml\r\nContent-length: {len(data)}\r\n\r\n"
    return head.encode() + data


@pytest.mark.parametrize("path", sorted(VECTORS.glob("*.txt")), ids=lambda path: path.stem)
async def test_dialogues(path: Path) -> None:
    seen = 0
    async with running() as gateways:
        for number, request, expected in dialogues(path):
            answer = await exchange(gateways.xml_port, http_post(request))
            assert answer == expected, f"{path.name}:{number}"
            seen += 1
    assert seen > 5


HEADS = {
    "any path and method, bare LF": b"GET /some/where?x HTTP/1.1\nHost: x\nConnection: close\nContent-length: %d\n\n%s",
    "HTTP/1.0 closes": b"POST / HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s",
    "no path at all": b"POST HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s",
    "header names in any case": b"POST / HTTP/1.0\r\ncONTENT-lENGTH: %d\r\n\r\n%s",
}


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS.keys())
async def test_heads_that_the_original_takes(head: bytes) -> None:
    body = call("calls", [])
    async with running() as gateways:
        answer = await exchange(gateways.xml_port, head % (len(body), body))
    assert answer == reply(success("<value><i4>0</i4></value>"))


async def test_connections_are_kept_and_pipelined_requests_answered_in_order() -> None:
    one, two = call("one", ["<value>first</value>"]), call("later", ["<value>second</value>"])
    posts = b"".join(b"POST /RPC2 HTTP/1.1\r\nContent-length: %d\r\n\r\n%s" % (len(b), b) for b in (two, one, two, one))
    async with running() as gateways:
        answer = await exchange(gateways.xml_port, posts, lambda got: got.count(b"</methodResponse>") == 4)
    texts = [part.partition(b"</string>")[0] for part in answer.split(b"<string>")[1:]]
    assert texts == [b"second", b"first", b"second", b"first"]


async def test_keep_alive_is_asked_for_in_http_1_0() -> None:
    body = call("calls", [])
    post = b"POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-length: %d\r\n\r\n%s" % (len(body), body)
    async with running() as gateways:
        answer = await exchange(gateways.xml_port, post + post, lambda got: got.count(b"</methodResponse>") == 2)
    assert answer.count(b"HTTP/1.1 200 OK") == 2


SILENT = {
    "no Content-length": b"POST / HTTP/1.1\r\nHost: x\r\n\r\n",
    "zero": b"POST / HTTP/1.1\r\nContent-length: 0\r\n\r\n",
    "negative": b"POST / HTTP/1.1\r\nContent-length: -5\r\n\r\nabc",
}
TOLD = {
    "2^63": (b"POST / HTTP/1.1\r\nContent-length: 9223372036854775808\r\n\r\nabc", b"413"),
    "a terabyte": (b"POST / HTTP/1.1\r\nContent-length: 1099511627776\r\n\r\nabc", b"413"),
    "twice": (b"POST / HTTP/1.1\r\nContent-length: 3\r\nContent-length: 3\r\n\r\nabc", b"400"),
    "folded header": (b"POST / HTTP/1.1\r\nContent-length: 3\r\n more\r\n\r\nabc", b"400"),
    "endless head": (b"POST / HTTP/1.1\r\nX: " + b"a" * 20000 + b"\r\n\r\n", b"431"),
    "both lengths": (b"POST / HTTP/1.1\r\nContent-length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", b"400"),
    "a coding that is not here": (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", b"501"),
    "no chunk size": (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", b"400"),
    "a chunk too long": (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabcd\r\n0\r\n\r\n", b"400"),
    "chunks without end": (
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b"40000\r\n" + b"a" * 0x40000 + b"\r\nfffff\r\n",
        b"413",
    ),
    "an endless chunk line": (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"x" * 5000, b"400"),
    "many headers": (b"POST / HTTP/1.1\r\n" + b"X: a\r\n" * 200 + b"\r\n", b"431"),
}


@pytest.mark.parametrize("data", SILENT.values(), ids=SILENT.keys())
async def test_requests_that_are_closed_without_an_answer(data: bytes) -> None:
    async with running() as gateways:
        assert await exchange(gateways.xml_port, data, lambda got: False) == b""
        await alive(gateways)


@pytest.mark.parametrize(("data", "status"), TOLD.values(), ids=TOLD.keys())
async def test_requests_that_are_refused(data: bytes, status: bytes) -> None:
    async with running() as gateways:
        answer = await exchange(gateways.xml_port, data, lambda got: False)
        assert answer.startswith(b"HTTP/1.1 " + status)
        await alive(gateways)


async def test_expect_continue_is_answered_before_the_body() -> None:
    body = call("calls", [])
    head = b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nConnection: close\r\nContent-length: %d\r\n\r\n" % len(body)
    async with running() as gateways:
        assert await exchange(gateways.xml_port, head, lambda got: b"\r\n\r\n" in got) == b"HTTP/1.1 100 Continue\r\n\r\n"


async def alive(gateways: Gateways) -> None:
    """The next call works."""
    answer = await exchange(gateways.xml_port, http_post(call("calls", [])))
    assert answer == reply(success("<value><i4>0</i4></value>"))


@pytest.mark.parametrize("step", [1, 7, 100_000])
async def test_a_call_in_chunks_is_answered_and_so_is_the_next(step: int) -> None:
    """As Java's and Node's clients send by default, in pieces of any size, with extensions and a trailer."""
    body = call("one", ["<value>first</value>"])
    chunks = b"".join(b"%X;x=y\r\n%s\r\n" % (len(body[at : at + 9]), body[at : at + 9]) for at in range(0, len(body), 9))
    post = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\nX-Sum: 1\r\n\r\n"
    async with running() as gateways:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateways.xml_port)
        data = post + http_post(call("one", ["<value>second</value>"]))
        for at in range(0, len(data), step):
            writer.write(data[at : at + step])
            await writer.drain()
            if step < 100:
                await asyncio.sleep(0)
        answer = b""
        while answer.count(b"</methodResponse>") < 2:
            answer += await asyncio.wait_for(reader.read(65536), 30)
        writer.close()
    assert answer.index(b"<string>first</string>") < answer.index(b"<string>second</string>")


async def test_bytes_that_are_no_utf_8_make_no_document_unreadable() -> None:
    async with running() as gateways:
        answer = await exchange(gateways.xml_port, http_post(call("one", ["<value>\x00</value>"]).replace(b"\x00", b"gr\xfcn")))
        assert "<string>gr\ufffdn</string>".encode() in answer
        declared = (
            call("one", ["<value>\x00</value>"]).replace(b"\x00", b"\xc3\xbc").replace(b"'1.0'", b"'1.0' encoding='iso-8859-1'")
        )
        assert b"<string>\xc3\xbc</string>" in await exchange(gateways.xml_port, http_post(declared))


async def test_export_di_off_and_a_module_that_is_not_loaded(caplog: pytest.LogCaptureFixture) -> None:
    async with running(export_di=False, direct_export=("nosuch",)) as gateways:
        answer = await exchange(gateways.xml_port, http_post(call("di", ["<value>probe</value>", "<value>echo</value>"])))
    assert answer == reply(fault("-1", "di: unknown method name"))
    assert "nosuch is not loaded" in caplog.text


async def test_a_client_that_closes_its_side_still_gets_the_answer_of_a_call_that_waits() -> None:
    async with running() as gateways:
        answer = await exchange(gateways.xml_port, http_post(call("later", ["<value>x</value>"])), half_close=True)
    assert answer == reply(success("<value><string>x</string></value>"))
