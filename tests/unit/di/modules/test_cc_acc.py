# SPDX-License-Identifier: GPL-2.0-or-later
"""`cc_acc` by its DI functions, in memory and over a real XML-RPC server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from xmlrpc.server import SimpleXMLRPCServer

import pytest

from di.kernel.errors import CallFailed
from di.modules import cc_acc, cc_acc_xmlrpc
from di.modules.cc_acc_xmlrpc import Options
from tests.support.bare_hub import bare_services
from tests.support.ports import free_port


def test_credits_in_memory() -> None:
    services, _ = bare_services()
    close = cc_acc.start(services, None)
    call = services.registry.invoke
    assert call("cc_acc", "getCredit", ["1"]) == [-1] and call("cc_acc", "subtractCredit", ["1", 3]) == [-1]
    assert call("cc_acc", "setCredit", ["1", 10]) == [10] and call("cc_acc", "addCredit", ["1", 5]) == [15]
    assert call("cc_acc", "subtractCredit", ["1", 20]) == [0] and call("cc_acc", "getCredit", ["1"]) == [0]
    assert close is not None
    close()


@pytest.fixture
def bank() -> Iterator[SimpleXMLRPCServer]:
    server = SimpleXMLRPCServer(("127.0.0.1", 0), logRequests=False)
    server.register_function(lambda pin: 42 if pin == "1" else "many", "getCredit")
    server.register_function(lambda orders: 42 - orders[0]["amount"], "subtractCredit")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


async def test_credits_of_a_server_elsewhere(bank: SimpleXMLRPCServer) -> None:
    services, _ = bare_services()
    close = cc_acc_xmlrpc.start(services, Options(f"http://127.0.0.1:{bank.server_address[1]}/RPC2"))
    call = services.registry.invoke
    assert await call("cc_acc", "getCredit", ["1"]) == [42]  # type: ignore[misc]
    assert await call("cc_acc", "subtractCredit", ["1", 2]) == [40]  # type: ignore[misc]
    with pytest.raises(CallFailed, match="is no number"):
        await call("cc_acc", "getCredit", ["2"])  # type: ignore[misc]
    assert close is not None
    closing = close()
    assert closing is not None
    await closing


async def test_a_server_that_is_not_there_is_named() -> None:
    services, _ = bare_services()
    port = free_port()
    close = cc_acc_xmlrpc.start(services, Options(f"http://127.0.0.1:{port}/RPC2"))
    with pytest.raises(CallFailed, match=f"127.0.0.1:{port}"):
        await asyncio.wait_for(services.registry.invoke("cc_acc", "getCredit", ["1"]), 20)  # type: ignore[arg-type]
    assert close is not None
    closing = close()
    assert closing is not None
    await closing
