# SPDX-License-Identifier: GPL-2.0-or-later
"""The functions of pjsip that pjsua2 does not show, reached in the same shared object by ctypes.

pjsua2 has no way to look at a request before pjsua answers it, so replies to OPTIONS (spec core.md §6.5), requests outside a
dialog, requests inside one whose reply the hub decides, and 503 with Retry-After need one pjsip module. It stands between
transaction and dialog layer, sees each request that matches no transaction, and answers it statelessly or lets it pass.

Everything here runs in pjsip's one thread. What is read of pjsip's structures stands in `layout` and is tried out at the start; where it
does not fit, requests go to pjsua untouched and the log says what that means. Requests of our own go out through `exchanges`.
"""

from __future__ import annotations

import ctypes
import importlib.util
import logging
from collections.abc import Callable, Iterable, Sequence
from ctypes import CFUNCTYPE, POINTER, byref, c_char_p, c_int, c_void_p

from interfaces.sip.abilities import Abilities, Capabilities
from interfaces.sip.exchange import CannotSend, Exchanges
from interfaces.sip.layout import RX_DATA, TX_DATA, Memory, Text
from interfaces.sip.message import text_of
from interfaces.sip.placeholders import Placeholders
from interfaces.sip.received import Request, Stack

log = logging.getLogger(__name__)

_BETWEEN_TRANSACTION_AND_DIALOG = 20  # pjsip: transaction layer 16, user agent layer 32

KNOWN_VERSIONS = ("2.17",)
_TRIAL_CALL_ID = b"cordboard-trial"
_TRIAL = (
    "OPTIONS sip:trial@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKcordboard\r\nFrom: <sip:trial@127.0.0.1>;tag=1\r\n"
    f"To: <sip:trial@127.0.0.1>\r\nCall-ID: {_TRIAL_CALL_ID.decode()}\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 0\r\nContent-Length: 0\r\n\r\n"
)
_TRIAL_PATIENCE = 200
"""Rounds of `pump`."""

_ON_MESSAGE = CFUNCTYPE(c_int, c_void_p)


class _Module(ctypes.Structure):
    """pjsip_module."""

    _fields_ = [
        ("previous", c_void_p),
        ("next", c_void_p),
        ("name", Text),
        ("id", c_int),
        ("priority", c_int),
        ("load", c_void_p),
        ("start", c_void_p),
        ("stop", c_void_p),
        ("unload", c_void_p),
        ("on_rx_request", _ON_MESSAGE),
        ("on_rx_response", c_void_p),
        ("on_tx_request", _ON_MESSAGE),
        ("on_tx_response", _ON_MESSAGE),
        ("on_tsx_state", c_void_p),
    ]


def pjsip_library() -> ctypes.CDLL:
    """The shared object that holds pjsip. Raises OSError without pjsua2."""
    found = importlib.util.find_spec("_pjsua2")
    if found is None or found.origin is None:
        raise OSError("the compiled part of pjsua2 was not found")
    return ctypes.CDLL(found.origin)


def quiet() -> None:
    """Keep pjlib from writing to standard output before its log has a writer."""
    pjsip_library().pj_log_set_level(1)


_LONGEST_DESCRIPTION = 16384


def description_text(session: int, known: str = "") -> str:
    """The text of a pjmedia_sdp_session; `known`: pjsua2's own, empty for one of over 1024 bytes. `session`: its address, valid."""
    if known or not session:
        return known
    print_sdp = pjsip_library().pjmedia_sdp_print
    print_sdp.argtypes = [c_void_p, c_char_p, ctypes.c_size_t]
    room = ctypes.create_string_buffer(_LONGEST_DESCRIPTION)
    length = int(print_sdp(session, room, _LONGEST_DESCRIPTION))
    return text_of(ctypes.string_at(room, max(length, 0)))


class Native:
    """The module in pjsip's stack. `on_request` returns True when it has dealt with a request.

    `account_towards(uri)` and `account_of(rx_data)` give the pjsua account of a request of ours and of one that came. What `placeholders`
    stand for is put back into messages that leave.
    """

    def __init__(
        self,
        on_request: Callable[[Request], bool],
        account_towards: Callable[[str], int],
        account_of: Callable[[int], int],
    ) -> None:
        self.library = pjsip_library()
        self._declare()
        self.exchanges = Exchanges(self.library, RX_DATA.read, account_towards)
        self._on_request = on_request
        self._endpoint: int = 0
        self._stack = Stack(self.library, account_of)
        self._callback = _ON_MESSAGE(self._received)  # must outlive the registration
        self._module = _Module(name=Text.of("mod-cordboard"), id=-1, priority=_BETWEEN_TRANSACTION_AND_DIALOG)
        self._module.on_rx_request = self._callback
        self.placeholders = Placeholders(self._watch_leaving)
        self._leaving_callback = _ON_MESSAGE(self._leaving)
        self._as_known = False
        self._capabilities: Capabilities
        self.transports: list[int] = []
        self._trial: tuple[bytes, tuple[str, int]] | None = None

    def _declare(self) -> None:
        library = self.library
        library.pjsua_get_pjsip_endpt.restype = c_void_p
        library.pjsip_endpt_register_module.argtypes = [c_void_p, POINTER(_Module)]
        library.pjsip_ua_find_dialog.argtypes = [POINTER(Text), POINTER(Text), POINTER(Text), c_int]
        library.pjsip_ua_find_dialog.restype = c_void_p
        library.pjsip_dlg_get_inv_session.argtypes = [c_void_p]
        library.pjsip_dlg_get_inv_session.restype = c_void_p
        library.pjsip_inv_update.argtypes = [c_void_p, c_void_p, c_void_p, POINTER(c_void_p)]
        library.pjsip_inv_send_msg.argtypes = [c_void_p, c_void_p]
        library.pjsip_timer_end_session.argtypes = [c_void_p]

    def start(self, abilities: Abilities) -> None:
        """Register with the running endpoint, and let it say what we can. Raises OSError when pjsip refuses."""
        self._endpoint = self.library.pjsua_get_pjsip_endpt()
        status = self.library.pjsip_endpt_register_module(self._endpoint, byref(self._module))
        if status != 0:
            raise OSError(f"pjsip refused our module (status {status})")
        self.exchanges.start(self._endpoint)
        self._stack.endpoint = self._endpoint
        self._capabilities = Capabilities(self.library, self._endpoint)
        if not self._capabilities.say(abilities):
            log.error(
                "pjsip's lists of methods and extensions are laid out differently: Allow and Supported of calls say what pjsua can"
            )

    def try_out(self, sends: Sequence[Callable[[bytes], tuple[str, int]]], pump: Callable[[], None]) -> bool:
        """Compare what we read of pjsip's structures with requests that each of `sends` sends to one of our own addresses.

        Each returns the address it sent from; `pump` lets pjsip work for some milliseconds. `transports` then holds the pjsip_transport of
        each address. False: nothing is read from then on, pjsua answers requests in its own way.
        """
        text = _TRIAL.encode()
        came = True
        for send in sends:
            self._as_known = False
            self._trial = (text, send(text))
            for _ in range(_TRIAL_PATIENCE):
                if self._trial is None:
                    break
                pump()
            came, self._trial = self._trial is None, None
            if not self._as_known:
                break
        if self.exchanges.try_out(self._as_known):
            return True
        why = "its structures are laid out differently" if came else "a request to ourselves did not come"
        log.error(
            "pjproject %s: %s, so nothing is read from it: OPTIONS, requests inside calls and NOTIFY are left to pjsua, applications do not "
            "see them, and subscriptions fail; calls work. Known to fit: %s with default limits",
            self.library_version(), why, ", ".join(KNOWN_VERSIONS),
        )  # fmt: skip
        self._as_known = False
        return False

    def library_version(self) -> str:
        """Of pjproject."""
        self.library.pj_get_version.restype = ctypes.c_char_p
        return str(self.library.pj_get_version().decode("ascii", "replace"))

    def max_calls(self) -> int:
        """How many calls this build of pjsua can hold at most as configured."""
        return int(self.library.pjsua_call_get_max_count())

    def active_calls(self) -> int:
        """Calls that pjsua still holds, those waiting for the answer to our BYE included."""
        return int(self.library.pjsua_call_get_count())

    def stop_session_timer(self, call_id: str, local_tag: str, remote_tag: str) -> bool:
        """Keep pjsip from ending a call whose peer does not refresh it, until the next refresh. False: there is no such dialog."""
        invite = self._invite_session(call_id, local_tag, remote_tag)
        return bool(invite) and int(self.library.pjsip_timer_end_session(invite)) == 0

    def update(self, call_id: str, local_tag: str, remote_tag: str, headers: Iterable[tuple[str, str]]) -> None:
        """Send an UPDATE without an offer (RFC 3311), with what the session timer adds. Raises CannotSend."""
        invite = self._invite_session(call_id, local_tag, remote_tag)
        if not invite or not self.exchanges.usable:
            raise CannotSend("there is no such dialog" if self.exchanges.usable else "pjsip's messages are laid out differently")
        data = c_void_p()
        status = self.library.pjsip_inv_update(invite, None, None, byref(data))
        if status != 0 or not data.value:
            raise CannotSend(f"pjsip makes no UPDATE (status {status})")
        try:
            self.exchanges.add(data.value, "UPDATE", headers)
        except CannotSend:
            self.library.pjsip_tx_data_dec_ref(data)
            raise
        status = self.library.pjsip_inv_send_msg(invite, data)
        if status != 0:
            raise CannotSend(f"pjsip sends no UPDATE (status {status})")

    def _invite_session(self, call_id: str, local_tag: str, remote_tag: str) -> int | None:
        """pjsip's side of a call."""
        parts = [Text.of(text) for text in (call_id, local_tag, remote_tag)]
        dialog = self.library.pjsip_ua_find_dialog(*(byref(part) for part in parts), 0)
        return self.library.pjsip_dlg_get_inv_session(dialog) if dialog else None

    def _received(self, pointer: int) -> int:
        try:
            if self._trial is not None:
                return self._compare(pointer)
            request = self._look_at(pointer) if self._as_known else None
            return 0 if request is None else int(self._on_request(request))
        except Exception:
            log.exception("looking at a request failed")
            return 0

    def _watch_leaving(self) -> None:
        """From now on look at every message that leaves; before there is a placeholder, that would cost each call for nothing."""
        self._module.on_tx_request = self._module.on_tx_response = self._leaving_callback

    def _leaving(self, pointer: int) -> int:
        """A message is about to be written: bytes that pjsua2 did not take come to their places."""
        try:
            if self.exchanges.usable:
                TX_DATA.put_back(self.library, pointer, self.placeholders)
        except Exception:
            log.exception("a message leaves without some of its bytes")
        return 0

    def _compare(self, pointer: int) -> int:
        """The trial request has come, or another one before it, which comes again when nobody answers."""
        assert self._trial is not None
        memory = Memory()
        try:
            self._as_known = RX_DATA.holds(memory, pointer, *self._trial)
            ours = _TRIAL_CALL_ID in memory.data(pointer, RX_DATA.length + 4)
        except OSError:
            ours = False
        finally:
            memory.close()
        if self._as_known:
            self.transports.append(RX_DATA.transport(pointer))
        if self._as_known or ours:
            self._trial = None
        return 1

    def _look_at(self, pointer: int) -> Request | None:
        found = RX_DATA.read(pointer)
        return None if found is None else Request(self._stack, pointer, *found)


def readiness_descriptor(address: int) -> int:
    """The epoll descriptor behind `Endpoint.libGetSipIoqueueHandle`, -1 when there is none."""
    return c_int.from_address(address).value if address else -1
