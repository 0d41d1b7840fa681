# SPDX-License-Identifier: GPL-2.0-or-later
"""JSON-RPC 2.0 over HTTP: the specification's own examples, strict input, introspection, the way behind the front server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.support.gateways import Gateways, body_of, exchange, http_post, running

SCHEMA = Path(__file__).parents[2] / "vectors" / "jsonrpc" / "openrpc-1.3.schema.json"


async def post(gateways: Gateways, text: str | bytes, extra: str = "") -> Any:
    body = text if isinstance(text, bytes) else text.encode()
    answer = await exchange(gateways.web_port, http_post(body, "/jsonrpc", extra))
    if answer.startswith(b"HTTP/1.1 204"):
        return None
    assert answer.startswith(b"HTTP/1.1 200"), answer
    return json.loads(body_of(answer))


def error(code: int, message: str, id: Any = None) -> Any:
    return {"jsonrpc": "2.0", "error": {"code": code, "message": message}, "id": id}


def plain(answer: Any) -> Any:
    """An answer without the data of its errors, whose words are not fixed."""
    if isinstance(answer, list):
        return [plain(one) for one in answer]
    if isinstance(answer, dict) and "error" in answer:
        return {**answer, "error": {k: v for k, v in answer["error"].items() if k != "data"}}
    return answer


# Examples after section 7 of the JSON-RPC 2.0 specification, with our functions.
EXAMPLES: list[tuple[str, Any]] = [
    (
        '{"jsonrpc": "2.0", "method": "probe.typed", "params": [42, "x"], "id": 1}',
        {"jsonrpc": "2.0", "result": [42, "x"], "id": 1},
    ),
    (
        '{"jsonrpc": "2.0", "method": "probe.typed", "params": {"text": "x", "number": 42}, "id": "a"}',
        {"jsonrpc": "2.0", "result": [42, "x"], "id": "a"},
    ),
    ('{"jsonrpc": "2.0", "method": "probe.change", "params": [1]}', None),
    ('{"jsonrpc": "2.0", "method": "foobar.x"}', None),
    ('{"jsonrpc": "2.0", "method": "foobar", "id": "1"}', error(-32601, "Method not found", "1")),
    ('{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]', error(-32700, "Parse error")),
    ('{"jsonrpc": "2.0", "method": 1, "params": "bar"}', error(-32600, "Invalid Request")),
    ('[{"jsonrpc": "2.0", "method": "probe.one", "id": "1"},{"jsonrpc": "2.0", "method"', error(-32700, "Parse error")),
    ("[]", error(-32600, "Invalid Request")),
    ("[1]", [error(-32600, "Invalid Request")]),
    ("[1,2,3]", [error(-32600, "Invalid Request")] * 3),
    (
        '[{"jsonrpc": "2.0", "method": "probe.typed", "params": [1], "id": "1"},'
        ' {"jsonrpc": "2.0", "method": "probe.change", "params": [7]}, {"foo": "boo"},'
        ' {"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},'
        ' {"jsonrpc": "2.0", "method": "probe.later", "params": ["x"], "id": "9"}]',
        [
            {"jsonrpc": "2.0", "result": [1, "none"], "id": "1"},
            error(-32600, "Invalid Request"),
            error(-32601, "Method not found", "5"),
            {"jsonrpc": "2.0", "result": "x", "id": "9"},
        ],
    ),
    (
        '[{"jsonrpc": "2.0", "method": "probe.change", "params": [1]},'
        ' {"jsonrpc": "2.0", "method": "probe.later", "params": [1]}]',
        None,
    ),
    (
        '{"jsonrpc": "2.0", "method": "probe.typed", "params": {"number": 1, "wrong": 2}, "id": 1}',
        error(-32602, "Invalid params", 1),
    ),
    ('{"jsonrpc": "2.0", "method": "probe.typed", "params": {}, "id": 1}', error(-32602, "Invalid params", 1)),
    ('{"jsonrpc": "2.0", "method": "probe.typed", "params": [true], "id": 1}', error(-32602, "Invalid params", 1)),
    ('{"jsonrpc": "2.0", "method": "probe.typed", "params": 5, "id": 1}', error(-32600, "Invalid Request", 1)),
    ('{"jsonrpc": "2.0", "method": "probe.nothing", "id": null}', {"jsonrpc": "2.0", "result": None, "id": None}),
    ('{"jsonrpc": "2.0", "method": "probe.nothing", "id": 1.5}', {"jsonrpc": "2.0", "result": None, "id": 1.5}),
    ('{"jsonrpc": "2.0", "method": "probe.nothing", "id": []}', error(-32600, "Invalid Request")),
    ('{"jsonrpc": "2.0", "method": "probe.nothing", "id": true}', error(-32600, "Invalid Request")),
    ('{"jsonrpc": 2.0, "method": "probe.nothing", "id": 1}', error(-32600, "Invalid Request", 1)),
    ('{"jsonrpc": ["2.0"], "method": "probe.nothing", "id": 1}', error(-32600, "Invalid Request", 1)),
    ('{"method": "probe.nothing", "id": 1}', error(-32600, "Invalid Request", 1)),
    ('{"jsonrpc": "2.0", "method": "rpc.nosuch", "id": 1}', error(-32601, "Method not found", 1)),
    ('"2.0"', error(-32600, "Invalid Request")),
    ("null", error(-32600, "Invalid Request")),
]


async def test_the_specifications_examples_and_more() -> None:
    async with running() as gateways:
        for request, expected in EXAMPLES:
            assert plain(await post(gateways, request)) == expected, request


STRICT: list[str | bytes] = [
    "",
    "NaN",
    "[Infinity]",
    '{"a":1,"a":2}',
    '[{"jsonrpc":"2.0","method":"probe.nothing","id":1,"id":2}]',
    "[" * 65 + "]" * 65,
    "[" * 100000,
    '{"a":' * 1000 + "1" + "}" * 1000,
    "[18446744073709551616]",
    "[9223372036854775808]",
    "[-9223372036854775809]",
    '["\\ud800"]',
    b'["\xff"]',
    "[1] trailing",
    "[" + "1," * 100001 + "1]",
]


@pytest.mark.parametrize("text", STRICT, ids=lambda text: repr(text)[:30])
async def test_input_that_a_lenient_reader_would_let_through_is_a_parse_error(text: str | bytes) -> None:
    async with running() as gateways:
        assert plain(await post(gateways, text)) == error(-32700, "Parse error")


async def test_64_bit_integers_and_deep_values_that_are_allowed_come_back_whole() -> None:
    deep = "[" * 60 + "]" * 60
    async with running() as gateways:
        for value in ("9223372036854775807", "-9223372036854775808", deep, '"\\ud83d\\ude00"', '{"a":[],"b":{}}'):
            text = f'{{"jsonrpc":"2.0","method":"probe.one","params":[{value}],"id":1}}'
            assert await post(gateways, text) == {"jsonrpc": "2.0", "result": json.loads(value), "id": 1}


async def test_values_that_json_has_not() -> None:
    expected = {
        "blob": "AP8=",
        "object": {},
        "nan": None,
        "bytes": "\ufffd",
        "wide": (1 << 32) + 5,
        "longest": (1 << 62) + 1,
        "control": "a\x01b",
        "tuple": [1, "x"],
    }
    async with running() as gateways:
        for what, value in expected.items():
            answer = await post(gateways, json.dumps({"jsonrpc": "2.0", "method": "probe.odd", "params": [what], "id": 1}))
            assert answer["result"] == value, what


async def test_what_a_function_says_when_it_gives_up_is_told() -> None:
    async with running() as gateways:
        for method, params, data in (
            ("fail", ["text"], "the text"),
            ("failLater", [], "late"),
            ("fail", ["bug"], "unexpected Exception"),
        ):
            answer = await post(gateways, json.dumps({"jsonrpc": "2.0", "method": f"probe.{method}", "params": params, "id": 1}))
            assert answer["error"] == {"code": -32000, "message": "Server error", "data": data}


async def test_a_batch_has_a_limit() -> None:
    one = '{"jsonrpc":"2.0","method":"probe.nothing","id":1}'
    async with running() as gateways:
        assert len(await post(gateways, "[" + ",".join([one] * 1000) + "]")) == 1000
        assert plain(await post(gateways, "[" + ",".join([one] * 1001) + "]")) == error(-32600, "Invalid Request")


async def test_the_openrpc_document_is_valid_and_names_every_function() -> None:
    schema = json.loads(SCHEMA.read_text())
    async with running() as gateways:
        document = (await post(gateways, '{"jsonrpc":"2.0","method":"rpc.discover","id":1}'))["result"]
        same = json.loads(body_of(await exchange(gateways.web_port, b"GET /openrpc.json HTTP/1.0\r\n\r\n")))
        registered = {m.full_name for i in gateways.services.registry.interfaces() for m in i.methods.values()}
    jsonschema.validate(document, schema)
    assert document == same
    names = [method["name"] for method in document["methods"]]
    assert set(names) == registered | {"rpc.discover", "rpc.permissions"} and len(names) == len(set(names))
    typed = next(method for method in document["methods"] if method["name"] == "probe.typed")
    assert [(p["name"], p["required"], p["schema"]) for p in typed["params"]] == [
        ("number", True, {"type": "integer"}),
        ("text", False, {"type": "string"}),
    ]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**document, "methods": [{"name": "x"}]}, schema)


async def test_introspection_functions() -> None:
    async with running() as gateways:

        async def ask(method: str, *params: Any) -> Any:
            return (await post(gateways, json.dumps({"jsonrpc": "2.0", "method": method, "params": params, "id": 1})))["result"]

        assert "probe.typed" in await ask("system.listMethods")
        assert await ask("system.methodSignature", "probe.typed") == [["array", "int"], ["array", "int", "string"]]
        assert (await ask("system.methodHelp", "probe.typed")).startswith(
            "probe.typed(number: int, text: str = 'none')\nTake an int"
        )
        assert await ask("system.methodHelp", "nosuch.x") == ""
        assert "monitoring" in (await ask("system.capabilities"))["modules"]


async def test_what_the_front_door_does_not_take_goes_to_the_framework_on_the_same_connection() -> None:
    body = b'{"jsonrpc":"2.0","method":"probe.one","params":["%s"],"id":1}'
    first, third = body % b"first", body % b"third"
    requests = (
        b"POST /jsonrpc HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s" % (len(first), first)
        + b"POST /jsonrpc HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n"
        % (len(first), body % b"chunk")
        + b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
        + b"POST /jsonrpc HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(third), third)
    )
    async with running() as gateways:
        answer = await exchange(gateways.web_port, requests, lambda got: b"third" in got)
    parts = [answer.find(text) for text in (b'"first"', b'"chunk"', b"ok\n", b'"third"')]
    assert parts == sorted(parts) and -1 not in parts


async def test_pages() -> None:
    async with running() as gateways:
        for path, status, text in (
            ("/", b"200", b"/panel/app.js"),
            ("/healthz", b"200", b"ok"),
            ("/readyz", b"503", b"sip: "),
            ("/metrics", b"200", b"sems_active_calls 0.0"),
            ("/nosuch", b"404", b""),
        ):
            answer = await exchange(gateways.web_port, f"GET {path} HTTP/1.0\r\n\r\n".encode())
            assert answer.startswith(b"HTTP/1.0 " + status) and text in answer, path
            assert b"aiohttp" not in answer


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "http://localhost.evil.example", "http://[bad", "http://127.0.0.1:3000", "http://localhost"],
)
async def test_pages_of_foreign_origins_may_not_call(origin: str) -> None:
    call = b'{"jsonrpc":"2.0","method":"probe.change","params":[1],"id":1}'
    async with running() as gateways:
        for port, path in ((gateways.web_port, "/jsonrpc"), (gateways.web_port, "/jsonrpc?"), (gateways.xml_port, "/")):
            answer = await exchange(port, http_post(call, path, f"Origin: {origin}\r\n"), lambda got: False)
            assert b" 403 " in answer.split(b"\r\n")[0], path
        assert gateways.probe.calls == []
        place = f"127.0.0.1:{gateways.web_port}"
        own = http_post(call, "/jsonrpc", f"Origin: http://{place}\r\n").replace(b"Host: x", f"Host: {place}".encode())
        ours = await exchange(gateways.web_port, own)
        assert ours.startswith(b"HTTP/1.1 200") and gateways.probe.calls == [1]
