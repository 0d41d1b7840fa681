# SPDX-License-Identifier: GPL-2.0-or-later
"""Samples to packets and back: order, losses, what is no packet of ours."""

from __future__ import annotations

import array

from hypothesis import given
from hypothesis import strategies as st

from clients.app.pcm import RtpReader, RtpWriter


def frame(value: int, samples: int = 160) -> bytes:
    return array.array("h", [value] * samples).tobytes()


def test_what_was_written_is_read_in_frames_and_little_endian() -> None:
    writer, reader = RtpWriter(8000, 7, 65535, (1 << 32) - 160), RtpReader(8000)
    packets = [writer.write(frame(value)) for value in (1, -2, 300)]
    assert [packet[1] for packet in packets] == [0x80 | 96, 96, 96] and packets[0][12:14] == b"\x00\x01"
    assert [reader.read(packet) for packet in packets] == [frame(1), frame(-2), frame(300)]


def test_a_short_frame_is_filled_and_a_pause_is_marked() -> None:
    writer = RtpWriter(16000, 7, 0, 0)
    assert len(writer.write(b"\x01\x00")) == 12 + 640
    writer.pass_by()
    marked = writer.write(frame(1, 320))
    assert marked[1] == 0x80 | 96 and int.from_bytes(marked[4:8], "big") == 640


def test_what_is_lost_is_silence_and_what_is_late_is_left_out() -> None:
    writer, reader = RtpWriter(8000, 7, 0, 0), RtpReader(8000)
    one, two, three = (writer.write(frame(value)) for value in (1, 2, 3))
    assert reader.read(one) == frame(1)
    assert reader.read(three) == frame(0) + frame(3)
    assert reader.read(two) == b"" and reader.read(three) == b"" and reader.lost_samples == 160
    assert reader.read(RtpWriter(8000, 8, 0, 99).write(frame(4))) == frame(4), "a new sender"


@given(st.binary(max_size=400))
def test_any_datagram_gives_whole_samples(data: bytes) -> None:
    assert len(RtpReader(8000).read(data)) % 2 == 0
    assert len(RtpReader(8000).read(b"\x80\x60" + data)) % 2 == 0
