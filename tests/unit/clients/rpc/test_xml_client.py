# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever a server answers to a call by XML-RPC: a result, an error of its own, or no answer."""

from __future__ import annotations

import pytest

from clients.rpc import CallError, Unreachable, XmlRpc
from tests.support.xml_answers import NO_ANSWERS, answering, result


def test_a_result() -> None:
    with answering(*result([1, "x"])) as url, XmlRpc(url) as client:
        assert client.call("calls") == [1, "x"]


@pytest.mark.parametrize("name", NO_ANSWERS)
def test_what_is_no_result(name: str) -> None:
    status, body = NO_ANSWERS[name]
    right = CallError if name == "a fault" else Unreachable
    with answering(status, body) as url, XmlRpc(url, timeout_s=30 if status else 0.3) as client, pytest.raises(right):
        client.call("calls")


def test_a_value_that_cannot_be_sent() -> None:
    with answering(*result(0)) as url, XmlRpc(url) as client, pytest.raises(CallError, match="cannot be sent"):
        client.call("set", object())
