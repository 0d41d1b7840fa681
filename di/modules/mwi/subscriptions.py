# SPDX-License-Identifier: GPL-2.0-or-later
"""Who has subscribed to which box (RFC 3842 by RFC 6665 §4.2), and what the NOTIFYs in their dialogs need. Pure.

SUBSCRIBE ─► `take` ─┬─ refused: a reply
                     └─ MwiSubscription, new or refreshed ─► its NOTIFYs ─► Expires 0, or its end: a last NOTIFY, `forget`
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from di.calls.outside import OutsideReply
from di.modules.mwi.summary import CONTENT_TYPE
from di.sip.headers import first_header, parse_uri, uri_of
from di.sip.outside_records import OutsideReceived
from di.stores.messages import BoxOwner

EVENT = "message-summary"
USUAL_S = 3600
"""When no Expires says how long (RFC 3842 §3.3 leaves it to us)."""
RETRY_AFTER_S = 60
_S = 1_000_000_000
_TAG = re.compile(r";\s*tag\s*=\s*([^\s;,>]+)", re.IGNORECASE)


@dataclass(slots=True, eq=False)
class MwiSubscription:
    """One dialog. `local`: our To value without its tag; `remote`: the subscriber's From value; `cseq`: of our last NOTIFY."""

    number: int
    owner: BoxOwner
    call_id: str
    local: str
    local_tag: str
    remote: str
    target: str
    route: tuple[str, ...]
    remote_cseq: int
    ends_ns: int = 0
    cseq: int = 0

    def left_s(self, now_ns: int) -> int:
        """How long it lasts unless it is refreshed; 0: it is over."""
        return max(0, -(-(self.ends_ns - now_ns) // _S))


class SubscriptionBook:
    """`least_s`, `most_s`: what an Expires may be; `most`: so many subscriptions."""

    def __init__(self, least_s: int, most_s: int, most: int) -> None:
        self._least_s, self._most_s, self._most = least_s, most_s, most
        self._by_number: dict[int, MwiSubscription] = {}
        self._by_dialog: dict[tuple[str, str], MwiSubscription] = {}
        self._by_owner: dict[BoxOwner, list[MwiSubscription]] = {}
        self._next = 0

    def __len__(self) -> int:
        return len(self._by_number)

    def take(self, request: OutsideReceived, domain: str, now_ns: int) -> MwiSubscription | OutsideReply:
        """A SUBSCRIBE: the subscription that it makes or goes on with, whose end stands in it; or why not. `domain`: of boxes, empty: the URI's."""
        if refused := self._unfit(request):
            return refused
        expires_s = self._expires_s(request)
        if 0 < expires_s < min(self._least_s, self._most_s):
            return OutsideReply(423, "Interval Too Brief", (f"Min-Expires: {self._least_s}",))
        found = self._by_dialog.get((request.call_id, request.to_tag))
        if found is None and _tag_of(request.to_header):
            return OutsideReply(481, "Subscription Does Not Exist")
        cseq = int((first_header(request.headers, "CSeq") or "0").split()[0])
        if found is None:
            if len(self) >= self._most:
                return OutsideReply(503, "Too Many Subscriptions", (f"Retry-After: {RETRY_AFTER_S}",))
            found = self._new(request, domain, cseq)
        elif cseq <= found.remote_cseq or _tag_of(request.from_header) != _tag_of(found.remote):
            return OutsideReply(500, "Out Of Order")
        found.remote_cseq = cseq
        found.target = uri_of(first_header(request.headers, "Contact") or "") or found.target  # RFC 6665 §4.4.1
        found.ends_ns = now_ns + expires_s * _S
        return found

    def _unfit(self, request: OutsideReceived) -> OutsideReply | None:
        event = (first_header(request.headers, "Event") or first_header(request.headers, "o") or "").partition(";")[0].strip()
        if event.lower() != EVENT:
            return OutsideReply(489, "Bad Event", (f"Allow-Events: {EVENT}",))
        accepted = [value for name, value in request.headers if name.lower() == "accept"]
        kinds = {word.partition(";")[0].strip().lower() for value in accepted for word in value.split(",")}
        if accepted and not kinds & {CONTENT_TYPE, "application/*", "*/*"}:
            return OutsideReply(406, "Not Acceptable", (f"Accept: {CONTENT_TYPE}",))
        contact = uri_of(first_header(request.headers, "Contact") or "")
        if not contact.lower().startswith(("sip:", "sips:")):
            return OutsideReply(400, "Missing Contact")
        return None

    def _expires_s(self, request: OutsideReceived) -> int:
        text = (first_header(request.headers, "Expires") or "").strip()
        return (
            min(int(text), self._most_s) if text.isascii() and text.isdecimal() and len(text) < 11 else min(USUAL_S, self._most_s)
        )

    def _new(self, request: OutsideReceived, domain: str, cseq: int) -> MwiSubscription:
        self._next += 1
        uri = parse_uri(request.request_uri)
        made = MwiSubscription(
            self._next,
            BoxOwner(domain or uri.host, uri.user),
            request.call_id,
            _TAG.sub("", request.to_header),
            request.to_tag,
            request.from_header,
            "",
            route_set(request),
            cseq,
        )
        self._by_number[made.number] = self._by_dialog[made.call_id, made.local_tag] = made
        self._by_owner.setdefault(made.owner, []).append(made)
        return made

    def forget(self, subscription: MwiSubscription) -> None:
        """It is over."""
        if self._by_number.pop(subscription.number, None) is None:
            return
        of_owner = self._by_owner[subscription.owner]
        of_owner.remove(subscription)
        if not of_owner:
            del self._by_owner[subscription.owner]
        self._by_dialog.pop((subscription.call_id, subscription.local_tag), None)

    def find(self, number: int) -> MwiSubscription | None:
        """The one of that number."""
        return self._by_number.get(number)

    def of(self, owner: BoxOwner) -> list[MwiSubscription]:
        """Those of a box."""
        return list(self._by_owner.get(owner, ()))

    def expired(self, now_ns: int) -> list[MwiSubscription]:
        """Those that nobody has refreshed in time."""
        return [one for one in self._by_number.values() if one.ends_ns <= now_ns]

    def deadline_ns(self) -> int | None:
        """When the next one ends."""
        return min((one.ends_ns for one in self._by_number.values()), default=None)


def route_set(request: OutsideReceived) -> tuple[str, ...]:
    """What leads to a subscriber: the proxies that recorded themselves (RFC 3261 §12.1.1); without one, and for a Contact at another address
    than the request came from (NAT), that address.
    """
    recorded = [value for name, value in request.headers if name.lower() == "record-route"]
    routes = tuple(part.strip() for value in recorded for part in re.findall(r"(?:<[^>]*>|[^,<])+", value) if part.strip())
    if routes:
        return routes
    host = parse_uri(uri_of(first_header(request.headers, "Contact") or "")).host.strip("[]")
    if host == request.source_ip:
        return ()
    via = (first_header(request.headers, "Via") or first_header(request.headers, "v") or "").upper()
    kind = re.search(r"SIP\s*/\s*2\.0\s*/\s*(\w+)", via)
    transport = f";transport={kind[1].lower()}" if kind is not None and kind[1] != "UDP" else ""
    at = f"[{request.source_ip}]" if ":" in request.source_ip else request.source_ip
    return (f"<sip:{at}:{request.source_port}{transport};lr>",)


def _tag_of(value: str) -> str:
    found = _TAG.search(value.rpartition(">")[2] if ">" in value else value)
    return found[1] if found is not None else ""
