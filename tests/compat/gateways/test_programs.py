# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs from outside, as people run them: Python's ServerProxy as SEMS users know it, curl, our own commands, a JavaScript client."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import sys
import xmlrpc.client
from pathlib import Path
from typing import Any

import pytest

from di.access import Access
from tests.compat.gateways.test_same_decision import SECRET, access_path
from tests.support.gateways import Gateways, running

__all__ = ["access_path"]
ROOT = Path(__file__).parents[3]


async def program(*words: str, **environment: str) -> tuple[int, str, str]:
    """Run a program beside the gateways; returns status, output and errors."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CORDBOARD_")}
    process = await asyncio.create_subprocess_exec(
        *words, cwd=ROOT, env={**clean, **environment}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode, out.decode(), errors.decode()


def found(name: str) -> str:
    """The path of a program; without it the test skips, or fails under CI."""
    path = shutil.which(name)
    if path is None:
        if os.environ.get("CI"):
            pytest.fail(f"the program {name} is missing")
        pytest.skip(f"the program {name} is missing")
    return path


async def sems(gateways: Gateways, name: str, *words: str) -> tuple[int, str, str]:
    url = f"http://127.0.0.1:{gateways.xml_port}"
    return await program(sys.executable, "-m", "clients.cli.sems", name, *words, "--url", url)


async def rpc(gateways: Gateways, *words: str, xml: bool = False, **environment: str) -> tuple[int, str, str]:
    url = f"http://127.0.0.1:{gateways.xml_port}" if xml else f"http://127.0.0.1:{gateways.web_port}/jsonrpc"
    return await program(sys.executable, "-m", "clients.cli.rpc", "--url", url, *words, **environment)


async def test_server_proxy_as_in_the_presentation_of_sems() -> None:
    def talk(port: int) -> None:
        s: Any = xmlrpc.client.ServerProxy(f"http://127.0.0.1:{port}")
        assert s.calls() == 0
        assert s.di("monitoring", "log", "id-1", "conf_id", "room1", "n", 5) == [0, "OK"]
        assert s.listByFilter(["conf_id", "room1"]) == ["id-1"]
        assert s.di("monitoring", "get", "id-1") == [{"conf_id": "room1", "n": 5}]
        assert s.monitoring.list() == ["id-1"]
        assert "listByFilter" in s.system.listMethods()
        assert s.system.methodSignature("set_loglevel") == [["string", "int"]]
        assert s.system.methodSignature("monitoring.log")[0][0] == "array"
        assert s.system.methodHelp("typed").startswith("probe.typed(number: int")
        assert s.system.getCapabilities()["introspection"]["specVersion"] == 1
        with pytest.raises(xmlrpc.client.Fault, match="unknown method name"):
            s.nosuch()
        multi: Any = xmlrpc.client.MultiCall(s)
        multi.calls()
        multi.di("monitoring", "list")
        assert tuple(multi()) == (0, ["id-1"])
        s("close")()

    async with running() as gateways:
        await asyncio.to_thread(talk, gateways.xml_port)


async def test_curl() -> None:
    curl = found("curl")
    async with running() as gateways:
        body = '{"jsonrpc":"2.0","method":"probe.later","params":["x"],"id":1}'
        url = f"http://127.0.0.1:{gateways.web_port}/jsonrpc"
        assert await program(curl, "-sS", "-d", body, url) == (0, '{"id":1,"jsonrpc":"2.0","result":"x"}', "")
        big = body.replace('"x"', '"' + "x" * 200_000 + '"')
        status, out, _ = await program(curl, "-sS", "-H", "Expect: 100-continue", "-d", big[:100_000] + '"],"id":1}', url)
        assert (status, len(out) > 90_000) == (0, True)
        call = "<?xml version='1.0'?><methodCall><methodName>calls</methodName></methodCall>"
        status, out, _ = await program(curl, "-sS", "-d", call, f"http://127.0.0.1:{gateways.xml_port}/RPC2")
        assert (status, "<i4>0</i4>" in out) == (0, True)


async def test_a_javascript_client_on_a_websocket() -> None:
    node = found("node")
    script = """
    const net = require('net'), crypto = require('crypto');
    const frame = (text) => { const d = Buffer.from(text), m = crypto.randomBytes(4);
      const h = d.length < 126 ? Buffer.from([0x81, 0x80 | d.length]) : Buffer.from([0x81, 0xfe, d.length >> 8, d.length & 255]);
      return Buffer.concat([h, m, d.map((b, i) => b ^ m[i % 4])]); };
    const s = net.connect(+process.argv[1], '127.0.0.1', () => s.write('GET /ws HTTP/1.1\\r\\nHost: x\\r\\nUpgrade: websocket\\r\\n' +
      'Connection: Upgrade\\r\\nSec-WebSocket-Version: 13\\r\\nSec-WebSocket-Key: ' + crypto.randomBytes(16).toString('base64') +
      '\\r\\n\\r\\n'));
    let got = Buffer.alloc(0), open = false;
    s.on('data', (d) => { got = Buffer.concat([got, d]);
      if (!open) { const end = got.indexOf('\\r\\n\\r\\n'); if (end < 0) return; open = true; got = got.subarray(end + 4);
        s.write(frame('{"jsonrpc":"2.0","method":"events.subscribe","id":1}'));
        s.write(frame('{"jsonrpc":"2.0","method":"monitoring.log","params":["a","k",1],"id":2}')); }
      while (got.length >= 2) { let n = got[1], at = 2; if (n === 126) { if (got.length < 4) return; n = got.readUInt16BE(2); at = 4; }
        if (got.length < at + n) return;
        const m = JSON.parse(got.subarray(at, at + n)); got = got.subarray(at + n);
        console.log(m.method || m.id); if (m.id === 2) { s.destroy(); process.exit(0); } } });
    """
    native = """
    const ws = new WebSocket('ws://127.0.0.1:' + process.argv[1] + '/ws');
    ws.onopen = () => { ws.send('{"jsonrpc":"2.0","method":"events.subscribe","id":1}');
      ws.send('{"jsonrpc":"2.0","method":"monitoring.log","params":["a","k",1],"id":2}'); };
    let seen = 0;
    ws.onmessage = (e) => { const m = JSON.parse(e.data); console.log(m.method || m.id); if (++seen === 3) process.exit(0); };
    """
    async with running() as gateways:
        _, has, _ = await program(node, "-e", "console.log(typeof WebSocket)")
        text = native if "function" in has else script
        status, out, errors = await program(node, "-e", text, str(gateways.web_port))
    assert status == 0, errors
    lines = out.split()
    assert "1" in lines and "2" in lines
    assert lines.index("1") < lines.index("2")


async def test_sems_list_calls_and_friends() -> None:
    async with running() as gateways:
        store = gateways.services.monitoring
        store.log("a", app="conference")
        store.log("b", app="echo", long="x" * 80)
        store.mark_finished("b")
        gateways.clock.advance(1)
        assert await sems(gateways, "sems-list-calls") == (0, "Active calls: 0\n['a', 'b']\n", "")
        assert await sems(gateways, "sems-list-active-calls") == (0, "Active calls: 0\n['a']\n", "")
        assert await sems(gateways, "sems-list-finished-calls") == (0, "Active calls: 0\n['b']\n", "")
        full = "Active calls: 0\n----- a -----\n[{'app': 'conference'}]\n"
        assert await sems(gateways, "sems-list-active-calls", "--full") == (0, full, "")
        status, out, _ = await sems(gateways, "sems-get-callproperties", "b")
        assert status == 0 and out.startswith("Active calls: 0\n[   {   'app': 'echo',\n")
        for name, *words in (("sems-list-calls", "--help"), ("sems-get-callproperties",), ("sems-list-finished-calls", "x")):
            status, out, errors = await sems(gateways, name, *words)
            assert (status, out) == (1, "") and errors.startswith(f"usage: {name}")
    assert (await sems(gateways, "sems-list-calls"))[2].startswith("Error calling http://127.0.0.1")


async def test_cordboard_rpc() -> None:
    async with running() as gateways:
        assert (await rpc(gateways, "probe.typed", "5", "text", "--compact"))[:2] == (0, '[5, "text"]\n')
        assert (await rpc(gateways, "probe.typed", "--named", "text=x", "number=7", "--compact"))[:2] == (0, '[7, "x"]\n')
        assert (await rpc(gateways, "probe.one", '"5"'))[:2] == (0, "5\n")
        assert (await rpc(gateways, "probe.one", "\x1b[2J"))[:2] == (0, "·[2J\n")
        assert (await rpc(gateways, "probe.echo", "NaN", "-3", "[1,{}]", "null", "--compact"))[:2] == (
            0,
            '["NaN", -3, [1, {}], null]\n',
        )
        assert (await rpc(gateways, "calls", xml=True))[:2] == (0, "0\n")
        assert (await rpc(gateways, "--xml", "probe.typed", "5", "--compact", xml=True))[:2] == (0, '[5, "none"]\n')
        status, out, errors = await rpc(gateways, "probe.typed", "x")
        assert (status, out) == (1, "") and errors == (
            "cordboard rpc: Invalid params (-32602): parameters type mismatch in function call; right is probe.typed(number, [text])\n"
        )
        status, _, errors = await rpc(gateways, "--xml", "nosuch", xml=True)
        assert (status, errors) == (1, "cordboard rpc: nosuch: unknown method name (-1)\n")
        assert "probe.typed(number, [text])  Take an int and perhaps a string." in (await rpc(gateways, "--list"))[1].splitlines()
        assert (await rpc(gateways, "--complete", "probe.t"))[1] == "probe.typed\n"
        assert (await rpc(gateways, "--completion", "bash"))[1].startswith("_cordboard_rpc()")
        status, _, errors = await rpc(gateways)
        assert status == 1 and "--list" in errors
    status, _, errors = await rpc(gateways, "core.calls")
    assert status == 1 and re.match(r"cordboard rpc: http://127.0.0.1:[0-9]+/jsonrpc: ", errors)
    assert "Traceback" not in errors


async def test_cordboard_rpc_with_a_token(access_path: Path) -> None:
    async with running(Access(access_path)) as gateways:
        for xml in (False, True):
            method = "calls" if xml else "core.calls"
            status, _, errors = await rpc(gateways, method, xml=xml)
            assert status == 1 and "credentials are needed" in errors
            good = await rpc(gateways, method, "--compact", xml=xml, CORDBOARD_TOKEN=f"reader.{SECRET}")
            assert good[0] == 0 and json.loads(good[1]) in (0, [0])


async def test_cordboard_top() -> None:
    async with running() as gateways:
        gateways.services.monitoring.log("call-1", app="conference", **{"from": "a\x1b[2Jb"}, conf_id="room1")
        url = f"http://127.0.0.1:{gateways.web_port}/jsonrpc"
        status, out, errors = await program(sys.executable, "-m", "clients.cli.top", "--url", url)
    assert (status, errors) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("calls 0   most 0   since start 0") and lines[3].split()[:3] == ["call-1", "conference", "a·[2Jb"]
    status, out, errors = await program(sys.executable, "-m", "clients.cli.top", "--url", url)
    assert (status, out) == (1, "") and errors.startswith("cordboard top: http://127.0.0.1")
