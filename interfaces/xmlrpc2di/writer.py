# SPDX-License-Identifier: GPL-2.0-or-later
"""Values → XML-RPC bytes, exactly as the original server writes them (spec di.md §1.7, §3.4). Pure.

No white space between tags, ints and bools as `<i4>` (over 32 bits `<i8>`), Undef as `<i4>0</i4>`, doubles with six decimals, struct members in byte
order of their names. Two of the original's losses are mended: LongLong and Blob have a value here (docs/differences.md).
"""

from __future__ import annotations

import base64
import re
from typing import cast

from di.kernel.text import utf8
from di.kernel.value import Value, ValueKind, is_int32, is_int64, kind, sorted_members

_HEAD = b'<?xml version="1.0"?>\r\n'
_RESPONSE = _HEAD + b"<methodResponse><params><param>\r\n\t"
_RESPONSE_END = b"\r\n</param></params></methodResponse>\r\n"
_FAULT = _HEAD + b"<methodResponse><fault>\r\n\t"
_FAULT_END = b"\r\n</fault></methodResponse>\r\n"

_SPECIAL = re.compile("[&<>'\"\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "'": "&apos;", '"': "&quot;"}
_EMPTY = "<value><string></string></value>"
_MAX_EXACT_DOUBLE = 1 << 53
_SHORT = 16


def escape(text: str) -> str:
    """Escape the five characters of spec di.md §3.4. Control characters that no XML document may hold become U+FFFD."""
    if _SPECIAL.search(text) is None:
        return text
    return _SPECIAL.sub(lambda match: _ENTITIES.get(match.group(), "\ufffd"), text)


def write_value(value: Value) -> str:
    """A `<value>` element, or an empty text for what XML-RPC cannot carry (an empty struct, an object)."""
    match kind(value):
        case ValueKind.CSTR:
            assert isinstance(value, str)
            return f"<value><string>{escape(value)}</string></value>"
        case ValueKind.INT | ValueKind.BOOL:
            assert isinstance(value, int)
            return _integer(int(value))
        case ValueKind.UNDEF:
            return "<value><i4>0</i4></value>"
        case ValueKind.ARRAY:
            assert isinstance(value, (list, tuple))
            return f"<value><array><data>{_elements(value)}</data></array></value>"
        case ValueKind.STRUCT:
            assert isinstance(value, dict)
            if not value:
                return ""
            members = [_member(name, member) for name, member in sorted_members(value)]
            return f"<value><struct>{''.join(members)}</struct></value>"
        case ValueKind.DOUBLE:
            assert isinstance(value, float)
            return f"<value><double>{value:f}</double></value>"
        case ValueKind.LONG_LONG:
            assert isinstance(value, int)
            return _long_long(value)
        case ValueKind.BLOB:
            assert isinstance(value, bytes)
            text = base64.encodebytes(value).decode("ascii").replace("\n", "\r\n")
            return f"<value><base64>{text}</base64></value>"
        case _:
            return ""


def _elements(values: list[Value] | tuple[Value, ...]) -> str:
    """The elements of an array. Long lists of ids, the one big answer there is, are judged and joined as a whole."""
    if len(values) > _SHORT and set(map(type, values)) == {str}:
        texts = cast("list[str]", values)
        whole = "".join(texts)
        if whole.isprintable() and not any(map(whole.__contains__, _ENTITIES)):
            return f"<value><string>{'</string></value><value><string>'.join(texts)}</string></value>"
    return "".join([write_value(v) for v in values])


def _member(name: str, value: Value) -> str:
    # The original leaves the value out here, which no parser takes; an empty string keeps the document readable.
    return f"<member><name>{escape(name)}</name>{write_value(value) or _EMPTY}</member>"


def _integer(value: int) -> str:
    """`<i4>`, as the original has it, where it fits; a larger one keeps its value."""
    if is_int32(value):
        return f"<value><i4>{value}</i4></value>"
    return f"<value><i8>{value}</i8></value>" if is_int64(value) else f"<value><string>{value}</string></value>"


def _long_long(value: int) -> str:
    """An int when it fits, else a double while that is exact, else the digits as text (spec di.md §6.1)."""
    if is_int32(value):
        return f"<value><i4>{value}</i4></value>"
    if abs(value) <= _MAX_EXACT_DOUBLE:
        return f"<value><double>{float(value):f}</double></value>"
    return f"<value><string>{int(value)}</string></value>"


def write_response(value: Value) -> bytes:
    """The body of a successful answer: valid XML, whatever bytes a name or a header came with."""
    return _RESPONSE + utf8(write_value(value) or _EMPTY) + _RESPONSE_END


def write_elements(values: list[Value]) -> bytes:
    """Elements of an array, to be put between the two parts of ARRAY_RESPONSE."""
    return utf8(_elements(values))


ARRAY = (b"<value><array><data>", b"</data></array></value>")
"""What stands around the elements of an array."""
ARRAY_RESPONSE = (_RESPONSE + ARRAY[0], ARRAY[1] + _RESPONSE_END)
"""What stands around the elements of an array that is the whole answer."""


def write_fault(code: int, text: str) -> bytes:
    """The body of a fault."""
    struct = (
        f"<value><struct><member><name>faultCode</name><value><i4>{code}</i4></value></member>"
        f"<member><name>faultString</name><value><string>{escape(text)}</string></value></member></struct></value>"
    )
    return _FAULT + utf8(struct) + _FAULT_END


def write_call(method: str, params: list[Value]) -> bytes:
    """The body of a request, for the client pool."""
    text = "".join([f"<param>{write_value(value) or _EMPTY}</param>" for value in params])
    return (
        _HEAD
        + utf8(f"<methodCall><methodName>{escape(method)}</methodName>\r\n")
        + (utf8(f"<params>{text}</params>") if params else b"")
        + b"</methodCall>\r\n"
    )


def http_answer(body: bytes, extra: bytes = b"") -> bytes:
    """Body with the head that every answer has."""
    return http_head(len(body), extra) + body


def http_head(length_bytes: int, extra: bytes = b"") -> bytes:
    """The head of every answer, in this order and spelling (spec di.md §3.4)."""
    return b"HTTP/1.1 200 OK\r\nServer: XMLRPC++ 0.8\r\nContent-Type: text/xml\r\nContent-length: %d\r\n%s\r\n" % (
        length_bytes,
        extra,
    )
