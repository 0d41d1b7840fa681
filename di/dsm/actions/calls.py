# SPDX-License-Identifier: GPL-2.0-or-later
"""DI calls and the second leg (spec dsm.md §4.1)."""

from __future__ import annotations

import inspect
import json
import logging
import re
from collections.abc import Awaitable

from di.dsm.language import arrays
from di.dsm.language.errors import DsmException
from di.dsm.language.library import Lit, Prepared, Res, action
from di.dsm.language.model import Outcome
from di.dsm.language.numbers import c_long
from di.dsm.run.engine import Run
from di.kernel.errors import DIError, NoSuchModule
from di.kernel.value import Value

log = logging.getLogger(__name__)
_HALF = re.compile("[\ud800-\udc7f\udd00-\udfff]")
"""Halves of UTF-16 pairs that do not stand for a byte either (PEP 383)."""


class _Wrong(Exception):
    """A DI argument that cannot be built."""


def _argument(run: Run, text: str) -> Value:
    """One argument of DI (spec dsm.md §4.1, table "DI calls")."""
    if text.startswith('"'):
        return text.strip('"')
    if text.startswith("(int)"):
        number = c_long(run.resolve(text[5:]))
        if number is None or not -(2**31) <= number < 2**31:
            raise _Wrong(f"{text!r} is no integer")
        return number
    if text.startswith("(struct)"):
        return arrays.struct_value(run.vars, text[8:].strip().removeprefix("$"))
    if text.startswith("(array)"):
        return arrays.plain_array(run.vars, text[7:].strip().removeprefix("$"))
    if text.startswith("(json)"):
        source = text[6:].strip()
        source = source.strip('"') if source.startswith('"') else run.resolve(source)
        try:
            return from_json(source)
        except (ValueError, RecursionError) as error:
            log.warning("%s: DI argument %s is not JSON (%s); passed as undefined", run.session.id, text, error)
            return None
    return run.resolve(text)


def from_json(text: str) -> Value:
    """JSON as a variant. Raises ValueError or RecursionError, also for half a UTF-16 pair: no message could carry it."""
    return to_di(json.loads(text))


def _whole(text: str) -> str:
    if (half := _HALF.search(text)) is not None:
        raise ValueError(f"\\u{ord(half.group()):04x} is half a character: its other half is missing")
    return text


def to_di(value: object, depth: int = 0) -> Value:
    """JSON data as a variant; what no variant holds becomes undefined. Raises ValueError for half a character in a text."""
    if isinstance(value, dict) and depth < 100:
        return {_whole(str(key)): to_di(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list) and depth < 100:
        return [to_di(item, depth + 1) for item in value]
    if isinstance(value, str):
        return _whole(value)
    if value is None or isinstance(value, (int, float, bool)):
        return value
    return None


def _pieces(raw: str) -> tuple[str, ...]:
    """Split at every comma; empty pieces disappear, quotes protect nothing (Q31)."""
    return tuple(piece.strip() for piece in raw.split(",") if piece.strip())


def _invoke(run: Run, pieces: tuple[str, ...], keep: str) -> Outcome:
    if len(pieces) < 2:
        run.fail("arg", "DI needs a factory and a function")
        return None
    try:
        args = [_argument(run, piece) for piece in pieces[2:]]
    except _Wrong as wrong:
        run.fail("arg", str(wrong))
        return None
    module, function = pieces[0].strip(' "'), pieces[1].strip(' "')
    try:
        answer = run.session.hub.invoke(module, function, args)
    except Exception as error:  # noqa: BLE001 – any failure of the called function is the script's errno
        _failed(run, module, function, error)
        return None
    if inspect.isawaitable(answer):
        return _wait(run, module, function, answer, keep)
    _keep(run, answer, keep)
    return None


async def _wait(run: Run, module: str, function: str, answer: Awaitable[Value], keep: str) -> None:
    try:
        value = await answer
    except Exception as error:  # noqa: BLE001 – any failure of the called function is the script's errno
        _failed(run, module, function, error)
        return
    _keep(run, value, keep)


def _failed(run: Run, module: str, function: str, error: Exception) -> None:
    code = "config" if isinstance(error, NoSuchModule) else "arg"
    if not isinstance(error, DIError):
        log.warning("%s: DI %s.%s failed: %s: %s", run.session.id, module, function, type(error).__name__, error)
    run.fail(code, f"{module}.{function}: {type(error).__name__}: {error}")


def _keep(run: Run, value: Value, keep: str) -> None:
    """Put a result into `$DI_res…`; errno is cleared unless an element has a type that no variable holds."""
    run.ok()
    if keep and isinstance(value, (str, int)) and not isinstance(value, bool):
        run.vars["DI_res"] = str(value)
    elif keep and isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            if isinstance(item, (str, int)) and not isinstance(item, bool):
                run.vars[f"DI_res{index}" if keep == "numbered" else f"DI_res[{index}]"] = str(item)
            else:
                run.fail("arg", f"element {index} of the result is neither text nor integer")
        if keep == "array":
            run.vars["DI_res_size"] = str(len(value))


@action("DI", prepare=_pieces)
def di(run: Run, pieces: Prepared) -> Outcome:
    """Call a DI function, result ignored."""
    return _invoke(run, pieces, "")


@action("DIgetResult", prepare=_pieces)
def di_get_result(run: Run, pieces: Prepared) -> Outcome:
    """Call a DI function; an array goes to `$DI_res0`, `$DI_res1` …"""
    return _invoke(run, pieces, "numbered")


@action("DIgetResultArray", prepare=_pieces)
def di_get_result_array(run: Run, pieces: Prepared) -> Outcome:
    """Call a DI function; an array goes to `$DI_res[0]` …"""
    return _invoke(run, pieces, "array")


# --------------------------------------------------------------------------------------------------------------------- B2B
@action("B2B.connectCallee")
def connect_callee(run: Run, party: Res, uri: Res) -> None:
    """Call the B leg."""
    run.session.b2b.connect(party, uri, relayed=run.vars.get("b2b_relayed_invite") == "true")


@action("B2B.terminateOtherLeg")
def terminate_other_leg(run: Run) -> None:
    """End the B leg."""
    run.session.b2b.terminate()


@action("B2B.sendReinvite")
def send_reinvite(run: Run, sdp: Lit, headers: Lit = "") -> None:
    """Offer again on the A leg."""
    run.session.b2b.reinvite(sdp == "true", header_lines(headers))


@action("B2B.enableEarlyMediaRelay")
def enable_early_media_relay(run: Run, flag: Res) -> None:
    """Pass early SDP to the A leg."""
    run.session.b2b.relay_early_media(flag == "true")


@action("B2B.addHeader")
def add_header(run: Run, line: Res) -> None:
    """Add a header line to the B leg's INVITE."""
    run.session.b2b.set_headers(line + "\r\n", append=True)


@action("B2B.removeHeader")
def remove_header(run: Run, name: Res) -> None:
    """Take a header out of the B leg's INVITE."""
    run.session.b2b.remove_header(name)


@action("B2B.clearHeaders")
def clear_headers(run: Run) -> None:
    """Take all headers out of it."""
    run.session.b2b.set_headers("", append=False)


@action("B2B.setHeaders")
def set_headers(run: Run, text: Res, crlf: Res = "") -> None:
    """Replace the headers, or with `true` append lines separated by a literal `\\r\\n` (Q55)."""
    append = crlf == "true"
    if append:
        text = text.replace("\\r\\n", "\r\n")
    if text and not text.endswith("\r\n"):
        text += "\r\n"
    run.session.b2b.set_headers(text, append=append)


@action("B2B.relayEvent")
def relay_event(run: Run, names: Res) -> None:
    """Application event to the other leg."""
    run.session.b2b.relay_event(arrays.selected(run.vars, names))


@action("B2B.setRelayOnly")
def set_relay_only(run: Run, flag: Res) -> None:
    """Relay in-dialog requests or handle them here."""
    run.session.b2b.set_relay_only(flag == "true")


def header_lines(text: str) -> tuple[str, ...]:
    """Header lines from text in which a literal `\\r\\n` separates them. A real line break is one too: none can be smuggled in."""
    lines = text.replace("\\r\\n", "\n").replace("\r", "\n").split("\n")
    return tuple(line.strip() for line in lines if line.strip())


__all__ = ["DsmException", "from_json", "header_lines"]
