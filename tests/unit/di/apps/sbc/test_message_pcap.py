# SPDX-License-Identifier: GPL-2.0-or-later
"""Capture files of SIP messages, read again with dpkt."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import dpkt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from di.apps.api import MessageSeen, PatternValues
from di.apps.sbc.message_files import append_all
from di.apps.sbc.message_pcap import capture, path_of
from di.apps.sbc.profile import Profile

PLAIN = Profile()
IPS = st.ip_addresses().map(str)


def seen(data: bytes, source: str = "192.0.2.1", target: str = "192.0.2.2") -> MessageSeen:
    return MessageSeen(2, 1_700_000_000_123_456, source, 5060, target, 5062, False, data)


@given(st.lists(st.tuples(st.binary(max_size=2000), IPS, IPS), max_size=4))
def test_each_message_is_there_with_its_ends(messages: list[tuple[bytes, str, str]]) -> None:
    data = capture([seen(*one) for one in messages], with_header=True)
    packets = list(dpkt.pcap.Reader(io.BytesIO(data)))
    assert len(packets) == len(messages)
    for (at_s, raw), (body, *_) in zip(packets, messages, strict=True):
        assert abs(at_s - 1_700_000_000.123456) < 1e-5
        ip = dpkt.ip6.IP6(raw) if raw[0] >> 4 == 6 else dpkt.ip.IP(raw)
        assert (ip.data.sport, ip.data.dport, ip.data.data) == (5060, 5062, body)


def test_files_grow_and_one_that_cannot_be_written_costs_only_itself(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    for _ in range(2):
        append_all(
            {tmp_path / "file" / "x.pcap": [seen(b"x")], tmp_path / "a" / "b.pcap": [seen(b"INVITE"), seen(b"ACK", "::1", "::2")]}
        )
    with (tmp_path / "a" / "b.pcap").open("rb") as file:
        assert len(list(dpkt.pcap.Reader(file))) == 4
    assert caplog.text.count("cannot be written") == 2


def test_a_file_that_is_something_else_stays_as_it_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    others = {"keys": b"secret", "long": b"x" * 100, "other": capture([], with_header=True)[:20] + b"\1\0\0\0"}
    for name, text in others.items():
        (tmp_path / name).write_bytes(text)
    append_all({tmp_path / name: [seen(b"x")] for name in others})
    assert {name: (tmp_path / name).read_bytes() for name in others} == others
    assert caplog.text.count("it is there already") == 3


@given(st.text(max_size=300), st.text(max_size=20))
def test_values_of_callers_are_names_in_one_folder(call_id: str, user: str) -> None:
    pattern = "/var/log/$ci$V(user).pcap"
    filled = replace(PLAIN, msg_logger_path=pattern).filled(PatternValues(call_id=call_id, variables={"user": user}))
    name = filled.msg_logger_path.removeprefix("/var/log/")
    assert "/" not in name and (not name.startswith(".") or name == ".pcap")
    if name.isprintable():
        assert path_of(pattern, filled.msg_logger_path).parent == Path("/var/log")


@pytest.mark.parametrize(
    ("call_id", "name"),
    [("a@b", "a@b"), ("../x/y", "___x_y"), (".bashrc", "_bashrc"), ("a/../b", "a_.._b"), ("a.b", "a.b"), ("/", "_")],
)
def test_names_of_call_ids(call_id: str, name: str) -> None:
    filled = replace(PLAIN, msg_logger_path="/log/a.b/.c/$ci.pcap").filled(PatternValues(call_id=call_id))
    assert filled.msg_logger_path == f"/log/a.b/.c/{name}.pcap"


@pytest.mark.parametrize(
    ("pattern", "filled", "why"),
    [
        ("/var/log/$ci.pcap", "/var/log/../../etc/x", "leads out"),
        ("/var/log/$ci.pcap", "/etc/x", "leads out"),
        ("/var/log/$ci", "/var/log/", "leads out"),
        ("/var/log/$ci", "/var/log/a\nb", "leads out"),
        ("log/$ci", "log/x", "absolute"),
        ("$ci", "x", "absolute"),
    ],
)
def test_no_caller_chooses_the_folder(pattern: str, filled: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        path_of(pattern, filled)
    assert path_of("/var/log/$ci.pcap", "/var/log/a@b/c.pcap") == Path("/var/log/a@b/c.pcap")
