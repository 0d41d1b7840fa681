# SPDX-License-Identifier: GPL-2.0-or-later
"""All gateways on free ports of one loop, over services without processes; and what tests send them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import interfaces.jsonrpc
import interfaces.web
import interfaces.xmlrpc2di
from di.access import Access
from di.kernel import logs
from di.kernel.errors import CallFailed, OutOfBounds, TypeMismatch
from di.kernel.event_log import EventLog
from di.kernel.registry import di_method
from di.kernel.value import LongLong, Value
from di.server.services import Services
from di.stores.monitoring import PLUGIN as MONITORING
from tests.support.bare_hub import HandClock, bare_services
from tests.support.ports import free_port


class Probe:
    """A DI module with one function for each thing that can happen."""

    def __init__(self) -> None:
        self.calls: list[Value] = []

    @di_method("echo", changes=False)
    def echo(self, *values: Value) -> list[Value]:
        """Return the arguments."""
        return list(values)

    @di_method("one", changes=False)
    def one(self, value: Value) -> Value:
        """Return the argument itself."""
        return value

    @di_method("later", changes=False)
    async def later(self, value: Value) -> Value:
        """Return the argument after other things had their turn."""
        await asyncio.sleep(0)
        return value

    @di_method("nothing", changes=False)
    def nothing(self) -> None:
        """Return nothing."""

    @di_method("typed", changes=False)
    def typed(self, number: int, text: str = "none") -> list[Value]:
        """Take an int and perhaps a string."""
        return [number, text]

    @di_method("fail", changes=False)
    def fail(self, how: str) -> Value:
        """Raise what is asked for."""
        raise {
            "text": CallFailed("the text"),
            "bounds": OutOfBounds("x"),
            "type": TypeMismatch("x"),
            "bug": RuntimeError("a bug"),
            "silent": RuntimeError(),
        }[how]

    @di_method("failLater", changes=False)
    async def fail_later(self) -> Value:
        """Raise after a wait."""
        await asyncio.sleep(0)
        raise CallFailed("late")

    @di_method("odd", changes=False)
    def odd(self, what: str) -> Value:
        """Return a value that one of the gateways has trouble with."""
        return {
            "long": LongLong(5),
            "longer": LongLong(1 << 40),
            "longest": LongLong((1 << 62) + 1),
            "blob": b"\x00\xff",
            "empty": {},
            "holes": [1, {}, 2],
            "member": {"a": {}},
            "object": object(),
            "wide": (1 << 32) + 5,
            "control": "a\x01b",
            "bytes": "\udcff",
            "nan": float("nan"),
            "tuple": (1, "x"),
        }[what]

    @di_method("change")
    def change(self, value: Value) -> Value:
        """Note the argument."""
        self.calls.append(value)
        return len(self.calls)

    @di_method("danger", dangerous=True)
    def danger(self) -> Value:
        """Do something that needs trust."""
        return "done"


@dataclass
class Gateways:
    """Where they listen, and what they serve."""

    services: Services
    clock: HandClock
    probe: Probe
    xml_port: int
    web_port: int
    netstring_port: int
    web: Any = None


@contextlib.asynccontextmanager
async def running(
    access: Access | None = None,
    events: EventLog | None = None,
    tls: str = "",
    web: Mapping[str, Any] | None = None,
    **options: Any,
) -> AsyncIterator[Gateways]:
    """Start monitoring, `probe` and the three gateways; stop them afterwards.

    `options` go to the XML-RPC gateway, `web` to the web port, `tls` to all.
    """
    services, clock = bare_services(access)
    services.events = events or services.events
    level = logs.level()
    if access is not None:
        access._registry = services.registry
    probe = Probe()
    services.registry.register("probe", probe)
    closers: list[Any] = []

    async def begin(plugin: Any, **wanted: Any) -> None:
        closer = plugin.start(services, plugin.options(**wanted))
        closers.append(await closer if isinstance(closer, Awaitable) else closer)

    xml_port, web_port, netstring_port = free_port(), free_port(), free_port()
    try:
        await begin(MONITORING)
        await begin(
            interfaces.xmlrpc2di.PLUGIN,
            **{"xmlrpc_port": xml_port, "direct_export": ("probe", "monitoring"), "tls_certificate": tls, **options},
        )
        await begin(interfaces.jsonrpc.PLUGIN, jsonrpc_port=netstring_port, tls_certificate=tls)
        await begin(interfaces.web.PLUGIN, port=web_port, tls_certificate=tls, **(web or {}))
        yield Gateways(services, clock, probe, xml_port, web_port, netstring_port)
    finally:
        logs.set_level(level)
        for closer in reversed(closers):
            outcome = closer() if closer is not None else None
            if isinstance(outcome, Awaitable):
                await outcome


async def exchange(
    port: int, data: bytes, until: Callable[[bytes], bool] | None = None, limit_s: float = 20.0, half_close: bool = False
) -> bytes:
    """Send bytes and return what comes back: up to `until`, else up to the end of the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    if half_close:
        writer.write_eof()
    received = b""
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        while not (until and until(received)):
            piece = await asyncio.wait_for(reader.read(65536), limit_s)
            if not piece:
                break
            received += piece
    writer.close()
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        await writer.wait_closed()
    return received


def http_post(body: bytes, path: str = "/RPC2", extra: str = "") -> bytes:
    """A POST that closes the connection behind itself."""
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{extra}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def body_of(reply: bytes) -> bytes:
    """What follows an HTTP head."""
    return reply.partition(b"\r\n\r\n")[2]


async def xml_call(gateways: Gateways, method: str, params: str = "", extra: str = "") -> bytes:
    """The body of the answer to an XML-RPC call; `params` are `<value>` elements one after the other."""
    wrapped = (
        params.replace("<value>", "<param><value>").replace("</value>", "</value></param>")
        if "<value><a" not in params
        else params
    )
    text = f"<?xml version='1.0'?><methodCall><methodName>{method}</methodName><params>{wrapped}</params></methodCall>"
    return body_of(await exchange(gateways.xml_port, http_post(text.encode(), extra=extra)))


def netstring(text: bytes) -> bytes:
    """Frame one message."""
    return b"%d:%s," % (len(text), text)
