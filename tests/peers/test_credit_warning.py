# SPDX-License-Identifier: GPL-2.0-or-later
"""The warning before the end of credit, by ear: over the conversation, at the payer's phone only; then both are hung up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.support import tones
from tests.support.server import WITH_APPS, Server, wait_until
from tests.support.switchboard import MAPPING, PLUGINS, TONES_HZ, Switchboard

pytestmark = pytest.mark.peers

WARNING_HZ = TONES_HZ[3]
CREDIT_S, WARN_S = 7, 3
"""Before the warning the two must have been connected, on a busy machine, too."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("warning")
    sound = tones.write_wav(folder / "warning.wav", tones.tone(WARNING_HZ, WARN_S * 1000))
    files = {
        "app_mapping.conf": MAPPING,
        "cc_prepaid.conf": f"warn={WARN_S}\nwarn_file={sound}\n",
        "call_control.conf": "call_control=cc\ncc_module=cc_prepaid\ncc_uuid=anna\n",
    }
    with Server(folder, files, plugins=f"cc_prepaid;call_control;{PLUGINS}", program=WITH_APPS) as running:
        yield running
    assert "Traceback" not in running.log, running.log


async def test_the_payer_alone_hears_the_warning_over_the_conversation(server: Server) -> None:
    assert server.json("cc_prepaid.setCredit", "anna", CREDIT_S) == [CREDIT_S]
    board = Switchboard(server)
    anna, ben = await board.phone(), await board.phone()
    one, two = await board.pair(anna, ben)
    at_anna: list[set[float]] = []
    at_ben: list[set[float]] = []
    while one.messages.empty():
        for phone in board.phones:
            phone.rtp.forget()
        await board.run(400)
        at_anna.append(anna.hears())
        at_ben.append(ben.hears())
    bye = await one.next("BYE")
    one.reply(bye, 200)
    two.reply(await two.next("BYE"), 200)
    assert {ben.hz} in at_anna, "before it, the conversation alone"
    assert at_anna.count({ben.hz, WARNING_HZ}) >= 3, at_anna
    assert at_anna.index({ben.hz}) < at_anna.index({ben.hz, WARNING_HZ}), at_anna
    assert {anna.hz} in at_ben and not any(WARNING_HZ in heard for heard in at_ben), at_ben
    # the phones have their BYE before the control has charged the call
    await asyncio.to_thread(wait_until, lambda: server.json("cc_prepaid.getCredit", "anna") == [0, 1], "all is charged")
    await asyncio.to_thread(wait_until, lambda: server.xml.calls() == 0, "no call is left")
    board.close()
