# SPDX-License-Identifier: GPL-2.0-or-later
"""An application of a page (tests/support/apps/operator_desk) in real calls: digits, a second leg, the reason why there is none."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.support import tones
from tests.support.ports import free_port
from tests.support.server import APPS, WITH_APPS, Server
from tests.support.sip_peer import PeerCall, UdpPeer
from tests.support.switchboard import TONES_HZ, Switchboard, Talker

pytestmark = pytest.mark.peers
PROMPTS_HZ = [440.0, 500.0, 800.0, 1100.0]


@pytest.fixture(scope="module")
def callee_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, callee_port: int) -> Iterator[Server]:
    files = {"app_mapping.conf": "^sip:=>operator_desk\n", "operator_desk.conf": f"host=127.0.0.1:{callee_port}\n"}
    plugins = "monitoring;operator_desk;xmlrpc2di;web"
    with Server(tmp_path_factory.mktemp("server"), files, "", plugins, program=WITH_APPS) as running:
        yield running
    assert "Traceback" not in running.log, running.log


@pytest_asyncio.fixture
async def board(server: Server, callee_port: int) -> AsyncIterator[Switchboard]:
    """With the one who is called."""
    board = Switchboard(server)
    peer = await UdpPeer.open(server.sip_port, port=callee_port)
    board.phones.append(Talker(peer, board.group.peer(TONES_HZ[0]), TONES_HZ[0]))
    yield board
    await board.all_gone()
    board.close()


async def entered(board: Switchboard, digits: str) -> tuple[Talker, PeerCall]:
    """A caller who has heard the prompt and pressed these keys."""
    anna = await board.phone()
    one = anna.invite(user="operator")
    await anna.answered(one)
    await prompt(board, anna, 440.0)
    for digit in digits:
        anna.rtp.press(int(digit))
        await board.run(250)
    return anna, one


async def prompt(board: Switchboard, talker: Talker, hz: float) -> None:
    """Wait until this prompt is what the phone hears, and no other."""
    found: set[float] = set()
    for _ in range(30):
        talker.rtp.forget()
        await board.run(400)
        found = tones.heard(talker.rtp.heard(), PROMPTS_HZ)
        if found == {hz}:
            return
    raise AssertionError(f"heard {found}, not {hz}")


async def test_four_digits_connect(board: Switchboard) -> None:
    (ben,) = board.phones
    anna, one = await entered(board, "4711")
    two = await ben.called()
    assert two.invite_message is not None and two.invite_message.start_line.startswith("INVITE sip:4711@127.0.0.1")
    await ben.accept(two)
    await board.hear({anna: {ben}, ben: {anna}})
    await board.hang_up(one, two)


@pytest.mark.parametrize(("code", "hz"), [(486, 500.0), (404, 800.0)])
async def test_why_it_failed_is_heard_and_logged(board: Switchboard, code: int, hz: float) -> None:
    (ben,) = board.phones
    anna, one = await entered(board, "4711")
    two = await ben.called()
    assert two.invite_message is not None
    two.reply(two.invite_message, code)
    await two.next("ACK")
    await prompt(board, anna, hz)
    assert (await board.logged(one, "failed")).startswith(str(code))
    await board.hang_up(one)


async def test_too_few_digits(board: Switchboard) -> None:
    anna, one = await entered(board, "47")
    await prompt(board, anna, 1100.0)
    await board.hang_up(one)


def test_it_imports_the_api_and_the_keypad_alone() -> None:
    text = (APPS / "operator_desk" / "__init__.py").read_text()
    assert set(re.findall(r"^from ([\w.]+) import", text, re.MULTILINE)) == {
        "__future__",
        "dataclasses",
        "di.apps.api",
        "di.apps.keypad",
    }
    assert len(text.splitlines()) <= 80
