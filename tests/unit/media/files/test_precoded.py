# SPDX-License-Identifier: GPL-2.0-or-later
"""Precoded files: what a definition may say and how it is refused, and that what is played are the file's bytes."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media import codecs
from media.control.play_items import PlayFile
from media.control.predef import LIMITS, PredefError, parse_predef
from media.control.records import Enqueue, FlushPlaylist, PlaylistEmptied, SendDigit
from media.engine.sources import StoredAudio
from media.files.audio_file import AudioFileError
from media.files.precoded import read_precoded
from media.io.loader import FileLoader
from tests.support.engine_rig import EngineRig

PEER = ("127.0.0.1", 30000)
LINE = "0;PCMU;8000;1;;20;160;a.pcmu"


def test_a_definition_is_read_with_comments_blanks_and_line_ends() -> None:
    text = f"# what there is\r\n\r\n {LINE} \r\n9 ; g722;16000;1; ;20;160; sub/b.g722\n98;iLBC;8000;1;mode=30;30;50;c\n"
    entries = parse_predef(text, "x.predef")
    assert [(e.payload_id, e.name, e.rate_hz, e.frame_ms, e.frame_bytes, e.file, e.line) for e in entries] == [
        (0, "PCMU", 8000, 20, 160, "a.pcmu", 3), (9, "G722", 8000, 20, 160, "sub/b.g722", 4), (98, "ILBC", 8000, 30, 50, "c", 5),
    ]  # fmt: skip
    assert entries[2].format_parameters == "mode=30"


@pytest.mark.parametrize(
    ("text", "says"),
    [("", "there is no payload in it"), ("# nothing\n", "a line is payload_id;name"), ("0;PCMU;8000", "x:1: 3 fields where 8 belong"),
     (f"{LINE}\n{LINE}", "x:2: PCMU/8000 stands in line 1 already"), (LINE.replace("8000", "fast"), "rate is 'fast'; a whole number"),
     (LINE.replace(";20;", ";0;"), "frame_ms is '0'; a whole number from 1 to 120"), (LINE.replace("PCMU", ""), "the name is missing"),
     (LINE.replace("160", "²"), "frame_bytes is '²'"), (LINE.replace("0;P", "200;P"), "payload_id is '200'")],
)  # fmt: skip
def test_mistakes_are_named_with_line_and_fix(text: str, says: str) -> None:
    with pytest.raises(PredefError, match=r"^x") as raised:
        parse_predef(text, "x")
    assert says in str(raised.value)


@given(st.text() | st.lists(st.sampled_from([*"0123456789;#\n\r.x", LINE, "\0"])).map("".join))
def test_any_text_is_a_definition_or_an_error_that_names_the_file(text: str) -> None:
    try:
        entries = parse_predef(text, "the-file")
    except PredefError as error:
        assert str(error).startswith("the-file:")
        return
    for entry in entries:
        assert entry.name and entry.file
        assert all(low <= getattr(entry, {"rate": "rate_hz"}.get(f, f)) <= high for f, (low, high) in LIMITS.items())


@given(st.binary(max_size=300))
def test_any_bytes_on_disk_are_frames_or_an_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / "x.predef").write_bytes(data)
    (folder / "y.predef").write_text("0;PCMU;8000;1;;20;160;frames")
    (folder / "frames").write_bytes(data)
    for name in ("x.predef", "y.predef"):
        try:
            found = read_precoded(str(folder / name), "PCMU", 8000)
        except AudioFileError as error:
            assert str(folder) in str(error)
        else:
            assert len(found.payload) % found.frame_bytes == 0


def test_errors_of_files_say_which_line_names_them(tmp_path: Path) -> None:
    path = tmp_path / "x.predef"
    path.write_text(f"# first\n{LINE}\n")
    with pytest.raises(AudioFileError, match=r"a\.pcmu: No such file or directory \(named in .*x\.predef\)"):
        read_precoded(str(path), "PCMU", 8000)
    (tmp_path / "a.pcmu").write_bytes(b"x" * 200)
    with pytest.raises(
        AudioFileError, match=r"200 bytes are no whole number of frames of 160 bytes; mend frame_bytes in .*x\.predef:2"
    ):
        read_precoded(str(path), "PCMU", 8000)
    with pytest.raises(AudioFileError, match="no line for opus/48000, which the call speaks; there are PCMU/8000"):
        read_precoded(str(path), "opus", 48000)


def test_a_changed_file_of_frames_is_read_again(tmp_path: Path) -> None:
    path, frames = tmp_path / "x.predef", tmp_path / "a.pcmu"
    path.write_text(LINE)
    frames.write_bytes(bytes([1] * 160))
    codec = codecs.find("PCMU", 8000)
    assert codec is not None
    loader = FileLoader(lambda: None)
    assert loader.read(str(path), codec) is loader.read(str(path), codec)
    frames.write_bytes(bytes([2] * 320))
    assert loader.read(str(path), codec).payload.tolist() == [2] * 320
    loader.close()


def start(name: str, clock_hz: int, audio: StoredAudio, ptime_ms: int = 20, **item: object) -> EngineRig:
    rig = EngineRig()
    codec = codecs.find(name, clock_hz)
    assert codec is not None
    rig.connect(1, PEER, name, clock_hz, 96, ptime_ms=ptime_ms, channels=codec.channels, dtmf_send=101)
    rig.do(Enqueue(1, (PlayFile("x.predef", **item),)))  # type: ignore[arg-type]
    for wanted in rig.engine.take_wanted():
        rig.engine.file_loaded(wanted.token, audio, "")
    return rig


@pytest.mark.parametrize(
    ("name", "clock_hz", "frame_ms", "frame_bytes", "ptime_ms", "packet_ms"),
    [("G722", 8000, 20, 160, 20, 20), ("GSM", 8000, 20, 33, 60, 60), ("G722", 8000, 10, 80, 20, 20), ("G722", 8000, 30, 240, 20, 30),
     ("G722", 8000, 40, 320, 20, 40), ("OPUS", 48000, 20, 80, 60, 20), ("OPUS", 48000, 60, 200, 20, 60), ("SPEEX", 16000, 20, 70, 20, 20),
     ("PCMU", 8000, 20, 160, 40, 40)],
)  # fmt: skip
def test_what_is_sent_are_the_files_bytes_in_time(
    name: str, clock_hz: int, frame_ms: int, frame_bytes: int, ptime_ms: int, packet_ms: int
) -> None:
    codec = codecs.find(name, clock_hz)
    assert codec is not None
    data = np.random.default_rng(1).integers(0, 256, 24 * frame_bytes).astype(np.uint8)
    audio = StoredAudio(codec, data, frame_ms, frame_bytes) if codec.coder else StoredAudio(codec, data)
    rig = start(name, clock_hz, audio, ptime_ms)
    sent: list[bytes] = []
    timestamps: list[int] = []
    for _ in range(24 * frame_ms // 20 + 3):
        for packet in rig.tick_all().get(1, []):
            if not any(isinstance(e, PlaylistEmptied) for e in rig.events[:-1]):
                timestamps.append(int.from_bytes(packet[4:8], "big"))
                sent.append(packet[12:])
    whole = b"".join(sent)
    assert whole[: len(data)] == data.tobytes()
    assert {len(p) for p in sent[: len(data) // len(sent[0])]} == {packet_ms // frame_ms * frame_bytes}
    assert set(np.diff(np.array(timestamps[: len(data) // len(sent[0])], np.uint32)).tolist()) == {clock_hz * packet_ms // 1000}
    assert [type(e) for e in rig.events].count(PlaylistEmptied) == 1
    row = rig.engine.legs.rows[0]
    assert (row["send_bytes"], row["send_ticks"]) == (row["usual_bytes"], row["usual_ticks"])


def test_loops_seeks_pauses_for_keys_and_ends_when_flushed() -> None:
    codec = codecs.find("G722", 8000)
    assert codec is not None
    data = np.repeat(np.arange(1, 6, dtype=np.uint8), 160)
    rig = start("G722", 8000, StoredAudio(codec, data, 20, 160), loop=True, seek_ms=40)
    firsts = [rig.tick()[1][12] for _ in range(9)]
    assert firsts == [3, 4, 5, 1, 2, 3, 4, 5, 1]
    rig.do(SendDigit(1, 5, 60))
    kinds = [rig.tick()[1][1] & 127 for _ in range(12)]
    assert kinds[:5] == [101] * 5 and kinds[-1] == 96
    rig.do(FlushPlaylist(1))
    packet = rig.tick()[1]
    assert (len(packet) == 172 and packet[12:] != bytes([packet[12]] * 160)) or struct.unpack(">H", packet[2:4])
    assert rig.engine.legs.rows[0]["send_bytes"] == 640
