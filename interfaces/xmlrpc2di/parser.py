# SPDX-License-Identifier: GPL-2.0-or-later
"""XML-RPC bytes → values: a request's method and parameters, a reply's result. Pure; `writer` is the other direction.

    <value><i4>7</i4></value>  → 7              <value>text</value>, <string>     → str
    <boolean>1</boolean>       → True           <array>, <struct>                 → list, dict
    <double>1.5</double>       → 1.5            <base64>                          → bytes
    <nil/>                     → None           <i8>                              → LongLong

Behind expat, with everything refused that makes XML dangerous: document types (so neither entities nor external files), deep
nesting, and more elements than any honest call has. Bytes that are not UTF-8 ride as surrogate escapes, so they come back as
they were: SEMS passes bytes on unmodified, whatever the declaration says (spec di.md §3.4).
Differences from SEMS's tag search are additions: comments, CDATA, numeric references, structs, nil and i8 are understood.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from xml.parsers import expat

from di.kernel.text import without_mark
from di.kernel.value import LongLong, Value

MAX_DEPTH = 128
"""Open elements; a value in a list costs three."""
MAX_ELEMENTS = 50_000
"""Bounds the time one message can hold the loop: about 30 ms."""

_INT = re.compile(r"[+-]?[0-9]{1,20}")
_DOUBLE = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
_SCALARS = frozenset(("i4", "int", "boolean", "double", "string", "base64", "nil", "i8", "dateTime.iso8601"))
_PARAMETERS = ("param", "fault")


_SHORT_BYTES = 512
_MOST_KNOWN = 256
_UNCHANGING = frozenset((str, int, bool, float, bytes, LongLong, type(None)))
_KNOWN: dict[bytes, tuple[str, tuple[Value, ...]]] = {}
"""Short calls that were read before, method and parameters: programs ask for the same again and again, and reading is half of what that costs."""


class XmlError(Exception):
    """The document is no usable XML-RPC message; the text says where and why."""


class UnsupportedType(Exception):
    """A value of a type that a DI call cannot carry (SEMS: fault 400)."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A `<fault>`: what the other side answered instead of a result."""

    code: int
    text: str


@dataclass(slots=True)
class MethodCall:
    """A request. `params` None means that it has no parameter at all, which direct export tells from an empty list."""

    method: str
    params: list[Value] | None


def read_call(body: bytes) -> MethodCall:
    """Decode a `<methodCall>`. Raises XmlError or UnsupportedType; any bytes give a call or one of these."""
    short = len(body) <= _SHORT_BYTES
    known = _KNOWN.get(body) if short else None
    if known is not None:
        return MethodCall(known[0], list(known[1]) or None)
    reader = _read(body)
    if reader.root != "methodCall":
        raise XmlError(f"the document is a <{reader.root}>, not a <methodCall>")
    if reader.unsupported:
        raise UnsupportedType(reader.unsupported)
    call = MethodCall(reader.method.strip(), reader.values or None)
    if short and _UNCHANGING.issuperset(map(type, reader.values)):
        if len(_KNOWN) >= _MOST_KNOWN:
            _KNOWN.clear()
        _KNOWN[body] = call.method, tuple(reader.values)
    return call


def read_response(body: bytes) -> Value | Fault:
    """Decode a `<methodResponse>` into its result or its fault. Raises XmlError or UnsupportedType."""
    reader = _read(body)
    if reader.root != "methodResponse":
        raise XmlError(f"the document is a <{reader.root}>, not a <methodResponse>")
    if reader.unsupported:
        raise UnsupportedType(reader.unsupported)
    if reader.fault:
        struct = reader.values[0] if reader.values else None
        members = struct if isinstance(struct, dict) else {}
        code, text = members.get("faultCode"), members.get("faultString")
        return Fault(code if isinstance(code, int) else -1, text if isinstance(text, str) else "fault without faultString")
    return reader.values[0] if reader.values else None


def _read(body: bytes) -> _Reader:
    try:
        body = without_mark(body)
    except ValueError as error:
        raise XmlError(f"the document is {error}") from None
    try:
        body.decode("utf-8")
        encoding, restore = "utf-8", False
    except UnicodeDecodeError:
        encoding, restore = "iso-8859-1", True
    reader = _Reader(restore)
    parser = expat.ParserCreate(encoding)
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = reader.doctype
    try:
        parser.Parse(body.lstrip(b" \t\r\n"), True)
    except expat.ExpatError as error:
        if not reader.done:
            raise XmlError(
                f"not well-formed XML, line {error.lineno} column {error.offset + 1}: {expat.ErrorString(error.code)}"
            ) from None
    if not reader.done:
        raise XmlError("the document is incomplete")
    return reader


class _Reader:
    """Receives expat's events.

    A container in work is a list or a dict on `stack`; `names` holds the member names of open structs.
    """

    def __init__(self, restore: bool) -> None:
        self.root = ""
        self.method = ""
        self.values: list[Value] = []
        self.fault = False
        self.done = False
        self.unsupported = ""
        self._restore = restore
        self._path: list[str] = []
        self._elements = 0
        self._stack: list[list[Value] | dict[str, Value]] = []
        self._names: list[str | None] = []
        self._text: list[str] = []
        self._current: list[tuple[bool, Value]] = []

    def doctype(self, *_: object) -> None:
        raise XmlError("document type declarations are refused: XML-RPC needs none")

    def text(self, data: str) -> None:
        self._text.append(data)

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        path = self._path
        self._elements += 1
        if len(path) >= MAX_DEPTH or self._elements > MAX_ELEMENTS:
            raise XmlError(f"more than {MAX_DEPTH} open or {MAX_ELEMENTS} elements: split the call up")
        if not path:
            self.root = tag
        parent = path[-1] if path else ""
        path.append(tag)
        self._text.clear()
        if tag == "value":
            self._current.append((False, None))
        elif parent == "value":
            self._start_typed(tag)
        elif tag == "fault":
            self.fault = True

    def _start_typed(self, tag: str) -> None:
        if tag == "array":
            self._stack.append([])
        elif tag == "struct":
            self._stack.append({})
            self._names.append(None)
        elif tag.rpartition(":")[2] not in _SCALARS:
            self.unsupported = self.unsupported or f"<{tag[:40]}>"

    def end(self, tag: str) -> None:
        path = self._path
        path.pop()
        if tag == "value":
            self._end_value(path[-1] if path else "")
        elif path and path[-1] == "value":
            self._current[-1] = (True, self._typed(tag))
        elif tag == "name" and path and path[-1] == "member" and self._names:
            self._names[-1] = self._take()
        elif tag == "methodName" and len(path) == 1:
            self.method = self._take()
        self._text.clear()
        if not path:
            self.done = True

    def _take(self) -> str:
        text = "".join(self._text)
        return text.encode("iso-8859-1", "surrogateescape").decode("utf-8", "surrogateescape") if self._restore else text

    def _typed(self, tag: str) -> Value:
        if tag == "array":
            return self._stack.pop()
        if tag == "struct":
            self._names.pop()
            return self._stack.pop()
        convert = _CONVERT.get(tag.rpartition(":")[2])
        if convert is None:
            if not self.unsupported:
                self.unsupported = "dateTime.iso8601" if tag == "dateTime.iso8601" else f"<{tag[:40]}>"
            return None
        return convert(self._take())

    def _end_value(self, parent: str) -> None:
        typed, value = self._current.pop()
        if not typed:
            value = self._take()
        if parent in _PARAMETERS:
            self.values.append(value)
        elif self._stack:
            container = self._stack[-1]
            if isinstance(container, list):
                if parent != "data":
                    raise XmlError("an <array>'s values belong into <data>")
                container.append(value)
            else:
                name = self._names[-1]
                if parent != "member" or name is None:
                    raise XmlError("a <struct>'s value needs a <member> with a <name> before it")
                container.setdefault(name, value)
                self._names[-1] = None
        else:
            raise XmlError(f"a <value> stands in <{parent}>, where none belongs")


def _integer(text: str) -> Value:
    text = text.strip()
    if not _INT.fullmatch(text):
        raise XmlError(f"{text[:40]!r} is no integer")
    number = int(text)
    if not -0x80000000 <= number <= 0x7FFFFFFF:
        raise XmlError(f"{number} does not fit <i4>; send <i8>")
    return number


def _long(text: str) -> Value:
    text = text.strip()
    if not _INT.fullmatch(text) or not -(1 << 63) <= int(text) < 1 << 63:
        raise XmlError(f"{text[:40]!r} is no 64-bit integer")
    return LongLong(text)


def _boolean(text: str) -> Value:
    text = text.strip()
    if text not in ("0", "1"):
        raise XmlError(f"{text[:40]!r} is no <boolean>; right is 0 or 1")
    return text == "1"


def _double(text: str) -> Value:
    text = text.strip()
    if not _DOUBLE.fullmatch(text) or len(text) > 400:
        raise XmlError(f"{text[:40]!r} is no <double>")
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise XmlError(f"{text[:40]!r} is beyond a <double>")
    return number


def _blob(text: str) -> Value:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise XmlError("<base64> holds something else than base64") from None


_CONVERT: dict[str, Callable[[str], Value]] = {
    "i4": _integer,
    "int": _integer,
    "i8": _long,
    "boolean": _boolean,
    "double": _double,
    "string": str,
    "base64": _blob,
    "nil": lambda text: None,
}
