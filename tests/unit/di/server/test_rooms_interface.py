# SPDX-License-Identifier: GPL-2.0-or-later
"""What an operator does to members of rooms, whatever application brought them there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from di.apps.conference import PLUGIN as CONFERENCE
from di.apps.webconference import PLUGIN as WEBCONFERENCE
from di.dsm import PLUGIN as DSM
from di.kernel.event_log import EventFilter, Snapshot
from di.server import rooms_interface
from di.server.room_sounds import RoomSounds
from di.server.rooms_interface import RoomsInterface
from di.spoken.tones import MELODIES, write
from media.control import play_items, records
from tests.support.playbook import Playbook

JOINS = "import(mod_conference); initial state A enter { connectMedia(); conference.join(hall); }; state B; transition t A - event -> B;"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("etc")
    for name in MELODIES:
        write(path / "prompts" / f"{name}.wav", ((1000, 20),))
    (path / "joins.dsm").write_text(JOINS)
    return path


def hub(folder: Path, text: str = "", conference: str = "") -> Playbook:
    book = Playbook(conf_dir=folder).with_monitoring()
    book.load(WEBCONFERENCE, f'direct_room_re="^room"\n{text}')
    book.load(CONFERENCE, f"audio_path=prompts/\ndefault_announce=first_participant.wav\n{conference}")
    book.load(DSM, "diag_path=./\nload_diags=joins\nregister_apps=joins\n")
    return book


def played_rooms(book: Playbook, leg: int) -> list[str]:
    return [item.room for item in book.media.legs[leg].playlist if isinstance(item, play_items.PlayRoom)]


def test_members_are_listed_in_order(folder: Path) -> None:
    book = hub(folder)
    assert book.invoke("rooms", "list") == {}
    one, two = book.up("room1"), book.up("room1")
    listed = book.invoke("rooms", "list")
    assert [member["call"] for member in listed["room1"]] == [one.id, two.id]
    assert listed["room1"][0] == {
        "call": one.id, "application": "webconference", "name": one.info.from_header, "muted": False, "speaking": False,
    }  # fmt: skip
    book.sessions.on_media_event(records.SpeakerChanged("room1", two.leg, True, -20.0))
    assert [member["speaking"] for member in book.invoke("rooms", "list")["room1"]] == [False, True]


@pytest.mark.parametrize(("user", "room"), [("room1", "room1"), ("conf1", "conf1"), ("app-joins", "hall")])
def test_muted_moved_and_kicked_in_every_application(folder: Path, user: str, room: str) -> None:
    book = hub(folder)
    member, other = book.up(user), book.up(user)
    assert book.sessions.rooms.members(room) == [member.id, other.id]
    watching = book.services.events.subscribe(EventFilter(types=frozenset(["call.muted", "room.*"])))

    assert book.invoke("rooms", "mute", member.id) == [200, "OK"]
    assert member.audio.muted and book.media.legs[member.leg].audio["muted"] is True
    assert book.invoke("rooms", "move", member.id, "elsewhere") == [200, "OK"]
    assert (book.sessions.rooms.members(room), book.sessions.rooms.members("elsewhere")) == ([other.id], [member.id])
    assert played_rooms(book, member.leg) == ["elsewhere"]
    assert book.services.monitoring.store.get(member.id)["conf_id"] == "elsewhere"  # type: ignore[attr-defined]
    assert book.media.legs[member.leg].audio["muted"] is True, "a move does not unmute"
    assert book.invoke("rooms", "unmute", member.id) == [200, "OK"]
    assert book.media.legs[member.leg].audio["muted"] is False
    told = [(event.type, event.room) for event in iter(watching.take, None)]  # type: ignore[union-attr]
    assert told == [("call.muted", room), ("room.left", room), ("room.joined", "elsewhere"), ("call.muted", "elsewhere")]

    assert book.invoke("rooms", "move", member.id, room) == [200, "OK"]
    assert book.sessions.rooms.members(room) == [other.id, member.id]
    assert book.invoke("rooms", "kick", member.id) == [200, "OK"]
    assert book.sessions.find(member.id) is None and book.sessions.rooms.members(room) == [other.id]


def test_room_info_follows(folder: Path) -> None:
    book = hub(folder)
    member, other = book.up("room1"), book.up("room1")
    book.invoke("rooms", "mute", member.id)
    book.invoke("rooms", "move", member.id, "room2")

    def lines(room: str) -> list[Any]:
        return [(line[0], line[2], line[3], line[4]) for line in book.invoke("webconference", "roomInfo", room, "1")[2]]

    assert lines("room1") == [(member.id, 5, "moved to room2", 1), (other.id, 3, "direct access: entered", 0)]
    assert lines("room2") == [(member.id, 3, "moved here", 1)]
    assert book.invoke("webconference", "unmute", "room2", "1", member.id)[:2] == [0, "OK"] and not member.audio.muted
    book.invoke("rooms", "move", member.id, "room1")
    assert lines("room1") == [(other.id, 3, "direct access: entered", 0), (member.id, 3, "moved here", 0)]
    assert book.invoke("webconference", "openRooms") == {
        "room1": {"participants": 2, "expires": 0}, "room2": {"participants": 0, "expires": 0},
    }  # fmt: skip
    book.invoke("rooms", "kick", member.id)
    assert lines("room1")[1][1:3] == (5, "disconnect")


def test_refusals_say_what_to_do(folder: Path) -> None:
    book = hub(folder, "private_rooms=yes\npredefined_rooms=room1:1\n", "max_participants=1\n")
    member, talker, waiting = book.up("room1"), book.up("conf1"), book.up("conf2")
    for method in ("kick", "mute", "unmute"):
        assert book.invoke("rooms", method, "nobody")[0] == 404
    assert book.invoke("rooms", "move", "nobody", "x")[0] == 404
    for room, code, text in (
        ("", 400, "1 to 200"),
        ("x" * 201, 400, "1 to 200"),
        ("room1", 409, "already"),
        ("room9", 409, "create it first"),
    ):
        answer = book.invoke("rooms", "move", member.id, room)
        assert answer[0] == code and text in answer[1], room
    assert "full" in book.invoke("rooms", "move", talker.id, "conf2")[1]
    waiting.audio.leave_room()
    waiting.audio.tee_room("tap", "conf2")
    assert "only heard" in book.invoke("rooms", "move", waiting.id, "conf3")[1]
    assert book.invoke("rooms", "mute", waiting.id) == [200, "OK"] == book.invoke("rooms", "unmute", waiting.id)
    waiting.audio.untee_room("tap")
    assert book.invoke("rooms", "mute", waiting.id)[0] == 409 and not waiting.audio.muted


def test_who_begins_to_listen_gets_times_and_places(folder: Path) -> None:
    book = hub(folder)
    member = book.up("room1")
    ringing = book.session(book.offer("app-joins"))
    book.invoke("rooms", "mute", member.id)
    snapshot = book.services.events.subscribe(EventFilter(calls=frozenset([member.id])), snapshot=True).take()
    assert isinstance(snapshot, Snapshot)
    now_s = book.clock.epoch_s()
    assert snapshot.state["sessions"] == {
        member.id: {
            "application": "webconference", "direction": "in", "started": now_s, "answered": now_s, "room": "room1", "muted": True,
            "speaking": False,
        }
    }  # fmt: skip
    everybody = book.services.events.subscribe(snapshot=True).take()
    assert isinstance(everybody, Snapshot) and set(everybody.state["sessions"]) == {member.id, ringing.id}  # type: ignore[call-overload, arg-type]


async def test_a_sound_is_played_to_a_room(folder: Path) -> None:
    book = hub(folder)
    book.services.registry.unregister("rooms")
    book.services.registry.register("rooms", RoomsInterface(book.sessions, RoomSounds([folder / "prompts"])))

    async def play(room: str, file: str) -> Any:
        return await book.services.registry.call("rooms", "play", [room, file])

    assert "beep.wav" in await book.services.registry.call("rooms", "sounds", [])  # type: ignore[operator]
    assert await play("room1", "beep.wav") == [404, "nobody is in this room"]
    book.up("room1")
    assert (await play("room1", "beep.mp3"))[0] == (await play("room1", "../joins.dsm"))[0] == 404
    assert await play("room1", "beep.wav") == [200, "OK", 1000]
    assert book.media.commands[-1] == records.Announce("room1", (play_items.PlayFile(str(folder / "prompts" / "beep.wav")),))


async def test_a_media_process_that_is_silent_or_says_no(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book = hub(folder)
    interface = RoomsInterface(book.sessions, RoomSounds([folder / "prompts"]))
    member = book.up("room1")
    send = book.media.send

    def says(error: str) -> Any:
        def answer(command: records.Command) -> None:
            if isinstance(command, records.LoadPrompt):
                book.sessions.on_media_event(records.PromptLoaded(command.request, command.path, 0, error))
            else:
                send(command)

        return answer

    monkeypatch.setattr(book.media, "send", says("no sound in it"))
    assert await interface.play("room1", "beep.wav") == [415, "beep.wav cannot be played: no sound in it"]
    monkeypatch.setattr(rooms_interface, "LOAD_S", 0.01)
    monkeypatch.setattr(book.media, "send", lambda command: None)
    assert (await interface.play("room1", "beep.wav"))[0] == 504
    assert not book.sessions.answers, "nobody waits for it any more"

    def leaves(command: records.Command) -> None:
        monkeypatch.setattr(book.media, "send", send)
        book.bye(member)
        send(command)

    monkeypatch.setattr(book.media, "send", leaves)
    assert await interface.play("room1", "beep.wav") == [404, "everybody has left this room"]
