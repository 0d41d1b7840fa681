# SPDX-License-Identifier: GPL-2.0-or-later
"""Statistics commands: a line in, an answer out; everything goes through the registry on the caller's behalf (spec core.md §10.3). Pure."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable

from di.kernel.errors import CallFailed, Forbidden, NoSuchModule, NotImplementedInDI, OutOfBounds, TypeMismatch
from di.kernel.registry import Caller, Registry
from di.kernel.server_options import parse_level
from di.kernel.value import Value, to_text
from interfaces.gateway import waits

log = logging.getLogger(__name__)

MAX_ANSWER_BYTES = 65506
"""What fits into a UDP datagram, less the NUL at the end."""

_NUMBER = re.compile(r"[0-9]{1,9}")

_READERS: dict[str, tuple[str, str]] = {
    "calls": ("calls", "Active calls: {}\n"),
    "get_loglevel": ("get_loglevel", "loglevel is {}.\n"),
    "get_sessioncount": ("get_sessioncount", "sessioncount is {}.\n"),
    "get_callsavg": ("get_callsavg", "Average active calls: {}\n"),
    "get_callsmax": ("get_callsmax", "Maximum active calls: {}\n"),
    "get_cpsavg": ("get_cpsavg", "Average calls per second: {}\n"),
    "get_cpsmax": ("get_cpsmax", "Maximum calls per second: {}\n"),
}
_MUX_DEFAULTS = {"rtp_mux_mtu_threshold": 1200, "rtp_mux_max_frame_age_ms": 60}
"""Kept so that the tools that set them work; RTP is not multiplexed here (docs/differences.md)."""

_HELP = """\
Commands, one a datagram:
  calls                       calls now
  get_sessioncount            calls since the start
  get_callsavg get_callsmax   calls at once since the last query: average, maximum
  get_cpsavg get_cpsmax       calls per second: over 5 s, maximum since the last query
  get_cpslimit                limits of calls per second
  set_cpslimit <n>            set both limits, 0 for none
  get_loglevel                log level
  set_loglevel <0..3>         set it: error, warning, info, debug
  get_shutdownmode            whether new calls are refused
  set_shutdownmode <0|1>      accept or refuse new calls
  get_rtp_mux_mtu_threshold get_rtp_mux_max_frame_age_ms
  set_rtp_mux_mtu_threshold <n> set_rtp_mux_max_frame_age_ms <n>
  dump_transactions           write SIP transactions to the log
  DI <module> <function> [<argument> ...]
                              call a DI function; arguments are strings
  version                     this server's version
  which                       this text
"""


class Commands:
    """The command language. `version` is the text of that command."""

    def __init__(self, registry: Registry, version: str) -> None:
        self._registry, self._version = registry, version
        self._mux = dict(_MUX_DEFAULTS)

    def execute(self, line: str, caller: Caller) -> str | Awaitable[str]:
        """Run one command. Never raises."""
        try:
            if line == "DI" or line.startswith("DI "):
                return self._call_di(line, caller)
            return self._built_in(line, caller)
        except Exception as error:  # noqa: BLE001 - every failure has its text
            return failure(error)

    def _core(self, caller: Caller, function: str, *args: Value) -> Value:
        answer = self._registry.invoke("core", function, list(args), caller)
        assert not waits(answer), f"core.{function} waits"
        return answer

    def _built_in(self, line: str, caller: Caller) -> str:
        reader = _READERS.get(line)
        if reader is not None:
            return reader[1].format(self._core(caller, reader[0]))
        if line == "get_cpslimit":
            hard, soft = str(self._core(caller, "get_cpslimit")).split()
            return f"CPS hard limit: {hard}, CPS limit: {soft}\n"
        if line == "get_shutdownmode":
            return f"Shutdownmode {'active' if self._core(caller, 'get_shutdownmode') else 'inactive'}!\n"
        if line.startswith("get_rtp_mux") and line[4:] in self._mux:
            self._core(caller, "calls")  # the same permission as for reading any counter
            return f"{line[4:]}={self._mux[line[4:]]}\n"
        if line.startswith("set_"):
            return self._set(line, caller)
        if line == "which":
            return _HELP
        if line == "version":
            return f"{self._version}\n"
        if line == "dump_transactions":
            _permitted(caller, "statistics")
            log.info("SIP transactions are kept by the SIP process, which logs them at its own debug level")
            return "200 OK"
        return f"Unknown command: '{line}'\n"

    def _set(self, line: str, caller: Caller) -> str:
        name, _, text = line.removeprefix("set_").partition(" ")
        setter = _SETTERS.get(name)
        if setter is not None:
            _permitted(caller, f"set_{name}")
            return setter(self, caller, text)
        if name in self._mux:
            if not caller.allows("core", "set_cpslimit"):  # as for the limits
                raise Forbidden(f"core.set_{name}")
            if not _NUMBER.fullmatch(text):
                return f"invalid {name}\n"
            self._mux[name] = int(text)
            return f"{name}={int(text)}\n"
        return f"Unknown set command: '{line}'\n"

    def _set_loglevel(self, caller: Caller, text: str) -> str:
        try:
            level = parse_level(text)
        except ValueError:
            return "invalid loglevel value.\n"
        self._core(caller, "set_loglevel", level)
        return f"loglevel set to {level}.\n"

    def _set_cpslimit(self, caller: Caller, text: str) -> str:
        if not _NUMBER.fullmatch(text):
            return "invalid CPS limit\n"
        self._core(caller, "set_cpslimit", int(text))
        return f"CPS limit set to {int(text)}.\n"

    def _set_shutdownmode(self, caller: Caller, text: str) -> str:
        if text not in ("0", "1"):
            return "invalid shutdownmode\n"
        self._core(caller, "set_shutdownmode", text == "1")
        return "Shutdownmode activated!\n" if text == "1" else "Shutdownmode deactivated!\n"

    def _call_di(self, line: str, caller: Caller) -> str | Awaitable[str]:
        _, *words = line.split(" ")
        if not words or not words[0]:
            return "could not parse DI factory name.\n"
        if len(words) < 2 or not words[1]:
            return "could not parse function name.\n"
        while not words[-1]:
            words.pop()
        answer = self._registry.invoke(words[0], words[1], [*words[2:]], caller)
        return _later(answer) if waits(answer) else to_text(answer)


_SETTERS: dict[str, Callable[[Commands, Caller, str], str]] = {
    "loglevel": Commands._set_loglevel,
    "cpslimit": Commands._set_cpslimit,
    "shutdownmode": Commands._set_shutdownmode,
}


def _permitted(caller: Caller, function: str) -> None:
    """Decide about a function of `core` before anything else is looked at. Raises Forbidden."""
    if not caller.allows("core", function):
        raise Forbidden(f"core.{function}")


async def _later(answer: Awaitable[Value]) -> str:
    try:
        return to_text(await answer)
    except Exception as error:  # noqa: BLE001 - as in execute
        return failure(error)


def failure(error: Exception) -> str:
    """The text for a failed call (spec di.md §2.2)."""
    match error:
        case NotImplementedInDI():
            return f"Exception occured: AmDynInvoke::NotImplemented '{error.what}'\n"
        case OutOfBounds() | TypeMismatch():
            return "Exception occured.\n"
        case NoSuchModule():
            return f"could not get '{error.what}' factory\n"
        case CallFailed() | Forbidden():
            return f"Exception occured: {error}\n"
        case _:
            log.error("a statistics command failed: %r", error, exc_info=error)
            return f"Exception occured: {error}\n"


def request_line(datagram: bytes) -> str:
    """The command of a datagram: its first line."""
    line = datagram.partition(b"\n")[0].partition(b"\0")[0]
    return line.rstrip(b"\r").decode("utf-8", "surrogateescape")


def reply_bytes(text: str) -> bytes:
    """An answer as it is sent: with one NUL more."""
    raw = text.encode("utf-8", "surrogateescape")
    if len(raw) > MAX_ANSWER_BYTES:
        raw = b"Exception occured: the answer does not fit into a datagram; ask over XML-RPC or JSON-RPC\n"
    return raw + b"\0"
