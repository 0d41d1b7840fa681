# SPDX-License-Identifier: GPL-2.0-or-later
"""The functions of pjsip that pjsua2 does not show, and our place in its stack: `shim` has them.

pjsua2 has no way to look at a request before pjsua answers it, so replies to OPTIONS (spec core.md §6.5), requests outside a
dialog, requests inside one whose reply the hub decides, and 503 with Retry-After need a pjsip module. It stands between
transaction and dialog layer, sees each request that matches no transaction, and answers it statelessly or lets it pass. What descriptions
say is read before that, of requests and replies, so that pjsip reads what was meant.

Everything here runs in pjsip's one thread. Requests of our own go out through `exchanges`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from di.sip.records import Limits, SipHeld
from interfaces.sip.abilities import Abilities
from interfaces.sip.exchange import CannotSend, Exchanges, add, refused
from interfaces.sip.handshakes import FEW, Handshakes, Peer, connections_to, shut_down
from interfaces.sip.mending import Mended, Origin, Parser, mend
from interfaces.sip.message import SDP, parse, text_of, wire_bytes
from interfaces.sip.message_log import SipPacket
from interfaces.sip.placeholders import Placeholders
from interfaces.sip.received import Request, looked_at
from interfaces.sip.shim import ffi, lib
from interfaces.sip.source_limits import SourceLimits

log = logging.getLogger(__name__)

LONGEST_MESSAGE = 64 * 1024
_TOO_SMALL = 3
_WANTED = {
    "PJSIP_MAX_PKT_LEN": (LONGEST_MESSAGE, "messages of more bytes are not answered, or are cut by UDP"),
    "PJSIP_MAX_URL_SIZE": (2048, "calls whose From, To or Contact has a longer URI fail"),
    "PJSIP_MAX_TSX_COUNT": (65535, "more transactions at a time are refused"),
    "PJSIP_MAX_DIALOG_COUNT": (65535, "more calls that wait for their end are refused"),
    "PJ_IOQUEUE_MAX_HANDLES": (16384, "more connections are refused"),
    "PJSUA_MAX_ACC": (64, "more addresses to listen on are refused"),
    "PJMEDIA_MAX_SDP_FMT": (64, "further formats of an offer are not seen"),
    "PJMEDIA_MAX_SDP_ATTR": (160, "further attributes of an offer are not seen"),
    "PJSIP_TCP_TRANSPORT_BACKLOG": (128, "more connections that come at once wait for a retransmission"),
    "PJSIP_TRANSPORT_SERVER_IDLE_TIME_FIRST": (1, "connections that send nothing stay for ten minutes"),
}
"""What a server needs of pjproject's compile-time limits, and what a lower one means."""


def quiet() -> None:
    """Keep pjlib from writing to standard output before its log has a writer."""
    lib.shim_quiet()


_DESCRIPTION_ROOM = ffi.new("char[]", LONGEST_MESSAGE)


def description_text(session: int, known: str = "") -> str:
    """The text of a pjmedia_sdp_session; `known`: pjsua2's own, empty for one of over 1024 bytes. `session`: its address, valid."""
    if known or not session:
        return known
    length = int(lib.shim_description(ffi.cast("void *", session), _DESCRIPTION_ROOM, LONGEST_MESSAGE))
    return text_of(ffi.buffer(_DESCRIPTION_ROOM, max(length, 0))[:])


class Native:
    """The modules in pjsip's stack. `on_request` returns True when it has dealt with a request.

    `on_unreadable` is told of a message that the parser did not take, and what becomes of it; True: its reply may go out.
    `on_body(content type, body, received)` sees what each message brings and returns the description to be read instead, None for the same.
    `on_name(number, name)` is asked for a host's addresses, which `named` tells.
    `account_towards(uri)` and `account_of(received)` give the pjsua account of a request of ours and of one that came. What `placeholders`
    stand for is put back into messages that leave. `on_message` sees every message while `show_messages` is on.
    `on_too_small(text)`: whether the INVITE that a 422 answers is not to be sent again with the interval that it wants.
    """

    def __init__(
        self,
        on_request: Callable[[Request], bool],
        on_unreadable: Callable[[Mended, Origin], bool],
        on_body: Callable[[str, bytes, Any], bytes | None],
        account_towards: Callable[[str], int],
        account_of: Callable[[Any], int],
        on_name: Callable[[int, str], None],
        on_message: Callable[[SipPacket], None],
        on_too_small: Callable[[str], bool],
    ) -> None:
        self._on_too_small = on_too_small
        self._on_name, self._on_message = on_name, on_message
        self.exchanges = Exchanges(account_towards)
        self.placeholders = Placeholders(self._watch_leaving)
        self._on_request, self._on_unreadable, self._on_body, self._account_of = on_request, on_unreadable, on_body, account_of
        self._sources: SourceLimits
        self._connections: dict[int, Peer] = {}
        self._handshakes: Handshakes

    def start(self, abilities: Abilities, accept_forked: bool, srtp: bool = False) -> None:
        """Register with the running endpoint, and let it say what we can. Raises OSError when pjsip refuses. `srtp`: calls may have it."""
        lib.shim_accept_forked = int(accept_forked)
        lib.shim_wants_profiles = int(srtp)
        lib.shim_connect()
        ffi.def_extern(name="shim_on_request")(self._received)
        ffi.def_extern(name="shim_on_leaving")(self._leaving)
        ffi.def_extern(name="shim_on_body")(self._body)
        lib.shim_wants_bodies = 1
        ffi.def_extern(name="shim_on_too_long")(_too_long)
        ffi.def_extern(name="shim_on_unreadable")(self._unreadable)
        ffi.def_extern(name="shim_on_name")(self._name_wanted)
        ffi.def_extern(name="shim_on_message")(self._message)
        self.exchanges.start()
        status = int(lib.shim_start()) or int(lib.shim_names())
        if status != 0:
            raise OSError(f"pjsip refused our module (status {status})")
        for kind, words in enumerate((abilities.allow, abilities.supported)):
            texts = [ffi.new("char[]", word.encode()) for word in words]
            lib.shim_say_abilities(kind, ffi.new("const char *[]", texts), len(texts))
        self._say_limits()

    def limit_connections(self, sources: SourceLimits, limits: Limits) -> None:
        """Close connections of peers that are too many."""
        self._sources, self._handshakes = sources, Handshakes(limits, sources.trusts)
        ffi.def_extern(name="shim_on_connection")(self._connection)
        lib.shim_wants_connections = 1

    def _connection(self, connection: Any, up: int, ip: Any) -> int:
        """A peer's connection has come, or is gone. Not 0: it is to be closed."""
        key = int(ffi.cast("intptr_t", connection))
        if up:
            source_ip = ffi.string(ip).decode("ascii", "replace")
            self._connections[key] = source_ip, int(lib.shim_peer_port(connection))
            return 0 if self._sources.connected(source_ip) else 1
        gone = self._connections.pop(key, None)
        if gone is not None:
            self._sources.disconnected(gone[0])
        return 0

    def end_handshakes(self, tls_port: int) -> None:
        """Of connections whose handshake is not over, end those that are too many of their address; to be called once a second."""
        known = set(self._connections.values())
        excess = self._handshakes.too_many(connections_to(tls_port, len(known) + FEW), known)
        for descriptor in excess:
            shut_down(descriptor)
        if excess:
            log.warning("%d TLS handshakes were too many of their address, or of all: ended", len(excess))

    def _say_limits(self) -> None:
        """Name what is lower than a server needs: the stack may be another one than set-up would build."""
        runs, compiled = self.library_version(), ffi.string(lib.shim_compiled_for()).decode()
        if not (runs + ".").startswith(compiled + "."):
            log.error("pjproject %s runs, but headers of %s were compiled with: run make setup", runs, compiled)
        for name, (wanted, meaning) in _WANTED.items():
            built = int(lib.shim_limit(name.encode()))
            if built < wanted:
                log.warning(
                    "pjproject %s was built with %s=%d: %s (make setup would build it with more)", runs, name, built, meaning
                )

    def library_version(self) -> str:
        """Of pjproject."""
        return str(ffi.string(lib.shim_version()).decode("ascii", "replace"))

    def max_calls(self) -> int:
        """How many calls this build of pjsua can hold at most as configured."""
        return int(lib.shim_most_calls())

    def active_calls(self) -> int:
        """Calls that pjsua still holds, those waiting for the answer to our BYE included."""
        return int(lib.shim_calls())

    def held(self) -> SipHeld:
        """What pjsip has of calls and transactions now."""
        return SipHeld(self.active_calls(), int(lib.shim_dialogs()), int(lib.shim_transactions()))

    def next_timer_s(self) -> float:
        """When the first of pjsip's timers is due; a day when there is none."""
        return int(lib.shim_next_timer_ms()) / 1000

    def give_back_memory(self) -> None:
        """What pjsip no longer needs becomes the system's again."""
        lib.shim_give_back_memory()

    def stop_session_timer(self, call_id: str, local_tag: str, remote_tag: str) -> bool:
        """Keep pjsip from ending a call whose peer does not refresh it, until the next refresh. False: there is no such dialog."""
        return int(lib.shim_stop_session_timer(*map(wire_bytes, (call_id, local_tag, remote_tag)))) == 0

    def update(self, call_id: str, local_tag: str, remote_tag: str, headers: Iterable[tuple[str, str]]) -> None:
        """Send an UPDATE without an offer (RFC 3311), with what the session timer adds. Raises CannotSend."""
        dialog = tuple(map(wire_bytes, (call_id, local_tag, remote_tag)))
        sending = lib.shim_update(*dialog)
        if not sending:
            raise refused()
        try:
            add(sending, headers)
        except CannotSend:
            lib.shim_throw_away(sending)
            raise
        if lib.shim_send_update(sending, *dialog) != 0:
            raise refused()

    def _name_wanted(self, number: int, name: Any) -> None:
        text = ffi.string(name).decode("ascii", "replace")
        try:
            self._on_name(number, text)
        except Exception:
            log.exception("looking %s up failed", text)
            self.named(number, text, ())

    def named(self, number: int, name: str, addresses: tuple[str, ...]) -> None:
        """The addresses of a host that was asked for, the best first; none: it has none."""
        texts = [ffi.new("char[]", address.encode()) for address in addresses]
        lib.shim_named(number, name.encode("ascii", "replace"), ffi.new("const char *[]", texts), len(texts))

    def _received(self, received: Any) -> int:
        try:
            return int(self._on_request(Request(received, self._account_of)))
        except Exception:
            log.exception("looking at a request failed")
            return 0

    def _unreadable(self, data: Any, length: int) -> int:
        """A message that pjsip does not take: what it is to take instead is written at the end of its place, or it is refused.

        How many bytes pjsip skips; -1: its connection is closed.
        """
        try:
            found = ffi.new("shim_dropped *")
            lib.shim_look_dropped(found)
            source = Origin(ffi.string(found.source).decode("ascii", "replace"), int(found.port), bool(found.reliable))
            mended = mend(bytes(ffi.buffer(data, length)), _PARSER, source, bool(found.replaceable))
            may_answer = self._on_unreadable(mended, source)
            if not mended.code:
                skipped = length - len(mended.data)
                ffi.memmove(data + skipped, mended.data, len(mended.data))
                return skipped
            if mended.data and may_answer:
                lib.shim_answer_dropped(mended.data, len(mended.data), mended.port)
            return -1 if mended.closes else 0
        except Exception:
            log.exception("looking at a message that cannot be read failed")
            return 0

    def _body(self, received: Any, kind: int, data: Any, length: int) -> None:
        """A request or a reply has come; it goes on to pjsip in any case. `kind`: 0 nothing for us in it, 1 a description, 2 parts, 3 a 422."""
        try:
            if kind == _TOO_SMALL:
                if self._on_too_small(looked_at(received)[0]):
                    lib.shim_hide(received, b"Min-SE")  # without it pjsip takes the refusal for the end
                return
            content_type, body = SDP if kind else "", ffi.buffer(data, length)[:] if length else b""
            if kind == 2:  # pjsip has taken them apart in its own way
                whole = parse(looked_at(received)[0])
                content_type, body = whole.content_type, whole.body
            text = self._on_body(content_type, body, received)
            if text is not None:
                lib.shim_set_description(received, text, len(text))
        except Exception:
            log.exception("reading a session description failed")

    def show_messages(self, on: bool) -> None:
        """Whether each message is shown as it comes and leaves."""
        lib.shim_wants_messages = int(on)

    def _message(self, packet: Any) -> None:
        try:
            seen = ffi.cast("shim_packet *", packet)
            source, target = (ffi.string(ip).decode("ascii", "replace") for ip in (seen.source, seen.target))
            data = ffi.buffer(seen.text, seen.length)[:]
            self._on_message(SipPacket(data, source, int(seen.source_port), target, int(seen.target_port), bool(seen.reliable)))
        except Exception:
            log.exception("showing a message failed")

    def set_contact(self, call: int, contact: str) -> bool:
        """What our messages in a dialog name, by pjsua's number of the call. False: it is no such header, or the dialog is gone."""
        return int(lib.shim_set_contact(call, wire_bytes(contact))) == 0

    def send_to(self, call: int, uri: str, always: bool) -> bool:
        """Where requests in a dialog go, if no proxy stands in their way, or `always`. False: no URI, or the dialog is gone."""
        return int(lib.shim_send_to(call, wire_bytes(f"<{uri};lr;hide>"), always)) == 0

    def _watch_leaving(self) -> None:
        """From now on look at every message that leaves; before there is a placeholder, that would cost each call for nothing."""
        lib.shim_wants_leaving = 1

    def _leaving(self, sending: Any) -> int:
        """A message is about to be written: bytes that pjsua2 did not take come to their places."""
        try:
            for name, placeholder, data in self.placeholders.known():
                lib.shim_put_back(sending, name.encode(), placeholder, data, len(data))
        except Exception:
            log.exception("a message leaves without some of its bytes")
        return 0


def _takes(name: str, value: bytes) -> bool:
    return bool(lib.shim_takes(name.encode("ascii", "replace"), value, len(value)))


_PARSER = Parser(_takes, lambda uri: _takes("", uri))


def _too_long(ip: Any, port: int) -> None:
    source = ffi.string(ip).decode("ascii", "replace")
    log.warning(
        "a message from %s:%d is longer than %d bytes: refused with 513, its connection is closed", source, port, LONGEST_MESSAGE
    )


def arrived_at(received: Any) -> tuple[str, int, str]:
    """Our address that a message came to, and by what: udp, tcp or tls. The port of a connection that we have made is nobody's."""
    room = ffi.new("char[]", 64)
    port = int(lib.shim_arrived_at(received, room, 64))
    return ffi.string(room).decode("ascii", "replace"), port, ("udp", "tcp", "tls")[int(lib.shim_arrived_by(received))]


def leave_by_any(slot: int) -> None:
    """Later requests of a call's dialog may leave by other transports than the one of its account."""
    lib.shim_any_listener(slot)


def readiness_descriptor(handle: Any) -> int:
    """The epoll descriptor behind `Endpoint.libGetSipIoqueueHandle`, -1 when there is none."""
    address = int(handle)
    return int(ffi.cast("int *", address)[0]) if address else -1
