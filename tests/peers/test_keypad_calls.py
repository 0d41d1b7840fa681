# SPDX-License-Identifier: GPL-2.0-or-later
"""A room's number entered by RFC 4733 keys in a real call: the key stops the prompt, the number is read back, the room opens."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import pytest

from tests.support import tones
from tests.support.phone import Phone
from tests.support.rtp_peer import PeerGroup
from tests.support.server import Server, wait_until

pytestmark = pytest.mark.peers

PROMPT_HZ, WRONG_HZ = 700.0, 350.0
DIGITS_HZ = {4: 580.0, 2: 440.0}
"""The melodies of the samples (`di/spoken/tones.py`)."""
ENTERING_HZ = [523.0, 659.0, 784.0]
HASH = 11


def test_room_number_by_keypad(tmp_path: Path) -> None:
    server = Server(tmp_path, {"app_mapping.conf": "^sip:=>webconference\n"}, start=False)
    for name, hz in {"enter_pin": PROMPT_HZ, "wrong_pin": WRONG_HZ}.items():
        prompt = server.etc / "prompts" / f"{name}.wav"
        prompt.unlink()
        tones.write_wav(prompt, tones.tone(hz, 20_000))
    with server, PeerGroup() as group:
        server.start()
        with Phone(server.sip_port, group.peer()) as phone:
            peer = phone.call("reception").peer
            group.hear({peer: {PROMPT_HZ}}, [PROMPT_HZ, WRONG_HZ])
            peer.press(HASH)
            group.hear({peer: {WRONG_HZ}}, [PROMPT_HZ, WRONG_HZ])  # nothing was entered
            peer.press(4)
            group.hear({peer: set()}, [PROMPT_HZ, WRONG_HZ])  # a key stops the prompt
            peer.forget()
            peer.press(2)
            group.run_ms(100)
            peer.press(HASH)

            def notes() -> list[float]:
                all_of_them = tones.loudest(peer.heard(), [PROMPT_HZ, WRONG_HZ, *DIGITS_HZ.values(), *ENTERING_HZ], 50)
                return [hz for hz, _ in groupby(hz for hz in all_of_them if hz)]

            group.run_until(lambda: len(notes()) >= 5, "five notes")
            assert notes()[:5] == [DIGITS_HZ[4], DIGITS_HZ[2], *ENTERING_HZ]
            found = wait_until(lambda: server.xml.di("webconference", "roomInfo", "42", "1")[2], "somebody in the room")
            assert [(line[2], line[3]) for line in found] == [(3, "entered")]
            phone.bye()
