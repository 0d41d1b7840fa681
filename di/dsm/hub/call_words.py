# SPDX-License-Identifier: GPL-2.0-or-later
"""What scripts read of a call: selects, status words, events from outside as parameters (spec dsm.md §2.5, §3.8)."""

from __future__ import annotations

from collections.abc import Callable

from di.calls.events import EventPosted
from di.calls.session import Session
from di.dsm.language.arrays import flatten
from di.dsm.language.event import Kind
from di.sip.headers import parse_uri, uri_of

DISAPPEARED = frozenset((404, 408, 410, 416, 480, 481, 482, 483, 484, 485, 502, 604))
"""Replies to a request of ours that mean the peer is gone (spec dsm.md §3.8); 481 as documented."""
SYSTEM_WORDS = {"shutdown": "ServerShutdown", "user1": "User1", "user2": "User2"}


def posted(event: EventPosted) -> tuple[Kind | None, dict[str, str]]:
    """What an event from outside is to a diagram: kind (None: nothing) and parameters."""
    params = dict(event.params)
    if event.kind == "jsonrpc":
        kind = {"JsonRpcRequest": Kind.JSON_RPC_REQUEST, "JsonRpcResponse": Kind.JSON_RPC_RESPONSE}.get(params.get("ev_type", ""))
        if kind is not None and isinstance(event.data, dict):
            for name, value in event.data.items():
                flatten(value, name, params.__setitem__)
        return kind, params
    return {"dsm": Kind.EVENT, "b2b": Kind.B2B_EVENT, "subscription": Kind.SUBSCRIPTION}.get(event.kind), params


def event_objects(event: EventPosted) -> dict[str, object]:
    """Objects that a diagram has during an event from outside (spec dsm.md §2.9)."""
    if event.data is None:
        return {}
    if event.kind == "subscription":
        return {"SipSubscriptionBody": event.data}
    if event.kind != "jsonrpc" or not isinstance(event.data, dict):
        return {}
    if event.params.get("ev_type") == "JsonRpcRequest":
        return {"JsonRpcRequestParameters": event.data.get("params")}
    outcome = event.data.get("result", event.data.get("error"))
    return {"JsonRpcResponseParameters": outcome, "JsonRpcResponseUData": event.data.get("udata")}


def drop_objects(avars: dict[str, object], objects: dict[str, object]) -> None:
    """The event is over: take its objects away, unless the script has put others there."""
    for name, value in objects.items():
        if avars.get(name) is value:
            del avars[name]


def _party(header: str) -> str:
    """A From or To value as `[display name ]<uri>` without parameters."""
    display, bracket, _ = header.partition("<")
    return f"{display.strip()} <{uri_of(header)}>".strip() if bracket else f"<{uri_of(header)}>"


_SELECTS: dict[str, Callable[[Session], str]] = {
    "remote_tag": lambda s: s.info.remote_tag,
    "callid": lambda s: s.info.call_id,
    "user": lambda s: s.info.user,
    "domain": lambda s: parse_uri(s.info.request_uri).host,
    "local_uri": lambda s: s.info.request_uri if s.info.incoming else uri_of(s.info.from_header),
    "local_party": lambda s: s.info.to_header if s.info.incoming else s.info.from_header,
    "remote_uri": lambda s: (s.info.contact_uri or uri_of(s.info.from_header)) if s.info.incoming else s.info.request_uri,
    "remote_party": lambda s: _party(s.info.from_header) if s.info.incoming else s.info.to_header,
}


def selected(session: Session, name: str) -> str:
    """`@name` (spec dsm.md §2.5), empty when there is none. All are known from the first state's `enter` on, where the 2009 programs use them."""
    if name == "local_tag":
        return session.id
    reader = _SELECTS.get(name)
    return reader(session) if reader is not None else ""
