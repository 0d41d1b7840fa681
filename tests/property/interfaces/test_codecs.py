# SPDX-License-Identifier: GPL-2.0-or-later
"""Properties of the gateways' codecs: any bytes give a value or the one error; what is written is read back."""

from __future__ import annotations

import contextlib
import json
import xmlrpc.client
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from di.kernel.text import readable
from di.kernel.value import LongLong, Value, equal
from interfaces import http1
from interfaces.jsonrpc import netstring, sems_json, strict
from interfaces.xmlrpc2di import parser, writer
from tests.support.sizes import size

INT32 = st.integers(-(1 << 31), (1 << 31) - 1)
XML_TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"))
JSON_TEXT = st.text(st.characters(exclude_categories=("Cs",)))


def trees(text: st.SearchStrategy[str], scalars: st.SearchStrategy[Any], smallest_struct: int) -> st.SearchStrategy[Any]:
    return st.recursive(
        scalars | text,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, min_size=smallest_struct, max_size=4),
        max_leaves=12,
    )


XML_VALUES = trees(XML_TEXT, INT32 | st.floats(-1e15, 1e15).map(lambda f: round(f, 6)) | st.binary(max_size=100), 1)
JSON_VALUES = trees(JSON_TEXT, st.none() | st.booleans() | INT32 | st.floats(-1e300, 1e300), 0)

XML_PIECES = st.sampled_from(
    """<methodCall> </methodCall> <methodName>x</methodName> <params> </params> <param> </param> <value> </value> <array>
    </array> <data> </data> <struct> </struct> <member> </member> <name>n</name> <i4>1</i4> <int> <i8>9</i8> <nil/> <string/>
    <boolean>1</boolean> <base64>AA==</base64> <double>1</double> <dateTime.iso8601>x</dateTime.iso8601> &lt; &#0; &x;
    <![CDATA[ ]]> <!-- --> <?xml?> <fault>""".split()
)


@settings(max_examples=size(100, 20_000))
@given(st.binary(max_size=300) | st.lists(XML_PIECES, max_size=40).map(lambda parts: "".join(parts).encode()))
def test_any_bytes_are_a_call_or_an_xml_error(data: bytes) -> None:
    for read in (parser.read_call, parser.read_response):
        with contextlib.suppress(parser.XmlError, parser.UnsupportedType):
            read(data)


@given(XML_VALUES)
def test_xml_values_are_read_back(value: Value) -> None:
    assert equal(parser.read_response(writer.write_response(value)), value)
    assert equal(parser.read_call(writer.write_call("m", [value, 1])).params, [value, 1])


@given(XML_VALUES)
def test_the_standard_library_reads_what_is_written(value: Value) -> None:
    ((read,), _) = xmlrpc.client.loads(writer.write_response(value), use_builtin_types=True)
    assert equal(read, value)


@given(XML_VALUES.filter(lambda v: not isinstance(v, float)))
def test_what_the_standard_library_writes_is_read(value: Value) -> None:
    text = xmlrpc.client.dumps((value,), "m", allow_none=True)
    call = parser.read_call(text.encode())
    assert call.method == "m" and call.params is not None and equal(call.params[0], value)


@given(st.integers(-(1 << 63), (1 << 63) - 1))
def test_long_long_is_never_lost(number: int) -> None:
    read = parser.read_response(writer.write_response(LongLong(number)))
    assert isinstance(read, (int, float, str)) and int(read) == number


@given(st.integers(-(1 << 80), 1 << 80))
def test_no_integer_becomes_another_number(number: int) -> None:
    ((read,), _) = xmlrpc.client.loads(writer.write_response(number))
    assert int(read) == number
    assert json.loads(sems_json.dumps(number)) == number
    assert int(json.loads(strict.dumps(number))) == number


def test_an_integer_over_32_bits_is_an_i8() -> None:
    assert b"<i8>4312345678</i8>" in writer.write_response([4312345678])
    assert b"<i4>2147483647</i4>" in writer.write_response([2147483647])


@given(st.binary(max_size=60) | st.text(max_size=20).map(lambda text: text.encode("utf-16", "surrogatepass")))
def test_any_bytes_from_outside_make_documents_that_every_reader_takes(data: bytes) -> None:
    """A Latin-1 display name, a lone surrogate, control characters: as value and as member name."""
    for text in (
        data.decode("utf-8", "surrogateescape"),
        data.decode("latin-1"),
        data.decode("utf-16", "surrogatepass") if not len(data) % 2 else "",
    ):
        value: Value = {"name": text, f"{text}, as a name": [text]}
        for document in (writer.write_response(value), writer.write_fault(-1, text), writer.write_call("m", [value])):
            ElementTree.fromstring(document.decode("utf-8"))
        for written in (sems_json.dumps(value), strict.dumps(value)):
            assert json.loads(written.decode("utf-8"))["name"] == readable(text)


def test_a_latin_1_name_is_shown_but_for_its_letter() -> None:
    assert '"J\ufffdrgen" &lt;sip:a@b&gt;'.replace('"', "&quot;").encode() in writer.write_response('"J\udcfcrgen" <sip:a@b>')


def test_a_byte_order_mark_is_read_over_and_utf_16_is_named() -> None:
    mark, message = b"\xef\xbb\xbf", {"a": 1}
    assert strict.loads(mark + b'{"a":1}') == message == sems_json.loads(mark + b'{"a":1}') == sems_json.loads(mark + b'{"a":+1}')
    document = b"<?xml version='1.0'?><methodCall><methodName>m</methodName></methodCall>"
    assert parser.read_call(mark + document).method == "m"
    for read, text in ((strict.loads, '{"a":1}'), (sems_json.loads, '{"a":1}'), (parser.read_call, document.decode())):
        with pytest.raises((ValueError, parser.XmlError), match="UTF-16; save or send it as UTF-8"):
            read(text.encode("utf-16"))


BOMBS = {
    "billion laughs": b"<!DOCTYPE l [<!ENTITY a 'aaaaaaaaaa'>"
    + b"".join(b"<!ENTITY a%d '%s'>" % (n, b"&a%d;" % (n - 1) * 10 if n else b"&a;" * 10) for n in range(9))
    + b"]><methodCall><methodName>&a8;</methodName></methodCall>",
    "quadratic": b"<!DOCTYPE q [<!ENTITY a '%s'>]><methodCall><methodName>%s" % (b"a" * 200000, b"&a;" * 2000),
    "external entity": b"<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><methodCall>&a;</methodCall>",
    "external DTD": b"<!DOCTYPE x SYSTEM 'http://127.0.0.1:1/x.dtd'><methodCall><methodName>x</methodName></methodCall>",
    "depth": b"<methodCall><params><param>" + b"<value><array><data>" * 10000,
    "wide": b"<methodCall><params><param><value><array><data>" + b"<value/>" * 100000,
    "gzip": b"\x1f\x8b\x08\x00" + b"\x00" * 1000,
    "UTF-16": "<methodCall><methodName>calls</methodName></methodCall>".encode("utf-16"),
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS.keys())
def test_bombs_are_refused(bomb: bytes) -> None:
    with pytest.raises(parser.XmlError):
        parser.read_call(bomb)


@settings(max_examples=size(100, 20_000))
@given(st.binary(max_size=200))
def test_any_bytes_are_json_or_the_error(data: bytes) -> None:
    with contextlib.suppress(strict.JsonError):
        strict.loads(data)
    with contextlib.suppress(sems_json.SemsJsonError):
        sems_json.loads(data)


@given(JSON_VALUES)
def test_json_values_are_read_back(value: Value) -> None:
    assert equal(strict.loads(strict.dumps(value)), value)
    assert strict.loads(json.dumps(value)) == value


def _no_exact_doubles(value: Value) -> Value:
    """SEMS prints 16 digits."""
    if isinstance(value, float):
        return float(f"{value:#.16g}")
    if isinstance(value, list):
        return [_no_exact_doubles(v) for v in value]
    return {k: _no_exact_doubles(v) for k, v in value.items()} if isinstance(value, dict) else value


def _control(value: Value) -> bool:
    """Whether a text holds what is written as \\u00xx, which SEMS itself does not decode."""
    if isinstance(value, str):
        return any(c < " " and c not in "\b\f\n\r\t" for c in value)
    if isinstance(value, dict):
        return any(_control(k) or _control(v) for k, v in value.items())
    return isinstance(value, list) and any(map(_control, value))


@given(JSON_VALUES)
def test_sems_json_is_json_and_is_read_back(value: Value) -> None:
    text = sems_json.dumps(value)
    assert equal(strict.loads(text), _no_exact_doubles(value)) or b"e+" in text
    if not _control(value) and b"e+" not in text:
        assert equal(sems_json.loads(text), _no_exact_doubles(value))


ODD = st.sampled_from([None, "x", float("nan"), 1 << 70, b"\xff", "\udcff", "\ud800"])


@given(st.recursive(ODD, lambda v: st.lists(v) | st.dictionaries(st.just("k"), v)))
def test_writing_never_fails_and_gives_json(value: Value) -> None:
    json.loads(strict.dumps(value))


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=5), st.integers(1, 20))
def test_frames_are_read_back_in_any_pieces(payloads: list[bytes], size: int) -> None:
    wire = b"".join(map(netstring.encode, payloads))
    reader, read = netstring.FrameReader(), []
    for at in range(0, len(wire), size):
        reader.receive_data(wire[at : at + size])
        while (frame := reader.next_frame()) is not None:
            read.append(frame)
    assert read == payloads and not reader.pending


@settings(max_examples=size(100, 20_000))
@given(st.binary(max_size=100) | st.from_regex(rb"[0-9]{1,12}:[a-c]{0,5},?", fullmatch=True))
def test_any_bytes_are_frames_or_a_framing_error(data: bytes) -> None:
    reader = netstring.FrameReader(1000)
    reader.receive_data(data)
    try:
        while reader.next_frame() is not None:
            pass
    except netstring.FramingError:
        return
    assert len(reader.buffer) <= len(data)


HEAD_LINES = st.sampled_from(
    b"POST / HTTP/1.1|GET||Content-Length: 3|content-length:3|Content-Length: 99999999999|: x|Transfer-Encoding: chunked"
    b"|Connection: close|XXXXXXXXXXXXXXXXXXXXXXXXXXXXXX| folded|Expect: 100-continue|\xff: \x00".split(b"|")
)
WHOLE_REQUESTS = st.lists(HEAD_LINES, max_size=8).map(lambda lines: b"\r\n".join(lines) + b"\r\n\r\nabc")


@given(st.binary(max_size=200) | WHOLE_REQUESTS, st.integers(1, 30))
@settings(max_examples=size(300, 20_000))
def test_any_bytes_are_requests_or_a_refusal_and_pieces_do_not_matter(data: bytes, size: int) -> None:
    def outcome(pieces: list[bytes]) -> list[object]:
        reader, seen = http1.RequestReader(1000), []
        try:
            for piece in pieces:
                reader.receive_data(piece)
                while (request := reader.next_request()) is not None:
                    seen.append((request.target, request.keep_alive, request.headers, request.body))
        except http1.BadRequest as error:
            seen.append((error.status, error.reason))
        return seen

    whole = outcome([data])
    assert outcome([data[at : at + size] for at in range(0, len(data), size)]) == whole
