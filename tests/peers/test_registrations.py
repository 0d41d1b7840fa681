# SPDX-License-Identifier: GPL-2.0-or-later
"""Registrations of a whole server: at Kamailio, which asks for a password, and at a small registrar that has every mood."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from interfaces.sip.digest import Challenge, answer
from tests.support.kamailio import Kamailio
from tests.support.registrar import SmallRegistrar
from tests.support.server import Server, wait_until
from tests.support.sip_peer import UdpPeer
from tests.support.sipp import place_calls
from tests.support.sizes import LONG

pytestmark = pytest.mark.peers

PLUGINS = "monitoring;uac_auth;echo;registrar_client;reg_agent;xmlrpc2di;web"
MAPPING = "^sip:anna@=>echo\n"
CONF = "expires=1200\nretry_interval=1\nrefused_interval=5\nkeep_trying=no\n"


@pytest.fixture(scope="module")
def kamailio() -> Iterator[Kamailio]:
    with Kamailio({"anna": "secret"}, max_expires=12) as running:
        yield running


@pytest.fixture(scope="module")
def registrar() -> Iterator[SmallRegistrar]:
    with SmallRegistrar() as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, kamailio: Kamailio) -> Iterator[Server]:
    """With two accounts at Kamailio, one of them with a wrong password."""
    accounts = f"domain=127.0.0.1:{kamailio.port}\nuser=anna\npwd=secret\n"
    accounts += f"domain1=127.0.0.1:{kamailio.port}\nuser1=ben\npwd1=wrong\n"
    files = {"reg_agent.conf": accounts, "registrar_client.conf": CONF, "app_mapping.conf": MAPPING}
    files["echo.conf"] = "enable_session_timer=yes\nsession_expires=150\nminimum_timer=140\n"
    with Server(tmp_path_factory.mktemp("server"), files, plugins=PLUGINS) as running:
        yield running
        bound = kamailio.contacts("anna")
        running.end()
        assert bound and not kamailio.contacts("anna"), "taken back at the end"
    assert "Traceback" not in running.log and "secret" not in running.log, running.log


def register(server: Server, registrar: SmallRegistrar, user: str, sink: str = "", password: str = "") -> str:
    """createRegistration; the handle. The password is right unless another is given."""
    domain = f"127.0.0.1:{registrar.port}"
    (handle,) = server.xml.di(
        "registrar_client", "createRegistration", domain, user, "A. Name", "", password or user.partition("-")[2], sink
    )
    return str(handle)


def state(server: Server, handle: str) -> list[int]:
    return list(server.xml.di("registrar_client", "getRegistrationState", handle))


def active(server: Server, handle: str) -> bool:
    return state(server, handle)[:2] == [1, 1]


def test_an_incoming_call_finds_its_application(server: Server, kamailio: Kamailio) -> None:
    wait_until(lambda: kamailio.contacts("anna"), "anna is registered")
    (contact,) = kamailio.contacts("anna")
    assert contact == f"sip:anna@127.0.0.1:{server.sip_port}"
    result = place_calls(1, "anna", kamailio.port, hold_ms=100)
    assert (result.successful, result.failed) == (1, 0), result.errors
    wait_until(lambda: [server.xml.get(id)[0].get("app") for id in server.xml.listFinished()] == ["echo"], "the call was echo's")


async def test_session_intervals_are_those_of_the_application(server: Server) -> None:
    """Its file says so, in calls that come in; after SIGHUP as the new mapping has it."""
    phone = await UdpPeer.open(server.sip_port)

    async def answer(user: str, headers: str = "") -> tuple[int, str]:
        call = phone.invite(user, headers=headers)
        final = await call.next(*range(200, 700))
        if final.code == 200:
            call.ack()
            assert await call.bye() == 200
        return final.code, final.header("Session-Expires")

    assert await answer("anna") == (200, "150;refresher=uas")
    assert (await answer("anna", "Supported: timer\r\nSession-Expires: 100\r\n"))[0] == 422
    (server.etc / "app_mapping.conf").write_text(MAPPING + "^sip:late@=>echo\n")
    os.kill(server.pid, signal.SIGHUP)
    await asyncio.to_thread(wait_until, lambda: "reloaded:" in server.log, "reloaded")
    assert await answer("late") == (200, "150;refresher=uas")
    phone.close()


def test_a_program_has_credentials_checked(server: Server) -> None:
    def check(authorization: str) -> list[object]:
        request = {"method": "REGISTER", "authorization": authorization}
        return list(server.xml.di("uac_auth", "checkAuth", request, "here", "anna", "secret"))

    code, _, challenge = check("")
    found = re.search(r'nonce="(\w+)"', str(challenge))
    assert code == 401 and found
    known = Challenge("Authorization", "here", found[1], "", "MD5", "auth", False)
    assert check(answer(known, "REGISTER", "sip:here", "anna", "secret", "c")[1]) == [200, "OK", ""]
    assert check(answer(known, "REGISTER", "sip:here", "anna", "wrong", "c", 2)[1])[0] == 401


def test_a_registrar_that_was_killed_knows_us_again(server: Server, kamailio: Kamailio) -> None:
    wait_until(lambda: kamailio.contacts("anna"), "anna is registered")
    kamailio.kill()
    kamailio.start()
    wait_until(lambda: kamailio.contacts("anna"), "anna is registered again, for it keeps contacts in its memory alone")


def test_a_wrong_password_makes_no_loop(server: Server, kamailio: Kamailio) -> None:
    wait_until(lambda: "sip:ben@" in server.log and "password or realm is wrong" in server.log, "a line says what is wrong")
    assert len(re.findall(r"registration \S+ of sip:ben@\S+ at \S+: 401", server.log)) <= 8
    assert "wrong" not in re.sub(r"realm is wrong there", "", server.log)


@pytest.mark.parametrize("user", ["plain-p", "sha-pw", "stale-pw", "proxy-pw", "digest-pw", "brief-p", "busy-p", "garbage-p"])
def test_moods_of_registrars(server: Server, registrar: SmallRegistrar, user: str) -> None:
    kind = user.partition("-")[0]
    handle = register(server, registrar, user)
    if kind == "busy":  # the first attempt has failed, and SEMS's function forgets it
        wait_until(lambda: state(server, handle) == [0], "given up")
        handle = register(server, registrar, user)
    wait_until(lambda: active(server, handle), f"{user} is registered")
    seen = [one for one in registrar.of(user) if handle in one.text]
    assert re.search(rf'\nFrom: "A. Name" <sip:{user}@127.0.0.1>;tag={re.escape(handle)}\r', seen[0].text)
    assert seen[0].cseq == 50 and len({_call_id(one.text) for one in seen}) == 1
    left = state(server, handle)[2]
    assert 590 <= left <= 600
    if kind == "brief":
        assert [one.expires for one in seen] == [1200, 1800]
    server.xml.di("registrar_client", "removeRegistration", handle)
    wait_until(lambda: state(server, handle) == [0], "taken back")
    last = registrar.of(user)[-1]
    assert last.expires == 0 and last.cseq > seen[0].cseq
    if kind in ("sha", "digest"):
        assert last.good and last.uses == 2, "the nonce is used again, with the next count"
    if kind == "stale":
        assert last.good and last.uses == 1, "a stale nonce is replaced"


def _call_id(text: str) -> str:
    match = re.search(r"\nCall-ID: *(\S+)", text)
    assert match
    return match[1]


def test_refused_for_good(server: Server, registrar: SmallRegistrar) -> None:
    for user in ("wrong-pw", "int-pw"):
        handle = register(server, registrar, user)
        wait_until(lambda h=handle: state(server, h) == [0], "given up")  # type: ignore[misc]
    assert len(registrar.of("wrong-pw")) == 2 and len(registrar.of("int-pw")) == 1
    assert "only `auth` is known here" in server.log


@pytest.mark.skipif(not LONG, reason="ten minutes; CORDBOARD_LONG runs it")
@pytest.mark.timeout(900)
def test_a_thousand_for_ten_minutes(tmp_path: Path) -> None:
    """1000 real registrations of 120 s for ten minutes: each stands all the time, and no second has a burst."""
    with SmallRegistrar(grants_s=120) as busy:
        files = {"registrar_client.conf": "requests_per_second=25\n"}
        with Server(tmp_path, files, plugins=PLUGINS.replace("reg_agent;", "")) as many:
            for number in range(1000):
                many.xml.di(
                    "registrar_client",
                    "createRegistration",
                    f"127.0.0.1:{busy.port}",
                    f"digest-{number}",
                    "",
                    "",
                    str(number),
                    "",
                )
            begin = time.monotonic()
            wait_until(lambda: sum(seen.good for seen in busy.seen) >= 1000, "all are registered", 80)
            while time.monotonic() < begin + 600:
                time.sleep(5)  # what is watched here is time that passes
                latest = {seen.user: seen.at for seen in list(busy.seen) if seen.good}
                assert len(latest) == 1000 and max(time.monotonic() - at for at in latest.values()) < 120
            seconds = Counter(int(seen.at) for seen in busy.seen)
            print(f"most in a second {max(seconds.values())}, in all {len(busy.seen)}")
            assert max(seconds.values()) <= 2 * 26  # each may be challenged once
            many.end()
        assert {seen.user for seen in busy.seen if seen.expires == 0 and seen.good} == {f"digest-{n}" for n in range(1000)}


def test_listed_and_shown(server: Server, registrar: SmallRegistrar) -> None:
    handle = register(server, registrar, "plain-l", "nobody")
    wait_until(lambda: active(server, handle), "it is registered")
    (listed,) = [one for one in server.xml.di("registrar_client", "listRegistrations") if one["handle"] == handle]
    assert listed == {
        "handle": handle, "domain": f"127.0.0.1:{registrar.port}", "user": "plain-l", "name": "A. Name", "auth_user": "plain-l",
        "proxy": "", "event_sink": "nobody", "contact": "",
    }  # fmt: skip
    record = server.xml.get(handle)[0]
    assert (record["registration"], record["reg_state"], record["reg_code"]) == (
        f"sip:plain-l@127.0.0.1:{registrar.port}", "active", 200,
    )  # fmt: skip
    server.xml.di("registrar_client", "removeRegistration", handle)
    wait_until(lambda: handle in server.xml.listFinished(), "the record is finished")
