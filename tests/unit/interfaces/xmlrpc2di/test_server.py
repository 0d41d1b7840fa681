# SPDX-License-Identifier: GPL-2.0-or-later
"""What the XML-RPC handler logs: nothing of a call's content unless asked to."""

from __future__ import annotations

import logging

import pytest

from di.kernel.registry import Caller
from interfaces.gateway import OpenAccess
from interfaces.xmlrpc2di.methods import Methods
from interfaces.xmlrpc2di.server import XmlRpcGateway
from interfaces.xmlrpc2di.writer import write_call
from tests.support.bare_hub import bare_services


@pytest.mark.parametrize("wanted", [True, False])
def test_parameters_and_results_are_logged_on_request_only(wanted: bool, caplog: pytest.LogCaptureFixture) -> None:
    services, _ = bare_services()
    gateway = XmlRpcGateway(Methods(services.registry), OpenAccess(), log_params=wanted, log_result=wanted)
    with caplog.at_level(logging.DEBUG):
        gateway.run(write_call("di", ["core", "get_cpslimit", "pin-1234"]), Caller(source="192.0.2.1"))
        gateway.run(write_call("nosuch", []), Caller())
    assert ("pin-1234" in caplog.text) is wanted
    assert ("result: '0 0'" in caplog.text) is wanted
    assert ("fault: -1 nosuch" in caplog.text) is wanted


def test_long_lists_are_written_like_short_ones() -> None:
    from interfaces.xmlrpc2di.writer import write_value

    for values in (["a"] * 20, ["a", "<"] * 20, ["a"] * 20 + [1], [""] * 20):
        assert write_value(values) == f"<value><array><data>{''.join(map(write_value, values))}</data></array></value>"
