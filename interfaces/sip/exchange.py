# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests of our own that belong to no call: pjsip's transactions send and repeat them, ctypes reaches those (see `native`).

    OutRequest ─► send ─► pjsip transaction (retransmissions, timer F, TCP/TLS, DNS) ─► done(code, reason, Message | None, source ip)

pjsua2 shows such requests only with a Call-ID, tags and CSeq of its own making; a subscription needs to choose them.
`done` is called exactly once a request, within pjsip's one thread, possibly before `send` has returned.
"""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Callable, Iterable
from ctypes import CFUNCTYPE, POINTER, byref, c_char_p, c_int, c_void_p
from dataclasses import dataclass

from interfaces.sip.layout import EVENT, MESSAGE, TX_DATA, Text
from interfaces.sip.message import Message, parse, wire_bytes
from interfaces.sip.placeholders import Placeholders

log = logging.getLogger(__name__)

Done = Callable[[int, str, Message | None, str], None]

_ON_ANSWER = CFUNCTYPE(None, c_void_p, c_void_p)
_NO_TIMEOUT = -1
_POOL_BYTES = 4000
_PARSED_BY_PJSIP = frozenset(("route",))
"""Headers that pjsip itself looks at on the way out; all others are text to it."""


class _Method(ctypes.Structure):
    """pjsip_method."""

    _fields_ = [("id", c_int), ("name", Text)]


class _Selector(ctypes.Structure):
    """pjsip_tpselector, with room to spare; filled and read by pjsip only."""

    _fields_ = [("room", c_void_p * 8)]


@dataclass(frozen=True, slots=True)
class OutRequest:
    """A request to send. `from_value` and `to_value` are complete header values with their tags. `contact`: whether ours is added."""

    method: str
    target: str
    from_value: str
    to_value: str
    call_id: str
    cseq: int
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = ""
    body: bytes = b""
    contact: bool = True


def body_of(library: ctypes.CDLL, pool: int, content_type: str, body: bytes) -> int:
    """A pjsip_msg_body in a pool."""
    kind, _, subkind = content_type.partition("/")
    parts = Text.of(kind.strip()), Text.of(subkind.strip()), Text.around(body)
    return int(library.pjsip_msg_body_create(pool, *(byref(part) for part in parts)) or 0)


class CannotSend(Exception):
    """A request that pjsip does not take: the text says which part is wrong."""


class Exchanges:
    """`read(rx_data)` gives text, source ip and port of a received message, `account(uri)` the pjsua account to reach a URI by."""

    def __init__(
        self, library: ctypes.CDLL, read: Callable[[int], tuple[str, str, int] | None], account: Callable[[str], int]
    ) -> None:
        self._library = library
        self._read = read
        self._account = account
        self._endpoint = 0
        self.usable = False
        self._waiting: dict[int, Done] = {}
        self._token = 0
        self._callback = _ON_ANSWER(self._answered)  # must outlive every transaction
        _declare(library)

    def start(self, endpoint: int) -> None:
        """The endpoint runs."""
        self._endpoint = endpoint

    def try_out(self, received_as_known: bool) -> bool:
        """Whether this pjproject's messages are laid out as known: those received, and one that is made and thrown away."""
        there = Placeholders(lambda: None)
        trial = OutRequest(
            "TRIAL", "sip:a@127.0.0.1", "<sip:b@127.0.0.1>;tag=c", "<sip:a@127.0.0.1>", "trial", 1,
            (("X-Trial", there.header("X-Trial", "\udcff1")),), "x/trial", there.body(b"\xfebody").encode(),
        )  # fmt: skip
        try:
            data = self._make(trial)
            TX_DATA.put_back(self._library, data, there)
            printed = TX_DATA.prints(self._library, data, b"X-Trial: \xff1\r\n", b"x/trial\r\n", b"\r\n\r\n\xfebody")
            self.usable = received_as_known and printed
            self._library.pjsip_tx_data_dec_ref(data)
        except (CannotSend, OSError):
            self.usable = False
        return self.usable

    def __len__(self) -> int:
        return len(self._waiting)

    def send(self, request: OutRequest, done: Done) -> None:
        """Send; the final reply, or the lack of one (408, 503), goes to `done`. Raises CannotSend."""
        if not self.usable:
            raise CannotSend("this pjproject lays out its messages differently: no request can be sent outside a call")
        data = self._make(request)
        self._token += 1
        token = self._token
        self._waiting[token] = done
        status = self._library.pjsip_endpt_send_request(self._endpoint, data, _NO_TIMEOUT, token, self._callback)
        if status != 0:
            self._finish(token, 503, "Service Unavailable", None, "")

    # ------------------------------------------------------------------------------------------------------------- outwards
    def _make(self, request: OutRequest) -> int:
        """A pjsip_tx_data with everything but what pjsip adds itself (Via, Max-Forwards)."""
        library = self._library
        pool = library.pjsua_pool_create(b"cordboard", _POOL_BYTES, _POOL_BYTES)
        try:
            routes = [value for name, value in request.headers if name.lower() == "route"]
            way = (routes[0] if routes else request.target).strip("<>").split(">")[0]
            account = self._account(way)
            contact = self._header(pool, "Contact", self._contact(pool, way, account)) if request.contact else None
            parts = [
                self._uri(pool, request.target),
                self._header(pool, "From", request.from_value),
                self._header(pool, "To", request.to_value),
                contact,
                self._header(pool, "Call-ID", request.call_id),
            ]
            method, name = _Method(), Text.of(request.method)
            library.pjsip_method_init(byref(method), pool, byref(name))
            data = c_void_p()
            status = library.pjsip_endpt_create_request_from_hdr(
                self._endpoint, byref(method), *parts, request.cseq, None, byref(data)
            )
            if status != 0 or not data.value:
                raise CannotSend(f"pjsip makes no {request.method} (status {status})")
        finally:
            library.pj_pool_release(pool)
        try:
            selector = _Selector()
            library.pjsua_init_tpselector(account, byref(selector))
            library.pjsip_tx_data_set_transport(data, byref(selector))
            self.add(data.value, request.method, request.headers, request.content_type, request.body)
        except CannotSend:
            library.pjsip_tx_data_dec_ref(data)
            raise
        return data.value

    def add(self, data: int, method: str, headers: Iterable[tuple[str, str]], content_type: str = "", body: bytes = b"") -> None:
        """Put headers and a body into a request of a method that pjsip has made. Raises CannotSend."""
        message = TX_DATA.message(data, method)
        if message is None:
            raise CannotSend("this pjproject lays out its messages differently: no request can be sent outside a call")
        pool = TX_DATA.pool(data)
        for name, value in headers:
            if name.lower() in _PARSED_BY_PJSIP:
                header = self._header(pool, name, value)
            else:
                name_text, value_text = Text.of(name), Text.of(value)
                header = self._library.pjsip_generic_string_hdr_create(pool, byref(name_text), byref(value_text))
            self._library.pj_list_insert_before(message + MESSAGE.headers, header)
        if body:
            MESSAGE.set_body(message, body_of(self._library, pool, content_type, body))

    def _contact(self, pool: int, way: str, account: int) -> str:
        """The address that the peer reaches us at when requests go that way."""
        uri, contact = Text.of(way), Text()
        if self._library.pjsua_acc_create_uac_contact(pool, byref(contact), account, byref(uri)) != 0:
            raise CannotSend(f"{way!r} leads nowhere from here: no transport of that kind is open")
        return contact.text()

    def _uri(self, pool: int, text: str) -> int:
        buffer, length = self._copy(pool, text)
        parsed = self._library.pjsip_parse_uri(pool, buffer, length, 0)
        if not parsed:
            raise CannotSend(f"{text!r} is no URI")
        return int(parsed)

    def _header(self, pool: int, name: str, value: str) -> int:
        buffer, length = self._copy(pool, value)
        name_text, used = Text.of(name), c_int()
        parsed = self._library.pjsip_parse_hdr(pool, byref(name_text), buffer, length, byref(used))
        if not parsed:
            raise CannotSend(f"{name}: {value!r} is no such header")
        return int(parsed)

    def _copy(self, pool: int, text: str) -> tuple[int, int]:
        """A text where pjsip's parser may point into it: in the pool, with a NUL behind."""
        data = wire_bytes(text)
        buffer = self._library.pj_pool_alloc(pool, len(data) + 1)
        ctypes.memmove(buffer, data + b"\0", len(data) + 1)
        return int(buffer), len(data)

    # -------------------------------------------------------------------------------------------------------------- inwards
    def _answered(self, token: int | None, event: int | None) -> None:
        try:
            self._report(token or 0, event or 0)
        except Exception:
            log.exception("the answer to a request of ours failed")

    def _report(self, token: int, event: int) -> None:
        what, source = EVENT.read(event)
        if what == EVENT.received:
            found = self._read(source)
            if found is None:
                self._finish(token, 500, "Unreadable reply", None, "")
                return
            message = parse(found[0])
            self._finish(token, message.code, message.reason, message, found[1])
        elif what == EVENT.timer:
            self._finish(token, 408, "Request Timeout", None, "")
        else:
            self._finish(token, 503, "Service Unavailable", None, "")

    def _finish(self, token: int, code: int, reason: str, message: Message | None, source: str) -> None:
        done = self._waiting.pop(token, None)
        if done is not None:
            done(code, reason, message, source)


def _declare(library: ctypes.CDLL) -> None:
    """What each function takes and gives; pointers are 64 bits wide and ctypes would cut them."""
    pointers: dict[str, tuple[object, list[object]]] = {
        "pjsua_pool_create": (c_void_p, [c_char_p, ctypes.c_size_t, ctypes.c_size_t]),
        "pj_pool_release": (None, [c_void_p]),
        "pj_pool_alloc": (c_void_p, [c_void_p, ctypes.c_size_t]),
        "pjsua_acc_create_uac_contact": (c_int, [c_void_p, POINTER(Text), c_int, POINTER(Text)]),
        "pjsip_parse_uri": (c_void_p, [c_void_p, c_void_p, ctypes.c_size_t, ctypes.c_uint]),
        "pjsip_parse_hdr": (c_void_p, [c_void_p, POINTER(Text), c_void_p, ctypes.c_size_t, POINTER(c_int)]),
        "pjsip_method_init": (None, [POINTER(_Method), c_void_p, POINTER(Text)]),
        "pjsip_endpt_create_request_from_hdr": (
            c_int, [c_void_p, POINTER(_Method), *[c_void_p] * 5, c_int, c_void_p, POINTER(c_void_p)],
        ),
        "pjsua_init_tpselector": (None, [c_int, POINTER(_Selector)]),
        "pjsip_tx_data_set_transport": (c_int, [c_void_p, POINTER(_Selector)]),
        "pjsip_tx_data_dec_ref": (c_int, [c_void_p]),
        "pjsip_msg_body_create": (c_void_p, [c_void_p, POINTER(Text), POINTER(Text), POINTER(Text)]),
        "pjsip_msg_find_hdr_by_name": (c_void_p, [c_void_p, POINTER(Text), c_void_p]),
        "pjsip_msg_print": (ctypes.c_ssize_t, [c_void_p, c_void_p, ctypes.c_size_t]),
        "pjsip_endpt_send_request": (c_int, [c_void_p, c_void_p, ctypes.c_int32, c_void_p, _ON_ANSWER]),
    }  # fmt: skip
    for name, (result, arguments) in pointers.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
