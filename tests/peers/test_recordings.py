# SPDX-License-Identifier: GPL-2.0-or-later
"""Rooms and calls recorded by DI, with real calls: who is in which file is found by each one's tone."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import urllib.error
import urllib.request
import wave
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support import tones
from tests.support.phone import Phone
from tests.support.server import PLUGINS, Server, wait_until
from tests.support.sizes import size
from tests.support.talk import Talk

pytestmark = pytest.mark.peers

HZ = [350.0, 600.0, 850.0, 1100.0, 1350.0]
DISK_MB = 16
MANY = size(8, 30)
KILLS = size(1, 25)
LONGEST_BLOCK = 8000 * 2 * 2
CONF = "min_free_mb=0\nquota_mb=0\n"


def recording_server(folder: Path, conf: str = CONF) -> Server:
    files = {
        "recordings.conf": f"folder={folder / 'kept'}\n{conf}",
        "conference.conf": "audio_path=prompts/\ndefault_announce=nothing.wav\n",
        "app_mapping.conf": "^sip:conf=>conference\n^sip:echo=>echo\n.=>announcement\n",
    }
    server = Server(folder, files, plugins=f"{PLUGINS};recordings", start=False)
    tones.write_wav(server.etc / "prompts" / "nothing.wav", tones.tone(0, 20))  # for who is alone in a room
    return server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Its folder of recordings is a small disk, where the user may mount one."""
    with recording_server(tmp_path_factory.mktemp("recordings")) as running:
        kept(running).mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,mode=700", "tmpfs", str(kept(running))]
        mounted = subprocess.run(mount, check=False, capture_output=True).returncode == 0
        running.start()
        yield running
    if mounted:
        done = subprocess.run(["umount", str(kept(running))], check=False, capture_output=True, text=True)
        assert done.returncode == 0, f"something is left open there: {done.stderr}"


@pytest.fixture
def talk(server: Server) -> Iterator[Talk]:
    with Talk(server.sip_port) as talking:
        yield talking


def kept(server: Server) -> Path:
    return server.etc.parent / "kept"


def samples(path: Path) -> NDArray[np.int16]:
    """What a player hears of it: (n,) or (n, 2)."""
    with wave.open(str(path)) as file:
        beyond = path.stat().st_size - 44 - file.getnframes() * file.getnchannels() * 2
        assert 0 <= beyond <= LONGEST_BLOCK, "killed between a block and its header, at most"
        data = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return data.reshape(-1, 2) if file.getnchannels() == 2 else data


def about(server: Server, name: str) -> dict[str, Any]:
    code, _, told = server.json("recordings.info", name)
    assert code == 200
    assert told == json.loads((kept(server) / f"{name}.json").read_text()) or told["state"] == "recording"
    return dict(told)


def members(server: Server, room: str, count: int) -> None:
    wait_until(lambda: len(server.json("rooms.list").get(room, [])) == count, f"{count} in {room}")


def hear(wanted: Mapping[Phone, set[float]]) -> None:
    """Wait until each of these phones hears just those."""
    wait_until(
        lambda: [tones.heard(phone.peer.heard()[-1600:], HZ) for phone in wanted] == list(wanted.values()), f"heard is {wanted}"
    )


def test_a_room_in_step_with_each_member(server: Server, talk: Talk) -> None:
    first, second = talk.call("conf-1", HZ[0]), talk.call("conf-1", HZ[1])
    members(server, "conf-1", 2)
    hear({first: {HZ[1]}, second: {HZ[0]}})  # the media process has them in the room, too
    code, text, name = server.json("recordings.startRoom", "conf-1", "both")
    assert (code, text) == (200, "OK")
    talk.ms(1000)
    talk.call("conf-1", HZ[2])
    members(server, "conf-1", 3)
    talk.ms(1000)
    talk.bye(second)
    members(server, "conf-1", 2)
    talk.ms(1000)
    (running,) = server.json("recordings.active")
    assert (running["name"], running["state"], running["room"]) == (name, "recording", "conf-1")
    code, text, stopped, count = server.json("recordings.stopRoom", "conf-1")
    assert (code, text, stopped) == (200, "OK", name)
    told = about(server, name)
    assert (told["state"], told["kind"], told["room"], told["mode"]) == ("complete", "room", "conf-1", "both")
    assert told["reason"].startswith("stopped by")
    mix = samples(kept(server) / f"{name}.wav")
    assert len(mix) == count == told["length_ms"] * 8
    assert tones.heard(mix[1600:6400], HZ) == {*HZ[:2]}
    assert tones.heard(mix[-4800:], HZ) == {HZ[0], HZ[2]}
    by_tone = {}
    for member in told["members"]:
        track = samples(kept(server) / member["file"])
        (heard,) = tones.heard(track[_first(track) :][:4800], HZ)
        by_tone[heard] = (member, track)
        assert len(track) == len(mix), "all files begin and end together"
    assert np.array_equal(sum(track.astype(int) for _, track in by_tone.values()), mix), "the mix is the sum of the members"
    assert {file["of"] for file in told["files"]} == {"mix", *(member["call"] for member, _ in by_tone.values())}
    assert all((file["samples"], file["rate_hz"], file["channels"]) == (count, 8000, 1) for file in told["files"])
    (stays,), (leaves,), (comes,) = (by_tone[hz][0]["times_ms"] for hz in HZ[:3])
    assert stays == [0, told["length_ms"]]
    assert leaves[0] == 0 and comes[0] < leaves[1] < told["length_ms"] == comes[1]
    _, track = by_tone[HZ[2]]
    assert not np.any(track[: comes[0] * 8]), "silence stands for the time before"
    assert comes[0] * 8 <= _first(track) < leaves[1] * 8, "heard from when it came, before another went"
    assert by_tone[HZ[0]][0]["uri"] == "sip:phone@127.0.0.1"
    assert first.code == 200


def _first(track: NDArray[np.int16]) -> int:
    """Where the sound begins."""
    return int(np.flatnonzero(np.abs(track.astype(int)) > 1000)[0])


def test_stop_and_start_again_and_what_is_refused(server: Server, talk: Talk) -> None:
    assert server.json("recordings.startRoom", "conf-2")[:2] == [404, "nobody is in this room"]
    assert server.json("recordings.startCall", "nobody")[0] == 404
    talk.call("conf-2", HZ[0])
    members(server, "conf-2", 1)
    assert server.json("recordings.startRoom", "conf-2", "loud") == [400, "the mode is one of: mix, tracks, both"]
    names = []
    for mode in ("mix", "tracks"):
        name = server.json("recordings.startRoom", "conf-2", mode)[2]
        assert server.json("recordings.startRoom", "conf-2")[:1] + server.json("recordings.startRoom", "conf-2")[2:] == [
            409,
            name,
        ]
        assert server.json("recordings.delete", name)[0] == 409
        talk.ms(400)
        assert server.json("recordings.stopRoom", "conf-2")[:3] == [200, "OK", name]
        names.append(name)
    assert server.json("recordings.stopRoom", "conf-2") == [404, "this room is not being recorded"]
    listed = [one["name"] for one in server.json("recordings.list", 2)["recordings"]]
    assert listed == sorted(names, reverse=True)
    assert server.json("recordings.list", 1, listed[0])["recordings"][0]["name"] == listed[1]
    assert [len(about(server, name)["files"]) for name in names] == [1, 1]
    assert about(server, names[1])["files"][0]["of"] == about(server, names[1])["members"][0]["call"]
    assert server.json("recordings.delete", names[0]) == [200, "OK"]
    assert not list(kept(server).glob(f"{names[0]}*"))
    for wrong in (names[0], "../etc/sems.conf", "", ".lock", f"{names[1]}/../{names[1]}"):
        assert server.json("recordings.info", wrong)[0] == 404
        assert server.json("recordings.delete", wrong)[0] == 404
        assert server.json("recordings.listen", wrong)[0] == 404


def test_it_ends_with_the_room_and_a_call_with_the_call(server: Server, talk: Talk) -> None:
    phone = talk.call("conf-3", HZ[3])
    members(server, "conf-3", 1)
    (id,) = (member["call"] for member in server.json("rooms.list")["conf-3"])
    room, call = server.json("recordings.startRoom", "conf-3")[2], server.json("recordings.startCall", id)[2]
    talk.ms(600)
    talk.bye(phone)
    wait_until(lambda: not server.json("recordings.active"), "both have ended")
    assert about(server, room)["reason"] == "everybody has left the room"
    told = about(server, call)
    assert (told["state"], told["reason"]) == ("complete", "the call has ended")
    assert told["about_call"]["cause"].endswith("by remote")
    assert told["about_call"]["application"] == "conference"
    assert tones.heard(samples(kept(server) / f"{call}.wav")[:, 0][800:], HZ) == {HZ[3]}
    assert tones.heard(samples(kept(server) / f"{room}.wav")[800:], HZ) == {HZ[3]}


def test_a_call_said_left_and_heard_right(server: Server, talk: Talk) -> None:
    one = talk.call("conf-4", HZ[1])
    members(server, "conf-4", 1)  # so that it stands first in the list
    other = talk.call("conf-4", HZ[4])
    members(server, "conf-4", 2)
    by_name = [member["call"] for member in server.json("rooms.list")["conf-4"]]
    talk.ms(300)
    names = [server.json("recordings.startCall", id)[2] for id in by_name]
    talk.ms(1200)
    for id in by_name:
        assert server.json("recordings.stopCall", id)[0] == 200
    sides = []
    for name in names:
        both = samples(kept(server) / f"{name}.wav")
        assert about(server, name)["files"][0]["samples"] == len(both)
        sides.append([tones.heard(both[1600:, side], HZ) for side in (0, 1)])
    assert sides == [[{HZ[1]}, {HZ[4]}], [{HZ[4]}, {HZ[1]}]]
    assert one.code == other.code == 200


def test_a_file_is_played_to_a_room_and_is_in_the_mix(server: Server, talk: Talk) -> None:
    tones.write_wav(server.etc / "prompts" / "news.wav", tones.tone(HZ[4], 600, 16000), 16000)
    (server.etc / "prompts" / "broken.wav").write_bytes(b"RIFF of nothing")
    assert "news.wav" in server.json("rooms.sounds")
    assert server.json("rooms.play", "conf-10", "news.wav") == [404, "nobody is in this room"]
    phones = [talk.call("conf-10", HZ[0]), talk.call("conf-10", HZ[1])]
    members(server, "conf-10", 2)
    code, text = server.json("rooms.play", "conf-10", "broken.wav")
    assert code == 415 and text.startswith("broken.wav cannot be played: ")
    for outside in ("../sems.conf", "/etc/passwd", "news.txt", "nothing.mp3", "..", ""):
        assert server.json("rooms.play", "conf-10", outside)[0] == 404
    name = server.json("recordings.startRoom", "conf-10", "both")[2]
    for phone in phones:
        phone.peer.forget()
    assert server.json("rooms.play", "conf-10", "news.wav") == [200, "OK", 600]
    talk.ms(1400)
    assert server.json("recordings.stopRoom", "conf-10")[0] == 200
    for phone, other in ((phones[0], HZ[1]), (phones[1], HZ[0])):
        assert tones.heard(phone.peer.heard(), HZ, threshold=1500) == {other, HZ[4]}
    mix = samples(kept(server) / f"{name}.wav")
    at = int(np.argmax([tones.level(mix[i : i + 800], HZ[4]) > 4000 for i in range(0, len(mix) - 800, 80)])) * 80
    assert tones.heard(mix[at : at + 4000], HZ) == {HZ[0], HZ[1], HZ[4]}
    assert tones.heard(mix[at + 6400 :], HZ) == {HZ[0], HZ[1]}
    assert len(about(server, name)["files"]) == 3, "what is announced is nobody's track"


def test_it_is_heard_by_http(server: Server, talk: Talk) -> None:
    talk.call("conf-9", HZ[2])
    members(server, "conf-9", 1)
    name = server.json("recordings.startRoom", "conf-9")[2]
    talk.ms(500)
    assert server.json("recordings.stopRoom", "conf-9")[0] == 200
    whole = (kept(server) / f"{name}.wav").read_bytes()
    code, _, path = server.json("recordings.listen", name)
    assert code == 200
    assert fetched(server, path) == (200, whole)
    assert fetched(server, f"/recordings/{name}.wav") == (200, whole), "nobody has to log in here"
    assert fetched(server, path, "bytes=44-363") == (206, whole[44:364])
    assert fetched(server, path.replace("ticket=", "ticket=x"))[0] == 403
    for wrong in (f"{name}.json", ".lock", "..%2f..%2fetc%2fsems.conf", f"{name}-9.wav"):
        assert fetched(server, f"/recordings/{wrong}")[0] == 404
    assert server.json("recordings.delete", name)[0] == 200
    assert fetched(server, path)[0] == 404


def fetched(server: Server, path: str, part: str = "") -> tuple[int, bytes]:
    request = urllib.request.Request(f"http://127.0.0.1:{server.web_port}{path}", headers={"Range": part} if part else {})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, b""


def test_many_members(server: Server, talk: Talk) -> None:
    hz = [300.0 + 50 * number for number in range(MANY)]
    for each in hz:
        talk.call("conf-5", each)
    members(server, "conf-5", MANY)
    for peer in talk._group.peers:
        peer.samples = peer.samples // 4 if peer.samples is not None else None  # so that the sum of all is not clipped
    talk.ms(500)
    name = server.json("recordings.startRoom", "conf-5", "both")[2]
    talk.ms(1500)
    count = server.json("recordings.stopRoom", "conf-5")[3]
    told = about(server, name)
    mix = samples(kept(server) / f"{name}.wav")
    assert len(told["files"]) == MANY + 1
    assert tones.heard(mix, hz, threshold=300) == set(hz)
    total = np.zeros(count, int)
    for member in told["members"]:
        track = samples(kept(server) / member["file"])
        assert len(tones.heard(track, hz, threshold=300)) == 1
        total += track
    assert np.array_equal(np.clip(total, -32768, 32767), mix)


def test_a_full_disk(server: Server, talk: Talk) -> None:
    if not os.path.ismount(kept(server)):
        pytest.skip("this user may not mount a disk")
    talk.call("conf-8", HZ[0])
    talk.call("conf-8", HZ[1])
    members(server, "conf-8", 2)
    name = server.json("recordings.startRoom", "conf-8", "both")[2]
    talk.ms(1500)
    ballast = kept(server) / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", 0) as file:
        while True:
            file.write(bytes(4096))
    wait_until(lambda: not server.json("recordings.active"), "it has ended")
    (told,) = (one for one in server.json("recordings.list")["recordings"] if one["name"] == name)
    assert told["state"] == "failed" and "No space left on device" in told["reason"]
    assert server.json("recordings.info", name)[2] == told
    code, text = server.json("recordings.startRoom", "conf-8")
    assert code == 507 and "No space left on device" in text
    assert server.json("recordings.list")["recordings"][0]["name"] == name, "what was not begun is not there"
    assert len(server.json("rooms.list")["conf-8"]) == 2, "the room goes on"
    said = re.compile("ERROR: recording: |WARNING: recording ")
    lines = wait_until(
        lambda: len(found := [line for line in server.log.splitlines() if name in line and said.search(line)]) >= 2 and found,
        "one line of the process that writes, one that says what it was",
    )
    assert len(lines) == 2, lines
    assert f"recording {name} of room conf-8 ended: " in "".join(lines)
    for file in told["files"]:
        assert tones.heard(samples(kept(server) / file["file"])[800:], HZ)
    ballast.unlink()
    wait_until(lambda: json.loads((kept(server) / f"{name}.json").read_text())["state"] == "failed", "the sidecar follows")
    assert server.json("recordings.startRoom", "conf-8")[0] == 200
    assert server.json("recordings.stopRoom", "conf-8")[0] == 200


@pytest.mark.timeout(600)
def test_the_media_process_is_killed(server: Server) -> None:
    for _ in range(KILLS):
        killed_while_recording(server, random.randrange(2300, 3300))
    with Talk(server.sip_port) as talk:
        talk.call("conf-6", HZ[2])
        members(server, "conf-6", 1)
        name = server.json("recordings.startRoom", "conf-6")[2]
        talk.ms(600)
        assert server.json("recordings.stopRoom", "conf-6")[0] == 200
    assert tones.heard(samples(kept(server) / f"{name}.wav")[1600:], HZ) == {HZ[2]}


def killed_while_recording(server: Server, after_ms: int) -> None:
    with Talk(server.sip_port) as talk:
        talk.call("conf-6", HZ[0])
        talk.call("conf-6", HZ[1])
        members(server, "conf-6", 2)
        ids = [member["call"] for member in server.json("rooms.list")["conf-6"]]
        room, call = server.json("recordings.startRoom", "conf-6", "both")[2], server.json("recordings.startCall", ids[0])[2]
        talk.ms(after_ms)
        os.kill(server.children()["media"], signal.SIGKILL)
        wait_until(lambda: not server.json("recordings.active"), "both have ended")
    for name, files in ((room, 3), (call, 1)):
        told = about(server, name)
        assert told["state"] == "interrupted" and "lost" in told["reason"]
        assert len(told["files"]) == files
        for file in told["files"]:
            sound = samples(kept(server) / file["file"])
            assert file["samples"] == len(sound) >= 8000, "all but the last second is there"
            assert tones.heard(sound[1600:, 0] if sound.ndim == 2 else sound[1600:], HZ)
    wait_until(lambda: server.json("rooms.list") == {}, "the calls are gone")
    wait_until(lambda: "media" in server.children() and not server.json("status.overview")["problems"], "it is there again")


def test_the_server_is_killed_and_started_again(server: Server) -> None:
    with Talk(server.sip_port) as talk:
        talk.call("conf-7", HZ[0])
        talk.call("conf-7", HZ[1])
        members(server, "conf-7", 2)
        ids = [member["call"] for member in server.json("rooms.list")["conf-7"]]
        name = server.json("recordings.startRoom", "conf-7", "both")[2]
        talk.ms(2500)
        children = server.children()
        os.kill(server.pid, signal.SIGKILL)
        server.wait_status()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children.values()), "nothing is left running")
    assert json.loads((kept(server) / f"{name}.json").read_text())["state"] == "recording"
    server.forget_log()
    server.start()
    wait_until(lambda: server.json("recordings.info", name)[2]["state"] == "interrupted", "it is ended")
    told = about(server, name)
    assert {file["of"] for file in told["files"]} == {"mix", *ids}
    for file in told["files"]:
        sound = samples(kept(server) / file["file"])
        assert file["samples"] == len(sound) >= 16000
    assert f"recording {name} was cut off" in server.log
    assert server.json("recordings.active") == []
