# SPDX-License-Identifier: GPL-2.0-or-later
"""What the web port does for the panel: files over HTTP, who the caller is, and whose pages may connect."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from di.access import Access
from interfaces.gateway import same_origin
from tests.compat.gateways.test_same_decision import ROLES, SECRET, access_path
from tests.support.gateways import exchange, running

__all__ = ["access_path"]


async def test_files_over_http_head_unchanged_and_packed() -> None:
    async with running() as gateways, aiohttp.ClientSession(auto_decompress=False) as http:
        place = f"http://127.0.0.1:{gateways.web_port}"
        async with http.get(place + "/", headers={"Accept-Encoding": "identity"}) as page:
            body = await page.read()
            assert page.status == 200 and b"/panel/app.js" in body and page.content_type == "text/html"
            etag, policy = page.headers["ETag"], page.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy and page.headers["X-Frame-Options"] == "DENY"
            assert page.headers["Server"] == "cordboard"
        async with http.head(place + "/") as head:
            assert (
                head.status == 200 and await head.read() == b"" and head.headers["Content-Type"] == page.headers["Content-Type"]
            )
        async with http.get(place + "/", headers={"If-None-Match": etag, "Accept-Encoding": "identity"}) as again:
            assert again.status == 304 and await again.read() == b""
        async with http.get(place + "/panel/app.js", headers={"Accept-Encoding": "gzip"}) as packed:
            assert (await packed.read())[:2] == b"\x1f\x8b" and packed.headers["Content-Encoding"] == "gzip"
            packed_tag = packed.headers["ETag"]
        async with http.get(place + "/panel/app.js", headers={"Accept-Encoding": "gzip", "If-None-Match": packed_tag}) as again:
            assert again.status == 304 and await again.read() == b""
        async with http.post(place + "/panel/app.js") as posted:
            assert posted.status == 405


@pytest.mark.parametrize(
    "path",
    ["/panel/", "/panel", "/panel/index.html", "/panel/../etc/access.conf", "/panel/%2e%2e/%2e%2e/etc/access.conf", "/panel/..%2f..%2fpyproject.toml",
     "/panel//app.js", "/panel/app.js/", "/panel/app.js%00", "//etc/passwd", "/panel/vendor/../../../README.md", "/clients/panel/app.js"],
)  # fmt: skip
async def test_nothing_else_is_to_be_had(path: str) -> None:
    async with running() as gateways:
        answer = await exchange(gateways.web_port, f"GET {path} HTTP/1.0\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.0 404"), answer[:100]


async def test_permissions_are_those_of_the_role(access_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with running(Access(access_path)) as gateways, aiohttp.ClientSession() as http:
        found: dict[str, set[str]] = {}
        for role in ROLES:
            body = {"jsonrpc": "2.0", "id": 1, "method": "rpc.permissions"}
            headers = {"Authorization": f"Bearer {role}.{SECRET}"}
            async with http.post(f"http://127.0.0.1:{gateways.web_port}/jsonrpc", json=body, headers=headers) as answer:
                result = (await answer.json())["result"]
            assert result["name"] == role
            found[role] = set(result["methods"])
        assert "rooms.list" in found["reader"] and "rooms.kick" not in found["reader"]
        assert {"rooms.kick", "core.hangup"} <= found["operator"] and "core.dialout" not in found["operator"]
        assert "core.dialout" in found["admin"] and found["reader"] < found["operator"] < found["admin"]
    assert "denied" not in caplog.text


async def test_without_an_access_file_everybody_has_no_name_and_may_do_all() -> None:
    async with running() as gateways, aiohttp.ClientSession() as http:
        body = {"jsonrpc": "2.0", "id": 1, "method": "rpc.permissions", "params": []}
        async with http.post(f"http://127.0.0.1:{gateways.web_port}/jsonrpc", json=body) as answer:
            result = (await answer.json())["result"]
    assert result["name"] == "" and {"core.dialout", "rooms.move", "status.media"} <= set(result["methods"])


@pytest.mark.parametrize("restricted", [True, False])
async def test_our_own_page_may_connect_by_any_name_where_callers_log_in(access_path: Path, restricted: bool) -> None:
    async with running(Access(access_path) if restricted else None) as gateways, aiohttp.ClientSession() as http:
        place = f"http://127.0.0.1:{gateways.web_port}"
        own = {"Host": "media.example.org:8080", "Origin": "http://media.example.org:8080"}
        foreign = {"Host": "media.example.org:8080", "Origin": "http://evil.example"}
        for headers, passes in ((own, restricted), (foreign, False)):
            body = {"jsonrpc": "2.0", "id": 1, "method": "core.calls", "params": []}
            login = {"Authorization": f"Bearer reader.{SECRET}"}
            async with http.post(f"{place}/jsonrpc", json=body, headers={**headers, **login}) as answer:
                assert (answer.status == 200) is passes
            try:
                async with http.ws_connect(f"{place}/ws", headers=headers):
                    opened = True
            except aiohttp.WSServerHandshakeError as error:
                opened = False
                assert error.status == 403
            assert opened is passes


@pytest.mark.parametrize(
    ("origin", "host", "same"),
    [
        ("http://a.example", "a.example", True), ("https://A.example:8443", "a.EXAMPLE:8443", True), ("http://[::1]:8080", "[::1]:8080", True),
        ("http://a.example", "a.example:80", False), ("http://a.example:81", "a.example", False), ("null", "null", False), ("", "", False),
        ("http://", "", False), ("file://a", "a", False), ("http://evil.example/a.example", "a.example", False),
    ],
)  # fmt: skip
def test_same_origin(origin: str, host: str, same: bool) -> None:
    assert same_origin(origin, host) is same
