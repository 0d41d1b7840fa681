# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from di.modules.recordings import names

WHEN_S = 1_796_056_205.5


def test_a_name_says_when_and_of_what() -> None:
    name = names.new_name(WHEN_S, "room1", Random(1))
    assert name == "20261130T163005Z-room1-2265b1"
    assert (names.main_file(name), names.sidecar_file(name), names.track_file(name, 7)) == (
        f"{name}.wav",
        f"{name}.json",
        f"{name}-7.wav",
    )


@given(st.text(max_size=300))
def test_whatever_a_room_is_called_the_name_is_a_step_of_a_path(target: str) -> None:
    name = names.new_name(WHEN_S, target, Random(1))
    assert names.is_recording(name)
    for file in (names.main_file(name), names.track_file(name, 3)):
        assert names.recording_of(file) == name
        assert Path(file).name == file and len(file) < 200
    assert names.recording_of_sidecar(names.sidecar_file(name)) == name


@given(st.one_of(st.text(max_size=100), st.from_regex(r"\A[0-9]{8}T[0-9]{6}Z-.{1,50}-[0-9a-f]{6}(-[0-9]+)?\.(wav|json)\Z")))
def test_nothing_that_leads_elsewhere_is_a_name(text: str) -> None:
    for found in (text if names.is_recording(text) else "", names.recording_of(text), names.recording_of_sidecar(text)):
        assert not set("/\\\0.\n") & set(found)
        assert found == "" or text.startswith(found)


@pytest.mark.parametrize("file", ["x.wav", "../20261130T155005Z-room1-2265b1.wav", "20261130T155005Z-room1-2265b1.wav\n",
                                  "20261130T155005Z-r/../-2265b1.wav", "20261130T155005Z-room1-2265b1.json",
                                  "20261130T155005Z-room1-2265b1-.wav", ".aside-20261130T155005Z-room1-2265b1"])  # fmt: skip
def test_what_is_no_sound_file(file: str) -> None:
    assert names.recording_of(file) == ""
