# SPDX-License-Identifier: GPL-2.0-or-later
"""What a profile's rules make of keys: passed on, filtered, or tones for one leg and events for the other."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pytest

from interfaces.sip.message import Message
from tests.support import tones
from tests.support.border import PLUGINS, Border, border_files, invite, offer
from tests.support.rtp_peer import Peer
from tests.support.server import Server

pytestmark = pytest.mark.peers

TO = "RURI=$H(X-To)\n"
PROFILES = {"plain": TO, "keys": TO + "dtmf_transcoding=always\n", "deaf": TO + "rtprelay_dtmf_filtering=yes\n"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    files = border_files(PROFILES)
    with Server(tmp_path_factory.mktemp("server"), files, "", PLUGINS) as running:
        yield running
    assert "Traceback" not in running.log, running.log


def event_type(message: Message) -> int:
    """The payload type of telephone-event in what we offered."""
    found = re.search(r"a=rtpmap:(\d+) telephone-event/8000", message.body.decode())
    assert found is not None
    return int(found[1])


async def keys_heard(border: Border, phone: Peer, press: Peer, event: int, kind: int = 101) -> set[int]:
    """Which RFC 4733 events a phone gets after a key of another one, who sends it as payload type `kind`."""
    phone.forget()
    await border.run(200)
    press.press(event, payload_type=kind)
    for _ in range(10):
        await border.run(200)
        found = {packet.payload[0] for packet in phone.packets if packet.payload_type == 101}
        if found:
            return found
    return set()


async def test_keys_pass_to_the_other_leg_unless_filtered(border: Border) -> None:
    """The same phones hear the key in the calls before and after the one in which they do not, and each other in all of them."""
    anna, ben = await border.phone(), await border.phone()
    for profile, heard in (("plain", True), ("deaf", False), ("plain", True)):
        one, two = await border.up(anna, ben, profile)
        await border.hear({anna: {ben}, ben: {anna}})
        assert await keys_heard(border, ben.rtp, anna.rtp, 5) == ({5} if heard else set()), profile
        assert await keys_heard(border, anna.rtp, ben.rtp, 11, event_type(invite(two))) == ({11} if heard else set()), profile
        await border.hear({anna: {ben}, ben: {anna}})
        await border.hang_up(one, two)


KEY_5_HZ = (770.0, 1336.0)


@pytest.mark.parametrize("profile", ["keys", "plain"])
async def test_a_leg_without_telephone_event(border: Border, profile: str) -> None:
    """Its key tones become events where the profile says so, else they pass as they are; the other one's events become tones."""
    anna, ben = await border.phone(), await border.phone()
    one, two = await border.with_offer(anna, ben, profile, offer(anna, "0", events=""))
    await ben.accept(two)
    await anna.answered(one)
    await border.hear({anna: {ben}, ben: {anna}})
    anna.rtp.samples = ben.rtp.samples = None
    await border.run(300)
    anna.rtp.forget()
    ben.rtp.press(5, 400, payload_type=event_type(invite(two)))
    for _ in range(10):
        await border.run(200)
        if tones.heard(anna.rtp.heard(), [*KEY_5_HZ, 941.0, 1477.0]) == set(KEY_5_HZ):
            break
    else:
        raise AssertionError("the key of the one with events is no tone for the other")
    pressed = tones.tone(KEY_5_HZ[0], 150) + tones.tone(KEY_5_HZ[1], 150)
    ben.rtp.forget()
    anna.rtp.samples = np.concatenate([pressed, np.zeros(4000, np.int16)])
    wanted, events, heard = {5} if profile == "keys" else set(), set[int](), set[float]()
    for _ in range(20):
        await border.run(1500)  # it is pressed twice in that time
        events = {packet.payload[0] for packet in ben.rtp.packets if packet.payload_type == 101}
        heard = tones.heard(ben.rtp.heard(), [*KEY_5_HZ, 941.0, 1477.0], threshold=300)
        if events >= wanted and heard == set(KEY_5_HZ):
            break
    assert (events, heard) == (wanted, set(KEY_5_HZ))
    await border.hang_up(one, two)
