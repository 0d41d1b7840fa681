# SPDX-License-Identifier: GPL-2.0-or-later
"""Half of a UTF-16 pair, which stands for no character and no byte, does not come in by any gateway; raw bytes of any encoding do."""

from __future__ import annotations

import pytest

from interfaces.jsonrpc import sems_json, strict
from interfaces.xmlrpc2di.parser import XmlError, read_call

HALVES = ["\\ud83d", "\\uDE00", "\\ude00\\ud83d", "x\\ud83dy"]


@pytest.mark.parametrize("half", HALVES)
def test_json_by_http_and_websocket_refuses_it(half: str) -> None:
    text = '{"jsonrpc": "2.0", "id": 1, "method": "m", "params": ["' + half + '"]}'
    for data in (text, text.encode()):
        with pytest.raises(strict.JsonError, match=r"surrogate|escape|UTF-8"):
            strict.loads(data)
    assert strict.loads('["\\ud83d\\ude00"]') == ["\U0001f600"]


@pytest.mark.parametrize("half", HALVES)
def test_json_as_sems_reads_it_has_six_characters(half: str) -> None:
    assert sems_json.loads(f'["{half}"]'.encode()) == [half]


@pytest.mark.parametrize("raw", [b"\xed\xa0\xbd", b"\xe9"])
def test_raw_bytes_stay_bytes(raw: bytes) -> None:
    (text,) = sems_json.loads(b'["' + raw + b'"]')  # type: ignore[misc]
    assert str(text).encode("utf-8", "surrogateescape") == raw
    call = read_call(
        b"<methodCall><methodName>m</methodName><params><param><value>" + raw + b"</value></param></params></methodCall>"
    )
    assert call.params is not None and str(call.params[0]).encode("utf-8", "surrogateescape") == raw


@pytest.mark.parametrize("reference", ["&#xD83D;", "&#56832;"])
def test_xml_refuses_it(reference: str) -> None:
    document = f"<methodCall><methodName>m</methodName><params><param><value>{reference}</value></param></params></methodCall>"
    with pytest.raises(XmlError, match="not well-formed"):
        read_call(document.encode())
