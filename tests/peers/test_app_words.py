# SPDX-License-Identifier: GPL-2.0-or-later
"""Each word of a call that a Python application has, in a real call: what the peer gets in SIP and hears by FFT."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Iterator

import pytest

from tests.support import tones
from tests.support.server import ROOT, Server, wait_until
from tests.support.sip_peer import PeerCall, direction_of
from tests.support.switchboard import Switchboard, Talker

pytestmark = pytest.mark.peers

APPS = ROOT / "tests" / "support" / "python_apps"
HZ = {"one": 500.0, "two": 700.0}
SAID_HZ = {
    "en/20": 450.0, "en/x1": 550.0, "3": 650.0, "s": 750.0, "de/weekday7": 850.0, "de/day29": 950.0, "de/month11": 1050.0,
    "de/8": 1150.0, "de/oclock": 1250.0, "en/1": 1350.0, "en/hour": 1450.0, "en/3": 650.0,
}  # fmt: skip
YEAR = ("de/2", "de/thousand", "de/20", "de/x6", "de/1", "de/26")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("words")
    (folder / "scripts").mkdir()
    shutil.copy(APPS / "words.py", folder / "scripts")
    prompts = folder / "prompts"
    for name, hz in {**HZ, **SAID_HZ}.items():
        (prompts / name).parent.mkdir(parents=True, exist_ok=True)
        tones.write_wav(prompts / f"{name}.wav", tones.tone(hz, 400))
    for name in YEAR:
        tones.write_wav(prompts / f"{name}.wav", tones.tone(1550, 200))
    files = {
        "apps.conf": f"script_path={folder}/scripts\naudio_path={prompts}\n",
        "app_mapping.conf": "^sip:words=>words\n",
        "prompts.conf": f'tts_command="/bin/cp {prompts}/two.wav {{wav}}"\n',
    }
    with Server(folder, files, plugins="monitoring;echo;di_dial;apps;xmlrpc2di;web") as running:
        yield running
    assert "Traceback" not in running.log, running.log


async def up(board: Switchboard, word: str, headers: str = "") -> tuple[Talker, PeerCall]:
    phone = await board.phone()
    call = phone.invite(headers, user=f"words-{word}")
    await phone.answered(call)
    return phone, call


async def press(call: PeerCall, keys: str) -> None:
    for key in keys:
        code = await call.request("INFO", "application/dtmf-relay", f"Signal={key}\r\nDuration=160\r\n")
        assert code in (200, 481), code  # 481: it was on its way to the other side when the key ended that


async def hears(board: Switchboard, phone: Talker, *wanted: float) -> None:
    """Let the phones talk until this one has heard these notes one after the other, whatever comes between."""
    left, notes = list(wanted), sorted({*HZ.values(), *SAID_HZ.values(), *(p.hz for p in board.phones)})
    phone.rtp.forget()
    for _ in range(100):
        await board.run(200)
        left = list(wanted)
        for note in tones.loudest(phone.rtp.heard(), notes, 40):
            if left and note == left[0]:
                left.pop(0)
        if not left:
            return
    raise AssertionError(f"{left} of {wanted} were not heard\n{board.server.log[-3000:]}")


async def test_ring_early_answer_hangup(board: Switchboard) -> None:
    phone = await board.phone()
    call = phone.invite(user="words-ring")
    await call.next(180)
    early = await call.next(183)
    phone.hears_of(early)
    await hears(board, phone, HZ["one"])
    reply = await phone.answered(call)
    assert reply.header("X-Answered") == "yes"
    await hears(board, phone, HZ["two"])
    assert (await call.next("BYE")).header("X-Why") == "done"


async def test_say(board: Switchboard) -> None:
    phone, call = await up(board, "say")
    await hears(
        board, phone, *(SAID_HZ[name] for name in (
            "en/20", "en/x1", "3", "s", "de/weekday7", "de/day29", "de/month11", "de/8", "de/oclock", "en/1", "en/hour",
        ))
    )  # fmt: skip
    assert "no rules for numbers and dates in xx" in await board.logged(call, "refused")
    await hears(board, phone, HZ["two"], HZ["one"])  # the engine's text, then what was to be played behind it
    assert await board.logged(call, "order") == "False"
    assert await call.bye() == 200


async def test_menu(board: Switchboard) -> None:
    phone, call = await up(board, "menu")
    await hears(board, phone, HZ["one"], SAID_HZ["en/3"])
    await press(call, "7")
    await hears(board, phone, HZ["two"])
    await press(call, "2")
    assert await board.logged(call, "chosen") == "support"
    await press(call, "5")
    assert await board.logged(call, "none") == "None"
    assert await call.bye() == 200


async def test_send_digits(board: Switchboard) -> None:
    phone, call = await up(board, "send")
    for _ in range(100):
        await board.run(100)
        pressed = [packet.payload[0] for packet in phone.rtp.packets if packet.payload_type == 101]
        if 11 in pressed:
            break
    assert list(dict.fromkeys(pressed)) == [5, 11]
    assert await call.bye() == 200


async def test_dial_with_a_confirmation_and_what_the_legs_are_told(board: Switchboard) -> None:
    first, second = await board.phone(), await board.phone()
    phone, call = await up(board, "dial", f"X-Callee: {first.sip.port}\r\nX-Other: {second.sip.port}\r\n")
    declining = await first.called()
    await first.accept(declining)
    await hears(board, first, HZ["one"])
    await press(declining, "2")
    await declining.taken_off()
    taking = await second.called()
    await second.accept(taking)
    await hears(board, second, HZ["one"])
    await press(taking, "1")
    assert await board.logged(call, "dialled") == "taken"
    await board.hear({phone: {second}, second: {phone}})
    assert taking.invite_message is not None
    key_type = int(re.findall(r"rtpmap:(\d+) telephone-event/8000", taking.invite_message.body.decode())[0])
    second.rtp.press(8, payload_type=key_type)
    await hears(board, second, HZ["two"])
    await board.logged(call, "apart", lambda text: text == "yes")
    await board.hear({phone: set(), second: set()})
    second.rtp.press(9, payload_type=key_type)
    await board.logged(call, "apart", lambda text: text == "no")
    await board.hear({phone: {second}, second: {phone}})
    second.rtp.press(0, payload_type=key_type)
    await taking.taken_off()
    await hears(board, phone, HZ["two"])
    await call.next("BYE")


async def test_nobody_takes_it(board: Switchboard) -> None:
    first, second = await board.phone(), await board.phone()
    _, call = await up(board, "dial", f"X-Callee: {first.sip.port}\r\nX-Other: {second.sip.port}\r\n")
    leaving = await first.called()
    await first.accept(leaving)
    assert await leaving.bye() == 200  # while it is asked
    other = await second.called()
    await second.accept(other)
    await press(other, "3")
    assert await board.logged(call, "dialled") == "603 Declined"
    await other.taken_off()
    assert await call.bye() == 200


async def test_two_calls_of_a_program_are_bridged(board: Switchboard) -> None:
    waiting, _ = await up(board, "wait")
    phone, call = await up(board, "match")
    await board.logged(call, "matched")
    await board.hear({phone: {waiting}, waiting: {phone}})
    assert await waiting.calls[0].bye() == 200
    await call.next("BYE")


async def test_hold(board: Switchboard) -> None:
    phone, call = await up(board, "hold")
    held = await phone.take_offer(call, "recvonly")
    assert direction_of(held.body.decode()) == "sendonly"
    await press(call, "1#")
    resumed = await phone.take_offer(call)
    assert direction_of(resumed.body.decode()) == "sendrecv"
    assert await call.bye() == 200


async def test_transfer(board: Switchboard) -> None:
    _, call = await up(board, "transfer")
    refer = await call.next("REFER")
    assert refer.header("Refer-To") == "<sip:bob@example.org>" and refer.header("X-Reason") == "later"
    call.reply(refer, 202)
    assert await board.logged(call, "transferred") == "202"
    assert await call.bye() == 200


async def test_request_and_reply(board: Switchboard) -> None:
    _, call = await up(board, "request")
    info = await call.next("INFO")
    assert info.body == b"hello" and info.header("X-A") == "1"
    call.reply(info, 200)
    assert await board.logged(call, "code") == "200"
    reply = await call.exchange("MESSAGE", body="who")
    assert (reply.code, reply.header("X-Body"), reply.body) == (202, "who", b"thanks")
    assert await call.bye() == 200


async def test_timers(board: Switchboard) -> None:
    _, call = await up(board, "timer")
    assert await board.logged(call, "awaited") == "True"
    assert await board.logged(call, "timers") == "short long"
    assert await call.bye() == 200


async def test_what_is_known(board: Switchboard, server: Server) -> None:
    _, call = await up(board, "vars", "P-App-Param: uid=42\r\nX-Tenant: acme\r\n")
    assert await board.logged(call, "seen") == "42 42 acme in words-vars None None True"
    assert await call.bye() == 200
    phone = await board.phone()
    server.json("core.dialout", "words", "words-vars", phone.uri, "sip:x@127.0.0.1", "", {"pin": "77"})
    placed = await phone.called()
    await phone.accept(placed)
    assert (await board.logged(placed, "seen")).endswith("out words-vars {'pin': '77'} 77 False")
    assert await placed.bye() == 200


async def test_limit_and_end(board: Switchboard, server: Server) -> None:
    server.json("words.ends")
    _, limited = await up(board, "limit")
    await board.logged(limited, "after")
    await limited.next("BYE")
    _, ended = await up(board, "ended")
    assert await ended.bye() == 200
    await asyncio.to_thread(wait_until, lambda: server.xml.calls() == 0, "both are over")
    told: set[str] = set()
    wanted = {"limit local", "200 remote"}
    await asyncio.to_thread(
        wait_until, lambda: told.update(server.json("words.ends")) or told >= wanted, "the program has heard of both"
    )
    assert told == wanted


async def test_events_that_others_post_come_all(board: Switchboard, server: Server) -> None:
    _, call = await up(board, "flood")
    (id,) = server.xml.listByFilter(["callid", call.call_id])
    posted = sum(server.json("core.post_event", id, {"n": str(n)})[0] == 200 for n in range(300))
    assert server.json("core.post_event", id, {"last": "1"})[0] == 200
    assert await board.logged(call, "count") == str(posted + 1)
    assert await call.bye() == 200


@pytest.mark.parametrize("rate_hz", [8000, 16000, 48000])
async def test_a_stream_both_ways(board: Switchboard, rate_hz: int) -> None:
    phone, call = await up(board, "stream", f"X-Rate: {rate_hz}\r\n")
    await hears(board, phone, phone.hz)
    assert int(await board.logged(call, "frames")) >= 20
    await press(call, "7")
    assert await board.logged(call, "streamed") == "0 7"
    await hears(board, phone, HZ["one"])
    assert phone.hz not in tones.heard(phone.rtp.heard()[-1600:], [phone.hz])
    assert await call.bye() == 200


async def test_what_is_said_into_a_stream_can_be_taken_back(board: Switchboard) -> None:
    phone, call = await up(board, "speak")
    await hears(board, phone, 700.0)
    await press(call, "1")
    assert int(await board.logged(call, "unsent")) > 5000
    await board.logged(call, "drained")
    await board.run(400)
    phone.rtp.forget()
    await board.run(400)
    assert 700.0 not in tones.heard(phone.rtp.heard(), [700.0])
    assert await call.bye() == 200
