# SPDX-License-Identifier: GPL-2.0-or-later
"""The load generator fills the rooms of its own server; a phone in one of them hears the calls. CORDBOARD_LONG: 1000 calls, 100 rooms."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import tones
from tests.support.server import Server, wait_until
from tests.support.sizes import LONG, size
from tests.support.switchboard import Switchboard

pytestmark = pytest.mark.peers
CALLS, ROOM_DIGITS = size(24, 1000), size(1, 2)
FILE_HZ = (523.0, 784.0, 1047.0)
"""What welcome.wav is made of."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    settings = "rtp_low_port=12000\nrtp_high_port=17999\n" if LONG else ""
    with Server(tmp_path_factory.mktemp("server"), None, settings, "monitoring;webconference;call_gen;xmlrpc2di;web") as running:
        yield running
    assert "Traceback" not in running.log, running.log


async def test_rooms_are_filled_heard_and_emptied(server: Server) -> None:
    place = f"127.0.0.1:{server.sip_port}"
    server.json("call_gen.setTarget", CALLS, 0, 0, "room", place, ROOM_DIGITS, 0, 600, 0, 25)

    def all_up() -> bool:
        found = server.json("call_gen.status")
        assert found["refused"] == 0 and not found["results"], found
        return server.json("core.statistics")["calls"] == 2 * CALLS and server.json("status.media")[0]["legs"] == 2 * CALLS

    wait_until(all_up, f"{CALLS} calls in rooms", 110)
    assert server.json("core.statistics")["rooms"] >= size(5, 99), "of ten, or of a hundred"
    wait_until(lambda: len(server.xml.listByFilter(["app", "callgen"], ["result", "answered"])) == CALLS, "all know their answer")
    assert server.json("callgen.callGenStats")[0].startswith(
        f"CallGen statistics: \n {CALLS} active calls\n {CALLS} current target\n"
    )

    board = Switchboard(server)
    phone = await board.phone()
    (in_a_room, *_) = server.xml.listByFilter(["app", "webconference"])
    room = server.xml.di("monitoring", "get", in_a_room)[0]["conf_id"]
    call = phone.invite(user=str(room))
    await phone.answered(call)
    heard: set[float] = set()
    for _ in range(40):
        phone.rtp.forget()
        await board.run(500)
        heard |= tones.heard(phone.rtp.heard(), list(FILE_HZ))
        if heard == set(FILE_HZ):
            break
    assert heard == set(FILE_HZ), heard
    assert await call.bye() == 200
    board.close()

    assert server.json("call_gen.stop") == [0, "OK"]
    wait_until(lambda: server.xml.calls() == 0, "every call is over", 60)
    wait_until(lambda: server.json("status.media")[0]["legs"] == 0, "no leg is left")
    assert server.json("call_gen.status")["results"] == {"answered": CALLS}


def test_calls_end_by_themselves_and_say_digits(server: Server) -> None:
    before = server.json("call_gen.status")["results"].get("answered", 0)
    assert server.xml.di("callgen", "createCalls", 2, 0, 0, "room9", f"127.0.0.1:{server.sip_port}", 0, 2, 1, 0) == [0, "OK"]
    wait_until(lambda: server.json("call_gen.status")["results"].get("answered", 0) == before + 2, "two calls are over")
    wait_until(lambda: server.xml.calls() == 0, "the rooms are empty")
    finished = server.xml.listFinished()
    said = [server.xml.di("monitoring", "get", id)[0].get("callgen_digits", "") for id in finished]
    assert sum(len(text) == 3 and text.endswith("#") for text in said) == 2


def test_nobody_there(server: Server) -> None:
    server.xml.di("callgen", "createCalls", 1, 0, 0, "nobody", f"127.0.0.1:{server.sip_port}", 0, 0, 1, 0)
    wait_until(lambda: server.json("call_gen.status")["results"].get("unreachable") == 1, "the call has met 404")
