# SPDX-License-Identifier: GPL-2.0-or-later
"""Start and stop of `cc_radius`; the socket on which servers ask for the end of a call."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import TYPE_CHECKING, cast

from di.kernel.errors import ConfigError
from di.kernel.host_names import addresses_of, is_name
from di.modules.cc_radius.control import RadiusControl
from di.modules.cc_radius.dynamic import DynamicRules, DynamicServer
from di.stores.charges import opened

if TYPE_CHECKING:
    from di.kernel.ports import Clock
    from di.modules.cc_radius.options import Options
    from di.server.plugin import Closer
    from di.server.services import Services

log = logging.getLogger(__name__)
_MOST_SAID = 50


async def start(services: Services, options: Options) -> Closer:
    """Let configurations name the control. Raises ConfigError for a secret, a file or a port that is not to be had."""
    conf = str(services.conf_dir / "cc_radius.conf")
    for host in options.servers:
        if not options.secret_file.of(host.host):
            raise ConfigError(conf, 0, "secret_file", f"it has no secret for {host.host}, and none for all")
    nas = options.nas_identifier or socket.gethostname()
    control = RadiusControl(options, nas, services.clock)
    listening: asyncio.DatagramTransport | None = None
    close_book = await opened(control.book, services, "cc_radius.conf")
    if not services.trial and options.disconnect_port:
        listening = await _listen(control, options, nas, services.clock, conf)
    modules = services.control_modules
    modules["cc_radius"] = control

    async def close() -> None:
        del modules["cc_radius"]
        if listening is not None:
            listening.close()
        control.stop_updates()
        await close_book()
        control.close()

    return close


async def _listen(control: RadiusControl, options: Options, nas: str, clock: Clock, conf: str) -> asyncio.DatagramTransport:
    secrets: dict[str, bytes] = {}
    for host in options.servers:
        try:
            addresses = await addresses_of(host.host, ":" in options.disconnect_ip) if is_name(host.host) else [host.host]
        except OSError as error:
            raise ConfigError(conf, 0, "servers", f"{host.host} has no address: {error}") from error
        secrets.update(dict.fromkeys(addresses, options.secret_file.of(host.host)))
    server = DynamicServer(DynamicRules(secrets, nas), control.named)
    try:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Listener(server, clock), local_addr=(options.disconnect_ip, options.disconnect_port)
        )
    except OSError as error:
        raise ConfigError(conf, 0, "disconnect_port", str(error)) from error
    return transport


class _Listener(asyncio.DatagramProtocol):
    def __init__(self, server: DynamicServer, clock: Clock) -> None:
        self._server = server
        self._clock = clock
        self._transport: asyncio.DatagramTransport | None = None
        self._said: set[tuple[str, str]] = set()

    def _new(self, ip: str, said: str) -> bool:
        """Whether it is to be said of what gets no answer: anybody could fill the log with it."""
        known = (ip, said) in self._said or len(self._said) >= _MOST_SAID
        if not known:
            self._said.add((ip, said))
        return not known

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """A server, or somebody who would like to be one."""
        answer, said = self._server.handle(data, addr[:2], self._clock.epoch_s())
        if said and (answer is not None or self._new(addr[0], said)):
            log.log(logging.INFO if answer is not None else logging.WARNING, "radius: from %s:%d: %s", addr[0], addr[1], said)
        if answer is not None and self._transport is not None:
            self._transport.sendto(answer, addr)
