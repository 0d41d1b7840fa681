# SPDX-License-Identifier: GPL-2.0-or-later
"""One JSON-RPC peer on a netstring connection: messages in, answers and in-process events out (spec di.md §4.3 to §4.7). Pure.

A message is a request (executed here, or posted to a receiver queue) or the reply to one of ours (posted to the queue that
waits for it). Events are `EventPosted` of kind `jsonrpc`; `data` holds the structured part:

    ev_type JsonRpcRequest      method, id, is_notify, connection_id; data {"params": …}
    ev_type JsonRpcResponse     id, is_error, connection_id; data {"result" or "error": …, "udata": …}
    ev_type JsonRpcConnection   what = disconnect, connection_id
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from di.calls.events import EventPosted
from di.kernel.value import Value
from interfaces.gateway import waits
from interfaces.jsonrpc.methods import RpcFailure, failure_of
from interfaces.jsonrpc.sems_json import SemsJsonError, dumps, loads
from interfaces.large import Text, is_large, json_result

KIND = "jsonrpc"


class Flag(enum.IntFlag):
    """When a connection is closed (spec di.md §4.7)."""

    ONE_MESSAGE = 1
    UNKNOWN_REPLY = 2
    REPLY_QUEUE_GONE = 4
    REQUEST_RECEIVER_GONE = 8
    NOTIFICATION_RECEIVER_GONE = 16


class PeerClosed(Exception):
    """The connection must be closed without an answer; the text says why."""


Execute = Callable[[str, Value], "Value | Awaitable[Value]"]
Post = Callable[[str, EventPosted], bool]


@dataclass(slots=True)
class Peer:
    """The state of one connection. `execute` runs a method, `post` puts an event into a queue (False: there is none)."""

    connection_id: str
    execute: Execute
    post: Post
    flags: int = 0
    notification_receiver: str = ""
    request_receiver: str = ""
    _waiting: dict[str, tuple[str, Value]] = field(default_factory=dict)
    _last_id: int = 0

    @property
    def closes_after(self) -> bool:
        """Whether the connection ends after one processed message."""
        return bool(self.flags & Flag.ONE_MESSAGE)

    # ---------------------------------------------------------------------------------------------------------- in
    def receive(self, payload: bytes) -> bytes | Awaitable[Text]:
        """Process one message and return the answer, empty for none. Raises PeerClosed."""
        try:
            message = loads(payload)
        except SemsJsonError as error:
            raise PeerClosed(f"no JSON: {error}") from None
        if not isinstance(message, dict) or message.get("jsonrpc") != "2.0" or type(message["jsonrpc"]) is not str:
            raise PeerClosed('the member jsonrpc is not "2.0"')
        method = message.get("method")
        if isinstance(method, str):
            return self._request(method, message)
        self._reply(message)
        return b""

    def _request(self, method: str, message: dict[str, Value]) -> bytes | Awaitable[Text]:
        id = message.get("id")
        if id == "" or type(id) not in (str, int):
            id = None
        receiver = self.request_receiver if id is not None else self.notification_receiver
        if receiver:
            self._post_request(receiver, method, id, message.get("params"))
            return b""
        try:
            answer = self.execute(method, message.get("params"))
        except Exception as error:  # noqa: BLE001 - every failure of a call is an error object
            return _failed(id, failure_of(error, method.partition(".")[0]))
        if waits(answer):
            return _later(id, answer, method)
        return _succeeded(id, answer)

    def _post_request(self, receiver: str, method: str, id: Value, params: Value) -> None:
        values = {"ev_type": "JsonRpcRequest", "method": method, "is_notify": "false" if id is not None else "true"}
        if id is not None:
            values["id"] = str(id)
        event = EventPosted({**values, "connection_id": self.connection_id}, KIND, {"params": params})
        gone = Flag.REQUEST_RECEIVER_GONE if id is not None else Flag.NOTIFICATION_RECEIVER_GONE
        if not self.post(receiver, event) and self.flags & gone:
            raise PeerClosed(f"the receiver {receiver} does not exist any more")

    def _reply(self, message: dict[str, Value]) -> None:
        id = message.get("id")
        if not isinstance(id, str) or not id:
            raise PeerClosed("a reply's id is a string here")
        if id not in self._waiting:
            if self.flags & Flag.UNKNOWN_REPLY:
                raise PeerClosed(f"nobody waits for a reply with id {id!r:.40}")
            return
        outcome = "error" if "error" in message else "result"
        if outcome not in message:
            raise PeerClosed("a reply has neither result nor error")
        queue, udata = self._waiting.pop(id)
        values = {"ev_type": "JsonRpcResponse", "id": id, "is_error": "true" if outcome == "error" else "false"}
        event = EventPosted({**values, "connection_id": self.connection_id}, KIND, {outcome: message[outcome], "udata": udata})
        if queue and not self.post(queue, event) and self.flags & Flag.REPLY_QUEUE_GONE:
            raise PeerClosed(f"the reply queue {queue} does not exist any more")

    # --------------------------------------------------------------------------------------------------------- out
    def request(self, method: str, params: Value, reply_queue: str, udata: Value) -> bytes:
        """A request with the connection's next id; its reply goes to `reply_queue` with `udata`."""
        self._last_id += 1
        id = str(self._last_id)
        self._waiting[id] = (reply_queue, udata)
        return dumps({"id": id, "jsonrpc": "2.0", "method": method, "params": params})

    def notification(self, method: str, params: Value) -> bytes:
        """A notification."""
        return dumps({"jsonrpc": "2.0", "method": method, "params": params})

    def response(self, id: str, outcome: Value, is_error: bool) -> bytes:
        """The answer to a request that was posted to a receiver."""
        return dumps({"id": id, "jsonrpc": "2.0", ("error" if is_error else "result"): outcome})

    def lost(self) -> None:
        """The connection has ended: tell both receivers and every queue that waits, each once."""
        queues = [self.notification_receiver, self.request_receiver, *(queue for queue, _ in self._waiting.values())]
        self._waiting.clear()
        values = {"ev_type": "JsonRpcConnection", "what": "disconnect", "connection_id": self.connection_id}
        for queue in dict.fromkeys(queues):
            if queue:
                self.post(queue, EventPosted(dict(values), KIND))


async def _later(id: Value, answer: Awaitable[Value], method: str) -> Text:
    try:
        text = _succeeded(id, await answer)
        return text if isinstance(text, bytes) else await text
    except Exception as error:  # noqa: BLE001 - as in Peer._request
        return _failed(id, failure_of(error, method.partition(".")[0]))


def _succeeded(id: Value, result: Value) -> bytes | Awaitable[Text]:
    if id is None:
        return b""
    answer = success(id, result)
    return json_result(answer, dumps, b", ") if is_large(result) else dumps(answer)


def _failed(id: Value, failure: RpcFailure) -> bytes:
    return dumps(failure_object(id, failure)) if id is not None else b""


def success(id: Value, result: Value) -> dict[str, Value]:
    """A response object with a result."""
    return {"id": id, "jsonrpc": "2.0", "result": result}


def failure_object(id: Value, failure: RpcFailure) -> dict[str, Value]:
    """A response object with an error; its members are written in ascending order, as all are."""
    error: Value = {"code": failure.code, "data": failure.data, "message": failure.message}
    return {"error": error, "id": id, "jsonrpc": "2.0"}
