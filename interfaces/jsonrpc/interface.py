# SPDX-License-Identifier: GPL-2.0-or-later
"""DI `jsonrpc`: make requests to other JSON-RPC peers and answer theirs from sessions (spec di.md §4.6)."""

from __future__ import annotations

from di.kernel.errors import TypeMismatch
from di.kernel.registry import INTERNAL, Registry, di_method
from di.kernel.value import Value
from interfaces.gateway import settle
from interfaces.jsonrpc.methods import execute, failure_of
from interfaces.jsonrpc.peer import Peer, failure_object, success
from interfaces.jsonrpc.server import ConnectFailed, NetstringGateway

_REQUEST, _RESPONSE, _ERROR = 0, 1, 2


class JsonRpcInterface:
    """The DI functions. All but `getServerPort` are for trusted callers: they reach other hosts or run any function."""

    def __init__(self, gateway: NetstringGateway, registry: Registry) -> None:
        self._gateway, self._registry = gateway, registry

    @di_method("execRpc", dangerous=True)
    async def exec_rpc(
        self,
        reply_queue: str,
        notification_receiver: str,
        request_receiver: str,
        flags: int,
        host: str,
        port: int,
        method: str,
        *more: Value,
    ) -> list[Value]:
        """Connect to a peer and send it a request; returns [200, "OK", connection id]. Further: params (array or struct), udata.

        Queues are named by session id; an empty name is none. `flags` say when the connection is closed (spec di.md §4.7).
        """
        params, udata = _optional(more)
        request = b""

        def begin(peer: Peer) -> None:
            nonlocal request
            peer.flags, peer.notification_receiver, peer.request_receiver = flags, notification_receiver, request_receiver
            request = peer.request(method, params, reply_queue, udata)

        try:
            connection = await self._gateway.connect(host, port, begin)
        except ConnectFailed as error:
            return [400, f"Error in connect: {error}"]
        connection.send(request)
        return [200, "OK", connection.peer.connection_id]

    @di_method("sendMessage", dangerous=True)
    def send_message(self, connection_id: str, type: int, method: str, id: str, reply_queue: str, *more: Value) -> list[Value]:
        """Send on a connection: type 0 a request (a notification when `id` is empty), 1 a result, 2 an error.

        Further: params, udata.
        """
        params, udata = _optional(more)
        connection = self._gateway.connections.get(connection_id)
        if connection is None or connection.transport is None:
            return [400, "unknown connection"]
        peer = connection.peer
        if type == _REQUEST:
            connection.send(peer.request(method, params, reply_queue, udata) if id else peer.notification(method, params))
        elif type in (_RESPONSE, _ERROR):
            connection.send(peer.response(id, params, type == _ERROR))
        else:
            raise TypeMismatch(f"jsonrpc.sendMessage: type {type} is none of 0 (request), 1 (response), 2 (error)")
        return [200, "posted"]

    @di_method("getServerPort", changes=False)
    def get_server_port(self) -> list[Value]:
        """Return the port of the netstring server as [port]."""
        return [self._gateway.port]

    @di_method("execServerFunction", dangerous=True)
    async def exec_server_function(self, method: str, id: str, params: Value) -> Value:
        """Run a method as if it had come over the wire, with all permissions; returns the whole response object."""
        try:
            return success(id, await settle(execute(self._registry, method, params, INTERNAL)))
        except Exception as error:  # noqa: BLE001 - every failure of a call is an error object
            return failure_object(id, failure_of(error, method.partition(".")[0]))


def _optional(more: tuple[Value, ...]) -> tuple[Value, Value]:
    params = more[0] if more else None
    if more and not isinstance(params, (list, dict)):
        raise TypeMismatch("params must be an array or a struct")
    return params, more[1] if len(more) > 1 else None
