# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from di.modules.recordings.about import COMPLETE, RecordingAbout, RoomMember, read_sidecar, sidecar

NAME = "20261130T155005Z-room1-2265b1"


def room(mode: str = "both") -> RecordingAbout:
    return RecordingAbout(NAME, "room", "room1", mode, "alice", 5.0)


def test_members_go_by_the_clock_of_the_files() -> None:
    about = room()
    about.joined(RoomMember("a", "Ann", "sip:ann@x", 1), 0)
    about.joined(RoomMember("b", "Ben", "sip:ben@x", 2), 90)
    about.left("a", 777)
    told = {
        "rate_hz": 8000, "samples": 16000, "mix": f"{NAME}.wav", "tracks": {"1": f"{NAME}-1.wav", "2": f"{NAME}-2.wav"},
        "events": [
            {"at_ms": 0, "event": "joined", "leg": 1}, {"at_ms": 100, "event": "joined", "leg": 2},
            {"at_ms": 200, "event": "muted", "leg": 2}, {"at_ms": 300, "event": "unmuted", "leg": 2},
            {"at_ms": 400, "event": "muted", "leg": 1}, {"at_ms": 800, "event": "left", "leg": 1},
            {"at_ms": 900, "event": "joined", "leg": 1},
        ],
    }  # fmt: skip
    about.take(json.dumps(told))
    value = about.value()
    assert value["length_ms"] == 2000
    assert value["members"] == [
        {"call": "a", "name": "Ann", "uri": "sip:ann@x", "file": f"{NAME}-1.wav", "times_ms": [[0, 800], [900, 2000]], "muted_ms": [[400, 800]]},
        {"call": "b", "name": "Ben", "uri": "sip:ben@x", "file": f"{NAME}-2.wav", "times_ms": [[100, 2000]], "muted_ms": [[200, 300]]},
    ]  # fmt: skip
    assert [(file.file, file.of) for file in about.files] == [
        (f"{NAME}.wav", "mix"),
        (f"{NAME}-1.wav", "a"),
        (f"{NAME}-2.wav", "b"),
    ]


def test_a_member_whom_only_the_media_process_saw_has_his_leg() -> None:
    about = room()
    about.take(json.dumps({"rate_hz": 8000, "samples": 80, "mix": "", "tracks": {"9": f"{NAME}-9.wav"},
                           "events": [{"at_ms": 0, "event": "joined", "leg": 9}]}))  # fmt: skip
    assert [(file.file, file.of) for file in about.files] == [(f"{NAME}-9.wav", "leg 9")]


def test_coming_again_is_a_further_time_and_twice_is_once() -> None:
    about = room()
    for at_ms in (0, 10):
        about.joined(RoomMember("a", "", "", 1), at_ms)
    about.left("a", 20)
    about.left("a", 30)
    about.joined(RoomMember("a", "", "", 1), 40)
    assert about.members[1].times == [[0, 20], [40, -1]]


@pytest.mark.parametrize(("mode", "files"), [("mix", ["mix"]), ("tracks", ["a"]), ("both", ["mix", "a"])])
def test_the_files_are_known_while_they_are_written(mode: str, files: list[str]) -> None:
    about = room(mode)
    about.joined(RoomMember("a", "", "", 1), 0)
    about.expect_files()
    assert [file.of for file in about.files] == files


@given(st.text(), st.text())
def test_a_sidecar_is_read_as_it_was_written(target: str, reason: str) -> None:
    about = RecordingAbout(NAME, "call", target, "both", "x", 1.0, state=COMPLETE, reason=reason, call={"from": target})
    assert read_sidecar(sidecar(about.value())) == about.value()


@given(st.one_of(st.text(), st.builds(json.dumps, st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))))  # fmt: skip
def test_anything_else_is_none(text: str) -> None:
    assert read_sidecar(text) is None


def test_deep_nesting_and_wrong_types_are_none() -> None:
    assert read_sidecar("[" * 100_000) is None
    good = room().value()
    for key in ("name", "kind", "state", "began", "files"):
        assert read_sidecar(json.dumps({**good, key: None})) is None
