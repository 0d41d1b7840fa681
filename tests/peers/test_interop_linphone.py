# SPDX-License-Identifier: GPL-2.0-or-later
"""Linphone through a whole call in each codec and by each transport: it hears itself, holds, resumes, presses keys, hangs up.

See test_interop_calls.py.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support import tones
from tests.support.linphone import Linphone
from tests.support.ports import free_port
from tests.support.server import WITH_APPS, Server, wait_until
from tests.support.tls import self_signed

pytestmark = pytest.mark.peers
CALLS = (("PCMU", 8000, "UDP"), ("PCMA", 8000, "TCP"), ("G722", 8000, "TLS"), ("opus", 48000, "UDP"), ("opus", 48000, "TLS"))
"""Codec and transport: all at once, so not each with each."""
TONE_HZ, OTHERS_HZ = 700.0, [500.0, 1100.0]
WAV_HEADER_BYTES = 44


@pytest.fixture(scope="module")
def tls_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, tls_port: int) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    certificate = self_signed(folder)
    settings = f"tls_port={tls_port}\ntls_certificate={certificate}\ntls_key={certificate}\ncodec_order=opus"
    files = {"app_mapping.conf": "^sips?:=>listener\n"}
    plugins = "monitoring;listener;xmlrpc2di;web"
    with Server(folder, files, settings, plugins, program=WITH_APPS) as running:
        yield running
    assert "Traceback" not in running.log, running.log


def whole_call(server: Server, phone: Linphone, user: str, where: str) -> None:
    """Each step is asked of the phone and of the server's record of the call."""
    name = phone.codec

    def logged(key: str, value: str) -> None:
        wait_until(lambda: server.record_of(user).get(key) == value, f"{name}: {key} is {value}", 40)

    def hears(when: str) -> int:
        """Wait for two more seconds of audio; where in the recording they begin."""
        before = phone.heard_bytes()
        more = 2 * 2 * 8000
        wait_until(lambda: phone.heard_bytes() > before + more, f"{name} gets audio {when}", 40)
        return before

    phone.command(f"call sip:{user}@127.0.0.1:{where}")
    phone.waits_for("Media streams established")
    hears("at first")
    phone.command("pause")
    logged("offers", "sendonly")
    phone.waits_for("is now paused")
    phone.command("resume")
    logged("offers", "sendonly,sendrecv")
    phone.waits_for("Media streams established", 2)
    resumed = hears("after the hold")
    for pressed in ("4", "42", "42#"):
        phone.command(pressed[-1])
        logged("keys", pressed)
    phone.command("terminate")
    phone.waits_for(r"ended \(No error\)")
    phone.quit()
    heard, rate_hz = phone.heard()
    for part in (heard[rate_hz // 2 :], heard[(resumed - WAV_HEADER_BYTES) // 2 + rate_hz // 2 :]):
        assert tones.heard(part, [TONE_HZ, *OTHERS_HZ], rate_hz, 1000) == {TONE_HZ}, name


def test_a_whole_call_in_each_codec_and_by_each_transport(server: Server, tls_port: int, tmp_path: Path) -> None:
    says = tones.tone(TONE_HZ, 60_000, 8000, 4000)
    ways = {"UDP": f"{server.sip_port}", "TCP": f"{server.sip_port};transport=tcp", "TLS": f"{tls_port};transport=tls"}
    with contextlib.ExitStack() as stack, ThreadPoolExecutor() as pool:
        calls = []
        for number, (codec, rate_hz, transport) in enumerate(CALLS):
            phone = stack.enter_context(Linphone(tmp_path / f"phone{number}", codec, rate_hz, says, transport))
            calls.append(pool.submit(whole_call, server, phone, f"lin{number}", ways[transport]))
        for call in calls:
            call.result()
    wait_until(lambda: server.xml.calls() == 0, "every phone has hung up")
