# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests that come again: remembered, and nobody's call changes another's."""

from __future__ import annotations

import pytest

from di.kernel.value import LongLong
from interfaces.xmlrpc2di.parser import XmlError, read_call
from interfaces.xmlrpc2di.writer import write_call


def test_a_short_call_that_comes_again_is_the_same_and_nobody_changes_what_others_get() -> None:
    values = (
        "<i4>1</i4>",
        "<boolean>1</boolean>",
        "<i8>5</i8>",
        "<double>1.5</double>",
        "<nil/>",
        "<base64>YQ==</base64>",
        "text",
    )
    params = "".join(f"<param><value>{value}</value></param>" for value in values)
    body = f"<methodCall><methodName>di</methodName><params>{params}</params></methodCall>".encode()
    right = [1, True, LongLong(5), 1.5, None, b"a", "text"]
    for _ in range(3):
        call = read_call(body)
        assert call.params is not None and call.method == "di"
        assert [(type(value), value) for value in call.params] == [(type(value), value) for value in right]
        call.params.append("more")


def test_a_call_whose_parameters_can_be_changed_is_read_anew() -> None:
    body = write_call("di", ["probe", "echo", ["a"]])
    first = read_call(body).params
    assert first is not None and isinstance(first[2], list)
    first[2].append("b")
    assert read_call(body).params == ["probe", "echo", ["a"]]


def test_a_call_without_parameters_has_none_also_the_second_time() -> None:
    body = write_call("calls", [])
    assert read_call(body).params is None and read_call(body).params is None


def test_a_document_that_is_no_call_is_refused_each_time() -> None:
    for body in (b"<methodCall>", b"<methodResponse/>", b"<!DOCTYPE a><methodCall/>"):
        for _ in range(2):
            with pytest.raises(XmlError):
                read_call(body)
