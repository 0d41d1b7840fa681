# SPDX-License-Identifier: GPL-2.0-or-later
"""Audio files that are there but cannot be played, and codecs inside WAV, in real calls: what the caller hears, the script and the log get."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
import soundfile

from tests.support import tones
from tests.support.server import Server, wait_until
from tests.support.switchboard import Switchboard

pytestmark = pytest.mark.peers

PAGE = "<html>404</html>\n"
SCRIPT = """
import(mod_monitoring);
initial state A enter { monitoring.log(seen, ""); };
transition "in" A - sessionStart / { playFile($config.page); playFile($config.tone); monitoring.log(queued, yes); } -> UP;
state UP;
transition "cannot" UP - exception; test(#type == file) / { append($l, "file "); append($l, #path); monitoring.log(seen, $l); } -> UP;
transition "write" UP - event(#do == record) / recordFile(#file) -> UP;
transition "over" (A, UP) - hangup / stop(false) -> END;
state END;
"""
APPS = "^sip:dsm=>bad\n^sip:room=>conference\n^sip:web=>webconference\n^sip:=>announcement\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    files = {"app_mapping.conf": APPS, "dsm/bad.dsm": SCRIPT}
    files["dsm.conf"] = f"diag_path=dsm/\nload_diags=bad\nregister_apps=bad\npage={folder}/page.wav\ntone={folder}/tone.wav\n"
    (folder / "page.wav").write_text(PAGE)
    tones.write_wav(folder / "tone.wav", tones.tone(700, 3000))
    plugins = "monitoring;announcement;conference;webconference;dsm;xmlrpc2di;web"
    with Server(folder, files, "", plugins, start=False) as running:
        (running.etc / "announcement.conf").write_text("announce_path=prompts/\n")
        (running.etc / "conference.conf").write_text(f"audio_path={folder}/\ndefault_announce=page.wav\n")
        (running.etc / "webconference.conf").write_text(f'first_participant={folder}/page.wav\ndirect_room_re="^web."\n')
        prompts = running.etc / "prompts"
        (prompts / "page.wav").write_text(PAGE)
        soundfile.write(prompts / "gsm.wav", tones.tone(500, 1500), 8000, "GSM610", format="WAV")
        soundfile.write(prompts / "g721.wav", tones.tone(500, 1500), 8000, "G721_32", format="WAV")
        running.start()
        yield running
    assert "Traceback" not in running.log, running.log


@pytest_asyncio.fixture
async def calls(server: Server) -> AsyncIterator[Switchboard]:
    board = Switchboard(server)
    yield board
    await board.all_gone()
    board.close()


async def lines_of(board: Switchboard, call_id: str, file: str) -> list[str]:
    """Log lines that name both the call's id and the file."""
    (id,) = await asyncio.to_thread(board.server.xml.listByFilter, ["callid", call_id])
    for _ in range(800):
        found = [line for line in board.server.log.splitlines() if id in line and file in line]
        if found:
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(f"no line with {id} and {file}:\n{board.server.log[-3000:]}")


async def test_a_script_gets_exception_file_and_its_playlist_goes_on(calls: Switchboard) -> None:
    phone = await calls.phone()
    call = phone.invite(user="dsm")
    await phone.answered(call)
    assert re.fullmatch("file .*/page.wav", await calls.logged(call, "seen"))
    for _ in range(20):
        await calls.run(600)
        if 700 in (heard := tones.heard(phone.rtp.heard(), [400, 700])):
            break
    assert heard == {700}, "the next item is played"
    assert len(await lines_of(calls, call.call_id, "page.wav")) == 1
    await calls.hang_up(call)


async def test_a_recording_that_cannot_be_written_is_exception_file_too(calls: Switchboard, tmp_path: Path) -> None:
    (tmp_path / "taken.wav").mkdir()
    phone = await calls.phone()
    call = phone.invite(user="dsm")
    await phone.answered(call)
    await calls.logged(call, "seen")
    id = (await asyncio.to_thread(calls.server.xml.listByFilter, ["callid", call.call_id]))[0]
    posted = [["do", "record"], ["file", str(tmp_path / "taken.wav")]]
    assert await asyncio.to_thread(calls.server.xml.postDSMEvent, id, posted) == [200, "OK"]
    await calls.logged(call, "seen", lambda text: text.endswith("taken.wav"))
    assert len(await lines_of(calls, call.call_id, "taken.wav")) >= 1
    await calls.hang_up(call)


async def test_an_announcement_that_cannot_be_played_ends_the_call(calls: Switchboard) -> None:
    phone = await calls.phone()
    call = phone.invite(user="page")
    await phone.answered(call)
    await call.taken_off()  # its record may be gone by now, so the line is known by the application

    def said() -> list[str]:
        return [
            line for line in calls.server.log.splitlines() if "announcement: " in line and "page.wav cannot be played" in line
        ]

    lines = await asyncio.to_thread(wait_until, said, "the line")
    assert len(lines) == 1
    assert "call " in lines[0] and "cannot be read as audio" in lines[0]


@pytest.mark.parametrize("user", ["room", "web"])
async def test_a_sound_of_a_room_that_cannot_be_played_is_skipped_and_the_room_goes_on(calls: Switchboard, user: str) -> None:
    phones = [await calls.phone() for _ in range(2)]
    first = phones[0].invite(user=f"{user}1")
    await phones[0].answered(first)
    assert "is skipped" in (await lines_of(calls, first.call_id, "page.wav"))[0]
    second = phones[1].invite(user=f"{user}1")
    await phones[1].answered(second)
    await calls.hear({phones[0]: {phones[1]}, phones[1]: {phones[0]}})
    for call in (first, second):
        assert await call.request("BYE") == 200


@pytest.mark.parametrize("name", ["gsm", "g721"])
async def test_a_wav_of_an_exchange_is_heard(calls: Switchboard, name: str) -> None:
    phone = await calls.phone()
    call = phone.invite(user=name)
    await phone.answered(call)
    for _ in range(50):
        await calls.run(400)
        if len(phone.rtp.heard()) >= 12000:
            break
    assert tones.loudest(phone.rtp.heard()[:11200], [400, 500, 600], 200) == [500]
    assert len(phone.rtp.heard()) >= 12000
    await call.taken_off()
