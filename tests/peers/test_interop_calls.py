# SPDX-License-Identifier: GPL-2.0-or-later
"""A real phone through a whole call, by each transport and in each codec: it hears itself, holds, resumes, presses keys, hangs up.

Transfers are in test_transfer_baresip.py, more codecs in test_interop_baresip.py, another phone in test_interop_linphone.py.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support import tones
from tests.support.baresip import G722, OPUS, PCMA, PCMU, Baresip
from tests.support.ports import free_port
from tests.support.server import WITH_APPS, Server, wait_until
from tests.support.tls import self_signed

pytestmark = pytest.mark.peers
CODECS = (PCMU, PCMA, G722, OPUS)
TONE_HZ, OTHERS_HZ = 700.0, [900.0, 1300.0]
LEAST_BITS = 5000
"""Silence in Opus is less, G.711 is 64000."""


@pytest.fixture(scope="module")
def ports() -> dict[str, int]:
    return {"TLS": free_port(), "IPv6": free_port()}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, ports: dict[str, int]) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    certificate = self_signed(folder)
    settings = (
        f"tls_port={ports['TLS']}\ntls_certificate={certificate}\ntls_key={certificate}\n"
        f"further_sip=[::1]:{ports['IPv6']}\nfurther_media_ip=::1\ncodec_order=opus"
    )
    files = {"app_mapping.conf": "^sips?:=>listener\n"}
    with Server(folder, files, settings, "monitoring;listener;xmlrpc2di;web", program=WITH_APPS) as running:
        yield running
    assert "Traceback" not in running.log, running.log


def whole_call(server: Server, phone: Baresip, user: str, uri: str) -> None:
    """Each step is asked of the phone and of the server's record of the call."""
    name = phone.codec.name

    def hears(wanted: bool, when: str) -> None:
        wait_until(
            lambda: (phone.rates()[1] > LEAST_BITS) is wanted, f"{name} {'gets audio' if wanted else 'is silent'} {when}", 40
        )

    def logged(key: str, value: str) -> None:
        wait_until(lambda: server.record_of(user).get(key) == value, f"{name}: {key} is {value}", 40)

    phone.start()
    phone.command("dial", uri)
    phone.event("CALL_ESTABLISHED")
    hears(True, "at first")
    phone.command("hold")
    logged("offers", "sendonly")
    hears(False, "on hold")
    phone.command("resume")
    logged("offers", "sendonly,sendrecv")
    hears(True, "after the hold")
    for key in "42#":
        phone.command("sndcode", key)
    logged("keys", "42#")  # baresip 1.0 has telephone-event at 8 kHz only, also beside Opus
    phone.command("hangup")
    phone.event("CALL_CLOSED")
    phone.quit()
    heard = phone.heard()[phone.codec.rate_hz :]
    assert tones.heard(heard, [TONE_HZ, *OTHERS_HZ], phone.codec.rate_hz, 1000) == {TONE_HZ}, name


@pytest.mark.parametrize("way", ["UDP", "TCP", "TLS", "IPv6"])
def test_a_whole_call(server: Server, ports: dict[str, int], tmp_path: Path, way: str) -> None:
    host = "[::1]" if way == "IPv6" else "127.0.0.1"
    port = ports.get(way, server.sip_port)
    more = f";transport={way.lower()}" if way in ("TCP", "TLS") else ""
    with contextlib.ExitStack() as stack, ThreadPoolExecutor() as pool:
        calls = []
        for number, codec in enumerate(CODECS):
            says = tones.tone(TONE_HZ, 60_000, codec.rate_hz, 4000)
            phone = stack.enter_context(
                Baresip(tmp_path / f"phone{number}", codec, says, "::1" if way == "IPv6" else "127.0.0.1")
            )
            user = f"{way.lower()}{number}"
            calls.append(pool.submit(whole_call, server, phone, user, f"sip:{user}@{host}:{port}{more}"))
        for call in calls:
            call.result()
    wait_until(lambda: server.xml.calls() == 0, "every phone has hung up")
