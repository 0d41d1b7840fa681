# SPDX-License-Identifier: GPL-2.0-or-later
"""Every name of SEMS's module ivr (spec core.md §11) in a real call; `test_python_apps.py` has the rest of a script's life, and this the list."""

from __future__ import annotations

import asyncio
import re
import shutil
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import tones
from tests.support.server import ROOT, Server, wait_until
from tests.support.sip_peer import PeerCall
from tests.support.switchboard import Switchboard, Talker

pytestmark = pytest.mark.peers

APPS = ROOT / "tests" / "support" / "python_apps"
HZ = {"one": 500.0, "two": 700.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ivr")
    (folder / "scripts").mkdir()
    shutil.copy(APPS / "allivr.py", folder / "scripts")
    for name, hz in HZ.items():
        tones.write_wav(folder / "scripts" / f"{name}.wav", tones.tone(hz, 300))
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    files = {
        "ivr.conf": f"script_path={folder}/scripts\nrecord_path={folder}/recordings\n",
        "app_mapping.conf": "^sip:allivr=>allivr\n",
        "prompts.conf": f'tts_command="/bin/cp {folder}/scripts/two.wav {{wav}}"\n',
    }
    with Server(folder, files, settings="dead_rtp_time=2\n", plugins="monitoring;echo;ivr;xmlrpc2di;web") as running:
        yield running


class Script:
    """A call of the script, and what it notes."""

    def __init__(self, board: Switchboard, phone: Talker, call: PeerCall, id: str) -> None:
        self.board, self.phone, self.call, self.id = board, phone, call, id

    async def do(self, text: str, *wanted: str) -> str:
        """Have it try something; wait for what it notes."""
        assert self.board.server.json("core.post_event", self.id, {"ivr_message": text}) == [200, "OK"]
        return await self.noted(*wanted) if wanted else ""

    async def noted(self, *wanted: str) -> str:
        """Wait for notes."""
        return await self.board.logged(self.call, "heard", lambda text: all(word in text for word in wanted))

    async def hears(self, *wanted: float) -> None:
        """Let the phones talk until it has heard one after the other."""
        self.phone.rtp.forget()
        for _ in range(60):
            await self.board.run(200)
            left = list(wanted)
            for note in tones.loudest(self.phone.rtp.heard(), [*HZ.values(), *(p.hz for p in self.board.phones)], 40):
                if left and note == left[0]:
                    left.pop(0)
            if not left:
                return
        raise AssertionError(f"{left} of {wanted} were not heard\n{self.board.server.log[-2000:]}")


async def up(board: Switchboard, headers: str = "") -> Script:
    phone = await board.phone()
    call = phone.invite(headers, user="allivr")
    await phone.answered(call)
    await board.logged(call, "heard", lambda text: "up" in text)
    (id,) = board.server.xml.listByFilter(["callid", call.call_id])
    return Script(board, phone, call, id)


async def test_dialog_request_constants_and_log(board: Switchboard, server: Server) -> None:
    script = await up(board, "X-Two: a\r\nX-Two: b\r\n")
    heard = await script.do("facts", "logged")
    assert re.search(r"allivr\|127.0.0.1:\d+\|True\|True\|True\|True\|True\|True\|\|\|0\|0\|", heard), heard
    assert re.search(
        r"INVITE\|allivr\|127.0.0.1:\d+\|True\|True\|True\|True\|True\|\|0\|\|\['a', 'b'\]\|1\|sip:changed@x", heard
    ), heard
    assert f"1 2 127.0.0.1 {server.sip_port > 1024} 3 ['thread']" in heard, heard
    for line in ("error: Ivr-Python: said by error", "debug: Ivr-Python: said by debug", "warning: level 1"):
        await asyncio.to_thread(wait_until, lambda line=line: line in server.log, line)
    await script.do("raise")
    await asyncio.to_thread(wait_until, lambda: "ZeroDivisionError: printed" in server.log, "it is printed")
    assert await script.call.bye() == 200
    await asyncio.to_thread(wait_until, lambda: "they said bye" in server.log, "onBye")


async def test_audio(board: Switchboard, folder: Path) -> None:
    script = await up(board)
    size = (folder / "scripts" / "one.wav").stat().st_size - 44
    await script.do(
        f"files {folder}/scripts/one.wav", f"OSError TypeError TypeError {size}", "queue True", "queue False", "empty"
    )
    await script.do("loop")
    await board.run(1000)  # the file has 300 ms
    await script.hears(500.0)
    await script.do("call disconnectMedia", "did disconnectMedia")
    for _ in range(30):
        script.phone.rtp.forget()
        await board.run(400)
        if 500.0 not in tones.heard(script.phone.rtp.heard(), [500.0]):
            break
    else:
        raise AssertionError("the file goes on")
    await script.do("call connectMedia", "did connectMedia")
    await script.hears(500.0)
    await script.do("flush")
    await script.do("tts hello")
    await script.hears(700.0)
    await script.do("null")
    await script.do("mixin")
    for _ in range(60):
        script.phone.rtp.forget()
        await board.run(200)
        if tones.heard(script.phone.rtp.heard(), list(HZ.values())) == set(HZ.values()):
            break
    else:
        raise AssertionError("both are not heard at once")
    await script.do("flush")
    await script.do("call mute", "did mute")
    await script.do("record")
    await board.run(1200)
    await script.do("call unmute", "did unmute")
    recorded = folder / "recordings" / "allivr" / "all.wav"
    await board.until(recorded.exists, "the first recording")
    recorded.unlink()
    await script.do("record")
    await board.until(lambda: recorded.exists() and length_ms(recorded) >= 300, "the second one is whole")
    assert length_ms(recorded) <= 500
    assert await script.call.bye() == 200


def length_ms(path: Path) -> int:
    """Of a recording that may not be complete yet: 0 before its header is."""
    try:
        with wave.open(str(path)) as file:
            return file.getnframes() * 1000 // file.getframerate()
    except (wave.Error, EOFError):
        return 0


async def test_keys_and_receiving(board: Switchboard) -> None:
    script = await up(board)
    await script.do("call disableDTMFReceiving", "did disableDTMFReceiving")
    assert await script.call.request("INFO", "application/dtmf-relay", "Signal=4\r\nDuration=160\r\n") == 200
    await script.do("call enableDTMFReceiving", "did enableDTMFReceiving")
    assert await script.call.request("INFO", "application/dtmf-relay", "Signal=5\r\nDuration=160\r\n") == 200
    assert "key4" not in await script.noted("key5")
    for name in (
        "disableReceiving",
        "enableReceiving",
        "enableDTMFDetection",
        "disableDTMFDetection",
        "setRelayonly",
        "setNoRelayonly",
    ):
        await script.do(f"call {name}", f"did {name}")
    await script.do("timers", "timer2")
    await script.do("call removeTimers", "did removeTimers")
    assert "timer1" not in await script.noted()
    assert await script.call.bye() == 200


async def test_refer_redirect_and_a_request_with_its_reply(board: Switchboard) -> None:
    script = await up(board)
    await script.do("refer")
    refer = await script.call.next("REFER")
    assert [refer.header(name) for name in ("Refer-To", "Expires", "Referred-By", "X-More")] == [
        "<sip:bob@example.org>", "20", "<sip:me@example.org>", "1",
    ]  # fmt: skip
    script.call.reply(refer, 202)
    await script.do("send")
    info = await script.call.next("INFO")
    assert info.header("X-A") == "1"
    script.call.reply(info, 299, "", "X-Said: yes\r\n")
    await script.noted("INFO 299", "yes True")
    await script.do("redirect")
    redirect = await script.call.next("REFER")
    assert redirect.header("Refer-To") == "<sip:carol@example.org>"
    script.call.reply(redirect, 202)
    await script.do("bye")
    assert (await script.call.next("BYE")).header("X-Why") == "told"


async def test_second_legs(board: Switchboard) -> None:
    script, callee = await up(board), await board.phone()
    await script.do(f"callee {callee.uri}")
    other = await callee.called()
    assert other.invite_message is not None and "boss@example.org" in other.invite_message.header("From")
    await callee.accept(other)
    await script.noted("other200")
    await board.hear({script.phone: {callee}, callee: {script.phone}})
    await script.do("call terminateOtherLeg")
    await other.taken_off()
    await script.do(f"callee {callee.uri}")
    again = await callee.called()
    await callee.accept(again)
    await board.logged(script.call, "last", lambda text: text == "other200")
    await script.do("call terminateLeg")
    await script.call.next("BYE")
    await again.taken_off()


async def test_a_call_out_by_its_chosen_tag(board: Switchboard, server: Server) -> None:
    script, callee = await up(board), await board.phone()
    await script.do(f"dialout {callee.uri}")
    placed = await callee.called()
    assert placed.invite_message is not None and placed.invite_message.header("X-Hi") == "1"
    await callee.accept(placed)
    await board.logged(placed, "heard", lambda text: "params {'a': 'b'} chosen-tag-1" in text)
    assert server.json("core.post_event", "chosen-tag-1", {"ivr_message": "call stopSession"}) == [200, "OK"]
    await placed.taken_off()
    assert await script.call.bye() == 200


async def test_whom_the_caller_wanted_is_called(board: Switchboard) -> None:
    script = await up(board)
    await script.do("same", "other")  # that is this server itself: whatever comes of it is told
    assert await script.call.bye() == 200


async def test_signals_silence_and_a_dropped_call(board: Switchboard, server: Server) -> None:
    phone = await board.phone()
    dropped = phone.invite("X-Drop: 1\r\n", user="allivr")
    await dropped.next(*range(200, 700))
    script = await up(board)
    await board.run(300)
    await script.noted("silent")  # no RTP for two seconds: the script has taken it, and the call goes on
    assert await script.call.request("OPTIONS") in (200, 501)
    assert server.process is not None
    assert await script.call.bye() == 200
