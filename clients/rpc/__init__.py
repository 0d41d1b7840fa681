# SPDX-License-Identifier: GPL-2.0-or-later
"""A small client library for cordboard's RPC ports; it needs nothing but Python's standard library and imports nothing of the server.

    from clients.rpc import JsonRpc, XmlRpc
    JsonRpc("http://127.0.0.1:8080/jsonrpc").call("monitoring.listByFilter", [["conf_id", "room1"]])
    XmlRpc("http://127.0.0.1:8090").call("di", "monitoring", "get", "the id")

Both keep their connection. `token` is what `cordboard token add` showed. Errors: `CallError` when the server answers with one,
`Unreachable` when there is no usable answer.
"""

from clients.rpc.errors import CallError, RpcError, Unreachable
from clients.rpc.json_client import JsonRpc
from clients.rpc.xml_client import XmlRpc

__all__ = ["CallError", "JsonRpc", "RpcError", "Unreachable", "XmlRpc"]
