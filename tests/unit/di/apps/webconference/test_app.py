# SPDX-License-Identifier: GPL-2.0-or-later
"""Callers of a conference, by keypad, directly and dialled; what they hear, and what roomInfo says of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from di.apps.webconference import PLUGIN
from di.kernel.errors import OutOfBounds
from di.kernel.registry import Caller
from di.sip import records as sip
from di.spoken.tones import MELODIES, write
from media.control import play_items, records
from tests.support.playbook import Playbook

BASE = 'direct_room_re="^room"\ndigits_dir=prompts/\n'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("etc")
    for name in MELODIES:
        write(path / "prompts" / f"{name}.wav", ((1000, 20),))
    return path


def conference(folder: Path, text: str = "") -> Playbook:
    book = Playbook(conf_dir=folder, mapping="^sip:=>webconference\n").with_monitoring()
    book.load(PLUGIN, BASE + text)
    return book


def ask(book: Playbook, method: str, *args: object) -> Any:
    """Call and check that the info string ends the reply."""
    reply = book.invoke("webconference", method, *args)
    assert re.fullmatch(r"Server: cordboard calls: \d+ active/\d+ total/\d+ connect/\d+ min", reply[-1])
    return reply[:-1]


def people(book: Playbook, room: str, pin: str = "1") -> list[Any]:
    code, text, found = ask(book, "roomInfo", room, pin)
    assert (code, text) == (0, "OK")
    return found  # type: ignore[no-any-return]


def pass_prompts(book: Playbook, leg: int) -> None:
    """Let all files of a leg end."""
    while leg in book.media.legs and book.media.files(leg):
        book.media.finish_item(leg)
        book.run()


# ----------------------------------------------------------------------------------------------------------------- entering
def test_direct_entry_and_what_the_members_hear(folder: Path) -> None:
    book = conference(folder)
    one = book.up("room1")
    assert book.media.files(one.leg) == ["first_participant"]
    pass_prompts(book, one.leg)
    assert book.media.current(one.leg) == play_items.PlayRoom("room1")
    two = book.up("room1")
    assert book.media.files(one.leg) == ["beep"]
    assert book.media.files(two.leg) == ["beep"]
    assert people(book, "room1") == [
        [one.id, one.info.from_header, 3, "direct access: entered", 0, ""],
        [two.id, two.info.from_header, 3, "direct access: entered", 0, ""],
    ]
    assert sorted(book.invoke("monitoring", "listByFilter", ["conf_id", "room1"])) == sorted([one.id, two.id])
    pass_prompts(book, one.leg)
    book.bye(two)
    assert book.invoke("monitoring", "listByFilter", ["conf_id", "room1"]) == [one.id]  # who is there now
    assert book.invoke("monitoring", "get", two.id)[0]["conf_id"] == "room1"  # as in SEMS, until the collector comes
    assert two.id in book.invoke("monitoring", "list")
    assert book.media.files(one.leg) == ["beep"]
    assert [(p[2], p[3]) for p in people(book, "room1")] == [(3, "direct access: entered"), (5, "BYE")]
    book.run(11)
    assert [p[0] for p in people(book, "room1")] == [one.id]


def test_other_room_other_people(folder: Path) -> None:
    book = conference(folder)
    book.up("room1")
    two = book.up("room2")
    assert book.media.files(two.leg) == ["first_participant"]
    assert book.sessions.rooms.count("room2") == 1


def test_strip(folder: Path) -> None:
    book = conference(folder, "direct_room_strip=4\n")
    book.up("room77")
    book.up("room")
    assert sorted(book.sessions.rooms.names()) == ["77", "room"]


def test_the_media_processes_hear_beforehand_which_room_it_will_be(folder: Path) -> None:
    book = conference(folder, "direct_room_strip=4\n")
    book.up("room77")
    book.up("anybody", (("P-App-Param", "room=blue"),))
    book.up("room1", (("P-App-Param", "enter_room=true;room=blue"),))
    assert [c.room for c in book.media.commands if isinstance(c, records.OpenLeg)] == ["77", "blue", ""]


def test_app_params_choose_the_room_or_the_keypad(folder: Path) -> None:
    book = conference(folder)
    book.up("anybody", (("P-App-Param", "room=blue"),))
    assert book.sessions.rooms.names() == ["blue"]
    session = book.up("room1", (("P-App-Param", "enter_room=true;room=blue"),))
    assert book.media.files(session.leg) == ["enter_pin"]


def test_keypad(folder: Path) -> None:
    book = conference(folder)
    session = book.up("reception")
    assert book.media.files(session.leg) == ["enter_pin"]
    book.media.press(session.leg, "4")
    book.run()
    assert book.media.files(session.leg) == []
    book.media.press(session.leg, "2#")
    book.run()
    assert book.media.files(session.leg) == ["4", "2", "entering_conference"]
    book.media.press(session.leg, "9")
    pass_prompts(book, session.leg)
    assert book.sessions.rooms.members("42") == [session.id]
    assert people(book, "42")[0][3] == "entered"


def test_empty_entry_asks_again(folder: Path) -> None:
    book = conference(folder)
    session = book.up("reception")
    book.media.press(session.leg, "*")
    book.run()
    assert book.media.files(session.leg) == ["wrong_pin"]
    book.media.press(session.leg, "5*")
    book.run()
    pass_prompts(book, session.leg)
    assert book.sessions.rooms.names() == ["5"]


def test_private_rooms_and_split_numbers(folder: Path) -> None:
    book = conference(folder, "private_rooms=yes\nroom_pin_split=2\n")
    session = book.up("reception")
    for keys in ("12#", "1234#"):
        book.media.press(session.leg, keys)
        book.run()
        assert book.media.files(session.leg) == ["wrong_pin", "enter_pin"]
    assert ask(book, "roomCreate", "12")[:2] == [0, "OK"]
    assert ask(book, "addParticipant", "12", "34", "Bob") == [200, "OK"]
    book.media.press(session.leg, "1234#")
    book.run()
    pass_prompts(book, session.leg)
    assert book.sessions.rooms.members("12") == [session.id]
    direct = book.up("room9")
    assert book.media.files(direct.leg) == ["wrong_pin_bye"]
    pass_prompts(book, direct.leg)
    assert book.sip.of(sip.Hangup, direct.call)


def test_participant_id_from_header_or_parameter(folder: Path) -> None:
    book = conference(folder)
    ask(book, "addParticipant", "room1", "p7", "Bob")
    assert people(book, "room1") == [["", "Bob", 0, "", 0, "p7"]]
    session = book.up("room1", (("X-ParticipantID", "p7"),))
    assert [(p[0], p[5]) for p in people(book, "room1")] == [(session.id, "p7")]
    assert ask(book, "findParticipant", "p7") == [["room1"]]
    book = conference(folder, "participant_id_param=pid\n")
    session = book.up("room1", (("P-App-Param", "pid=p8"), ("X-ParticipantID", "p7")))
    assert people(book, "room1")[0][5] == "p8"


def test_lonely_caller_has_to_go(folder: Path) -> None:
    book = conference(folder, "lonely_user_timer=30\n")
    one, two = book.up("room1"), book.up("room1")
    book.run(60)
    assert len(book.sessions) == 2
    book.bye(two)
    book.run(29)
    assert len(book.sessions) == 1
    book.run(2)
    assert len(book.sessions) == 0
    assert book.sip.of(sip.Hangup, one.call)


def test_looped_first_prompt_stops_when_somebody_comes(folder: Path) -> None:
    book = conference(folder, "loop_first_participant_prompt=yes\n")
    one = book.up("room1")
    current = book.media.current(one.leg)
    assert current is not None
    assert current.loop
    book.up("room1")
    assert book.media.files(one.leg) == ["beep"]
    assert book.media.legs[one.leg].playlist[-1] == play_items.PlayRoom("room1")


def test_missing_prompt_is_skipped(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    book = conference(folder, "enter_pin=prompts/none.wav\n")
    assert "prompt enter_pin: there is no file" in caplog.text
    session = book.up("reception")
    assert book.media.files(session.leg) == []
    book.media.press(session.leg, "1#")
    book.run()
    pass_prompts(book, session.leg)
    assert book.sessions.rooms.names() == ["1"]


# ----------------------------------------------------------------------------------------------------------------- DI
def test_room_create(folder: Path) -> None:
    book = conference(folder, "predefined_rooms=board:47;sales:11\n")
    code, text, pin = ask(book, "roomCreate", "new")
    assert (code, text) == (0, "OK")
    assert re.fullmatch(r"\d{6}", pin)
    assert ask(book, "roomCreate", "new") == [1, "room already opened", ""]
    assert ask(book, "roomInfo", "new", pin) == [0, "OK", []]
    assert ask(book, "roomInfo", "new", "0") == [1, "wrong adminpin or inexisting room", []]
    assert ask(book, "roomInfo", "board", "47") == [0, "OK", []]
    assert ask(book, "changeRoomAdminpin", "board", "47", "48") == [0, "OK"]
    assert ask(book, "changeRoomAdminpin", "board", "47", "49") == [1, "wrong adminpin or inexisting room"]


def test_mute_unmute_kickout(folder: Path) -> None:
    book = conference(folder)
    session = book.up("room1")
    assert people(book, "room1")[0][4] == 0
    assert ask(book, "mute", "room1", "1", session.id) == [0, "OK"]
    assert book.media.legs[session.leg].audio["muted"] is True
    assert people(book, "room1")[0][4] == 1
    assert ask(book, "unmute", "room1", "1", session.id) == [0, "OK"]
    assert book.media.legs[session.leg].audio["muted"] is False
    for function in ("mute", "unmute", "kickout"):
        assert ask(book, function, "room1", "2", session.id) == [1, "wrong adminpin or inexisting room"]
        assert ask(book, function, "room1", "1", "nobody") == [2, "call does not exist"]
        assert ask(book, function, "room1", "1", "") == [2, "call does not exist"]
    assert ask(book, "kickout", "room1", "1", session.id) == [0, "OK"]
    assert book.sip.of(sip.Hangup, session.call)
    assert [(p[2], p[3]) for p in people(book, "room1")] == [(5, "disconnect")]
    assert ask(book, "kickout", "room1", "1", session.id) == [2, "call does not exist"]


def test_room_delete(folder: Path) -> None:
    from di.kernel.errors import OutOfBounds

    book = conference(folder)
    book.up("room1")
    people(book, "room1")
    with pytest.raises(OutOfBounds):
        book.invoke("webconference", "roomDelete", "room1", "2")
    assert ask(book, "roomDelete", "room1", "1") == [0, "OK"]
    assert len(book.sessions) == 0
    assert ask(book, "roomDelete", "room1", "1") == [2, "room does not exist\n"]


def test_master_password(folder: Path) -> None:
    book = conference(folder, "master_password=m\npredefined_rooms=b:2;a:1\n")
    assert ask(book, "getRoomPassword", "m", "a") == [0, "1"]
    assert ask(book, "getRoomPassword", "m", "c") == [404, "Room does not exist."]
    assert ask(book, "getRoomPassword", "x", "a") == [403, "Wrong Master Password."]
    assert ask(book, "listRooms", "m") == [200, ["a", "b"]]
    assert ask(book, "listRooms", "x") == [407, ["Wrong Master Password."]]
    book = conference(folder, "predefined_rooms=b:2\n")
    assert ask(book, "getRoomPassword", "", "b") == [403, "Wrong Master Password."]
    assert ask(book, "listRooms", "") == [407, ["Wrong Master Password."]]


def test_server_info_help_and_list(folder: Path) -> None:
    book = conference(folder)
    book.bye(book.up("room1"))
    book.up("room1")
    info = "Server: cordboard calls: 1 active/1 total/1 connect/0 min"
    assert book.invoke("webconference", "serverInfo") == [info, info]
    assert ask(book, "help") == ["help text goes here"]
    assert book.invoke("webconference", "_list") == [
        *("roomCreate", "roomInfo", "roomDelete", "dialout", "mute", "unmute", "kickout", "changeRoomAdminpin", "serverInfo"),
        *("vqRoomFeedback", "vqCallFeedback", "vqConferenceFeedback", "getRoomPassword", "listRooms", "findParticipant"),
    ]


def test_feedback(folder: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    second.write_text("old\n")
    book = conference(folder, f"feedback_file={first}\n")
    ask(book, "vqRoomFeedback", "r", "p", 4)
    ask(book, "vqCallFeedback", "r", "p", "tag", 3)
    ask(book, "vqConferenceFeedback", "r", "p", "me\n", "fine", 5)
    assert ask(book, "flushFeedback") == []
    now = int(book.clock.epoch_s())
    assert first.read_text() == (
        f"RO r|||p|||4|||{now}|||\nCA|||r|||p|||tag|||3|||{now}|||\nCO|||r|||p|||5|||me |||fine|||{now}|||\n"
    )
    assert ask(book, "resetFeedback") == [-2, "no filename given"]
    assert ask(book, "resetFeedback", str(tmp_path / "none" / "x")) == [-1, "error opening new feedback file"]
    assert ask(book, "resetFeedback", str(second)) == [0, "OK"]
    ask(book, "vqRoomFeedback", "r", "p", 1)
    ask(book, "flushFeedback")
    assert second.read_text() == f"RO r|||p|||1|||{now}|||\n"


def test_room_timeout_kicks_everybody(folder: Path) -> None:
    book = conference(folder, "support_rooms_timeout=yes\n")
    assert ask(book, "roomCreate", "room1", 30)[:2] == [0, "OK"]
    book.up("room1")
    book.run(29)
    assert len(book.sessions) == 1
    book.run(3)
    assert len(book.sessions) == 0
    assert ask(book, "roomDelete", "room1", "1") == [2, "room does not exist\n"]


# ----------------------------------------------------------------------------------------------------------------- dial-out
def dialled(book: Playbook, *more: object) -> Any:
    code, text, tag = ask(book, "dialout", "room1", "1", "bob", "me", "here.example", "auth", "pw", *more)
    assert (code, text) == (0, "OK")
    return book.sessions.find(tag)


def test_dialout(folder: Path) -> None:
    book = conference(folder)
    one = book.up("room1")
    pass_prompts(book, one.leg)
    session = dialled(book, "X-A: 1|X-B: 2", "there.example", "p9")
    placed = book.sip.of(sip.Dial, session.call)[0]
    assert placed.request_uri == "sip:bob@there.example"
    assert placed.from_uri == "<sip:me@here.example>"
    assert placed.headers == ("X-A: 1", "X-B: 2")
    assert (placed.realm, placed.username, placed.password) == ("here.example", "auth", "pw")
    assert people(book, "room1")[1] == [session.id, "sip:bob@there.example", 1, "INVITE", 0, "p9"]
    book.progress(session.call)
    assert people(book, "room1")[1][2:4] == [2, "180 Ringing"]
    book.run(13)
    rings = [c for c in book.media.commands if isinstance(c, records.Announce)]
    assert len(rings) == 3
    assert rings[0].room == "room1"
    assert rings[0].items[0].frequencies_hz == (440, 480)
    book.confirm(session.call)
    book.run(20)
    assert len([c for c in book.media.commands if isinstance(c, records.Announce)]) == 3
    assert people(book, "room1")[1][2:4] == [3, "200 OK"]
    assert book.sessions.rooms.members("room1") == [one.id, session.id]


def test_dialout_early_media_is_heard_in_the_room(folder: Path) -> None:
    book = conference(folder)
    session = dialled(book)
    book.progress(session.call, 183, "Session Progress", has_body=True)
    book.negotiate(session.call)
    assert book.sessions.rooms.members("room1") == [session.id]


def test_dialout_that_fails(folder: Path) -> None:
    book = conference(folder)
    session = dialled(book)
    book.fail(session.call)
    assert people(book, "room1")[0][2:4] == [5, "486 Busy Here"]
    assert ask(book, "dialout", "room1", "2", "bob", "me", "h", "", "") == [1, "wrong adminpin or inexisting room", ""]
    assert ask(book, "dialout", "room1", "1", "b b", "me", "h", "", "") == [1, "internal error", ""]


def test_dialout_arguments_of_another_type_count_as_absent(folder: Path) -> None:
    book = conference(folder)
    session = dialled(book, 7, None, False)
    assert book.sip.of(sip.Dial, session.call)[0].request_uri == "sip:bob@here.example"


def test_whoever_guesses_a_pin_is_answered_as_for_a_wrong_one(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    book = conference(folder, "master_password=secret\n")
    pin = ask(book, "roomCreate", "room1")[2]
    ann, bob = (Caller(name, "http", "192.0.2.1") for name in ("ann", "bob"))

    def tried(caller: Caller, function: str, *args: str) -> Any:
        try:
            return book.services.registry.invoke("webconference", function, [*args], caller)[0]  # type: ignore[index]
        except OutOfBounds:
            return "out of bounds"

    for number, function in enumerate(("roomInfo", "mute", "kickout", "changeRoomAdminpin", "roomDelete")):
        assert tried(ann, function, "room1", f"x{number}", "tag") in (1, "out of bounds")
    assert tried(ann, "roomInfo", "room1", pin) == 1 and tried(ann, "roomDelete", "room1", pin) == "out of bounds"
    assert tried(bob, "roomInfo", "room1", pin) == 0
    book.run(11)
    assert tried(ann, "roomInfo", "room1", pin) == 0
    assert len([line for line in caplog.messages if line.startswith("audit wrong room pin caller=ann")]) == 5
    assert all(pin not in line and "x0" not in line for line in caplog.messages)
    assert [tried(ann, "listRooms", f"x{number}") for number in range(5)] == [407] * 5
    assert tried(ann, "listRooms", "secret") == 407 and tried(bob, "listRooms", "secret") == 200


@pytest.mark.parametrize("where", ["/etc/passwd", "../x", "sub/../../x", "link", ""])
def test_opinions_go_to_the_folder_that_is_configured(folder: Path, tmp_path: Path, where: str) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "victim").write_text("as it was")
    (tmp_path / "notes" / "link").symlink_to(tmp_path / "victim")
    book = conference(folder, f"feedback_file={tmp_path}/notes/first\n")
    assert ask(book, "resetFeedback", where)[0] in (-1, -2)
    assert (tmp_path / "victim").read_text() == "as it was" and not (tmp_path / "x").exists()
    assert ask(book, "resetFeedback", "second") == [0, "OK"] and (tmp_path / "notes" / "second").exists()
    assert ask(conference(folder), "resetFeedback", "second")[0] == -1
