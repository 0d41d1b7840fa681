# SPDX-License-Identifier: GPL-2.0-or-later
"""Real phones: baresip calls the whole server in every codec that both speak and hears itself in echo, others in a room."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support import tones
from tests.support.baresip import G722, GSM, L16, OPUS, PCMA, PCMU, Baresip, PhoneCodec, module_folder
from tests.support.server import Server, wait_until
from tests.support.stalls import calm

pytestmark = pytest.mark.peers

PHONES = (PCMA, PCMU, GSM, G722, OPUS)
"""Not its G.726: under the names of RFC 3551 baresip 1.0 packs code words the other way round, as AAL2 has them."""

LOW_HZ, HIGH_HZ = 1000.0, 5000.0
OTHERS_HZ = [600.0, 1400.0, 2600.0]
ROOM_HZ = [700.0, 900.0, 1100.0, 1300.0, 1500.0]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    module_folder()
    with Server(
        tmp_path_factory.mktemp("server"), {"app_mapping.conf": "^sip:room=>webconference\n^sip:echo=>echo\n"}
    ) as running:
        yield running


def says(codec: PhoneCodec, *frequencies_hz: float) -> NDArray[np.int16]:
    """Ten seconds of tones; those above what the codec can carry are left out."""
    parts = [tones.tone(hz, 10_000, codec.rate_hz, 4000) for hz in frequencies_hz if hz < codec.rate_hz / 2]
    return np.sum(parts, axis=0, dtype=np.int16)


def talk(
    server: Server, folder: Path, users: list[tuple[PhoneCodec, str, NDArray[np.int16]]], seconds: int
) -> list[NDArray[np.int16]]:
    """Call all at once; return what each heard, without its first second and a half."""
    with contextlib.ExitStack() as stack:
        phones = []
        for number, (codec, _, samples) in enumerate(users):
            phone = stack.enter_context(Baresip(folder / f"phone{number}", codec, samples))
            phones.append(phone)
        for phone, (_, user, _) in zip(
            phones, users, strict=True
        ):  # so that nobody comes late because the next one is being made
            phone.dial(f"sip:{user}@127.0.0.1:{server.sip_port}", seconds)
        heard = [phone.heard()[phone.codec.rate_hz * 3 // 2 :] for phone in phones]
    wait_until(lambda: server.xml.calls() == 0, "every phone has hung up")
    return heard


@pytest.mark.parametrize("phones", [PHONES, L16], ids=lambda phones: phones[0].name)
def test_each_codec_hears_itself(server: Server, tmp_path: Path, phones: tuple[PhoneCodec, ...]) -> None:
    users = [(codec, "echo", says(codec, LOW_HZ, HIGH_HZ)) for codec in phones]
    folders = (tmp_path / f"attempt{number}" for number in itertools.count())

    def measure() -> None:
        for codec, heard in zip(phones, talk(server, next(folders), users, 5), strict=True):
            assert len(heard) > codec.rate_hz, f"{codec.name} heard too little"
            found = tones.heard(heard, [LOW_HZ, *OTHERS_HZ], codec.rate_hz, 1500)
            assert found == {LOW_HZ}, codec.name
            if codec.rate_hz > 8000:
                assert tones.heard(heard, [HIGH_HZ], codec.rate_hz, 1000) == {HIGH_HZ}, f"{codec.name} lost what is above 4 kHz"

    calm(measure, 5)


def test_phones_of_all_codecs_meet_in_a_room(server: Server, tmp_path: Path) -> None:
    users = [(codec, "room9", says(codec, hz)) for codec, hz in zip(PHONES, ROOM_HZ, strict=False)]
    spoken = set(ROOM_HZ[: len(users)])
    for (codec, _, _), own_hz, heard in zip(users, ROOM_HZ, talk(server, tmp_path, users, 9), strict=False):
        second = codec.rate_hz
        parts = [tones.heard(heard[at : at + second], ROOM_HZ, second, 1000) for at in range(0, len(heard) - second, second // 2)]
        of_all = [
            found for found in parts if found >= spoken - {own_hz}
        ]  # on a busy machine the first leave when the last have just come
        assert of_all and of_all[-1] == spoken - {own_hz}, f"{codec.name} in the room: {parts}"
