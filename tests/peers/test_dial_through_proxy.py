# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls out through Kamailio, which wants a password and stays in the way (Record-Route), to a baresip that is registered there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.support import tones
from tests.support.baresip import PCMU, Baresip, module_folder
from tests.support.kamailio import Kamailio
from tests.support.ports import free_port
from tests.support.server import Server, wait_until

pytestmark = pytest.mark.peers
HZ = 1000.0


@pytest.fixture(scope="module")
def kamailio() -> Iterator[Kamailio]:
    module_folder()
    with Kamailio({"anna": "secret", "phone": "word"}) as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, kamailio: Kamailio) -> Iterator[Server]:
    """Its first next hop is dead, the second one is the proxy."""
    hops = f"next_hop=127.0.0.1:{free_port()}/tcp,127.0.0.1:{kamailio.port}/udp\n"
    with Server(tmp_path_factory.mktemp("server"), None, hops, "monitoring;echo;di_dial;xmlrpc2di;web") as running:
        yield running
    assert "Traceback" not in running.log and "secret" not in running.log, running.log


def dial(server: Server, user: str, password: str) -> str:
    order = ("di_dial.dial_auth", "echo", "u", "sip:anna@127.0.0.1", f"sip:{user}@127.0.0.1", "127.0.0.1", "anna", password)
    (id,) = server.json(*order)
    return str(id)


def result(server: Server, id: str) -> str:
    return str(wait_until(lambda: server.xml.di("monitoring", "get", id)[0].get("result"), f"the result of {id}"))


def test_a_registered_phone_is_called_with_a_password_and_hears_itself(
    server: Server, kamailio: Kamailio, tmp_path: Path
) -> None:
    with Baresip(tmp_path / "phone", PCMU, tones.tone(HZ, 60_000, PCMU.rate_hz, 4000)) as phone:
        account = f"<sip:phone@127.0.0.1:{kamailio.port};transport=udp>;auth_user=phone;auth_pass=word;regint=600;answermode=auto"
        (phone.folder / "accounts").write_text(f"{account};audio_codecs={PCMU.name}\n")
        phone.start()
        wait_until(lambda: kamailio.contacts("phone"), "the phone is registered")
        id = dial(server, "phone", "secret")
        phone.event("CALL_ESTABLISHED")
        assert result(server, id) == "answered"
        wait_until(lambda: phone.rates()[1] > 0, "audio comes back")
        assert server.json("core.hangup", id) == [200, "OK"]
        phone.event("CALL_CLOSED")
        phone.quit()
        heard = phone.heard()
    assert tones.heard(heard[-np.intp(len(heard) // 2) :], [HZ, 1700.0], PCMU.rate_hz) == {HZ}
    assert "Connection refused: the call goes to 127.0.0.1:" in server.log


@pytest.mark.parametrize(("user", "password", "expected"), [("phone", "wrong", "rejected"), ("nobody", "secret", "unreachable")])
def test_a_wrong_password_and_an_unknown_user(server: Server, user: str, password: str, expected: str) -> None:
    assert result(server, dial(server, user, password)) == expected
