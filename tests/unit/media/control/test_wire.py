# SPDX-License-Identifier: GPL-2.0-or-later
"""Records survive the wire between processes, whole or in pieces, and across versions."""

import contextlib
import dataclasses
import typing

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from di.sip import records as sip_records
from media.control import play_items, records
from media.control.wire import Hello, RecordCodec, Unknown

ALL = (*records.COMMANDS, *records.EVENTS, *sip_records.COMMANDS, *sip_records.EVENTS)


def _sample(hint: object) -> object:
    origin = typing.get_origin(hint)
    if origin is tuple:
        inner = typing.get_args(hint)
        return tuple(_sample(i) for i in inner if i is not Ellipsis)
    if origin is dict:
        return {"x": 1.5}
    if origin is not None:
        return _sample(typing.get_args(hint)[0])
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return hint(*(_sample(h) for h in typing.get_type_hints(hint).values()))
    return {int: 7, str: "text \udcff", bytes: b"\x00\xff", float: -3.5, bool: True}[typing.cast(type, hint)]


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.__name__)
def test_every_record_round_trips(cls: type) -> None:
    record = cls(*(_sample(h) for h in typing.get_type_hints(cls).values()))
    codec = RecordCodec(ALL)
    assert list(codec.feed(codec.pack(record))) == [record]


def test_bytes_may_come_in_any_pieces() -> None:
    codec = RecordCodec(ALL)
    sent = [Hello(1, "hub", 2), records.CloseLeg(3), records.Enqueue(4, (play_items.PlayFile("x"),))]
    stream = b"".join(codec.pack(r) for r in sent)
    got = [record for byte in stream for record in codec.feed(bytes([byte]))]
    assert got == sent


def test_missing_tail_takes_defaults_and_surplus_is_ignored() -> None:
    @dataclasses.dataclass(frozen=True)
    class CloseLeg:
        leg: int
        added_later: str = "new"

    old, new = RecordCodec([records.CloseLeg]), RecordCodec([CloseLeg])
    assert list(new.feed(old.pack(records.CloseLeg(5)))) == [CloseLeg(5, "new")]
    assert list(old.feed(new.pack(CloseLeg(5, "x")))) == [records.CloseLeg(5)]


def test_unknown_records_do_not_end_the_stream() -> None:
    old, new = RecordCodec([]), RecordCodec(ALL)
    assert list(old.feed(new.pack(records.CloseLeg(5)) + new.pack(Hello(1, "sip", 9)))) == [
        Unknown("CloseLeg"),
        Hello(1, "sip", 9),
    ]


@given(st.binary(max_size=200))
def test_any_bytes_give_values_or_value_error(data: bytes) -> None:
    codec = RecordCodec(ALL)
    with contextlib.suppress(ValueError):
        list(codec.feed(data))


def test_what_cannot_travel_is_named() -> None:
    with pytest.raises(TypeError, match="object cannot travel"):
        RecordCodec(ALL).pack(records.CloseLeg(typing.cast(int, object())))


def test_half_a_character_goes_as_a_replacement_and_a_byte_as_itself() -> None:
    codec = RecordCodec(ALL)
    sent = sip_records.SendRequest(7, "MESSAGE", 1, ("X-A: \ud83d", "X-B: \udce9"), "text/plain", b"\xff")
    (got,) = codec.feed(codec.pack(sent))
    assert got.headers == ("X-A: \ufffd", "X-B: \udce9") and got.body == b"\xff"
    assert list(codec.feed(codec.pack(Hello(1, "hub", 2)))) == [Hello(1, "hub", 2)]


@pytest.mark.parametrize("body", [[], ["CloseLeg"], 5, [7]])
def test_a_mangled_record_is_a_value_error(body: object) -> None:
    data = msgpack.packb(msgpack.ExtType(1, msgpack.packb(body)))
    with pytest.raises(ValueError, match=r"CloseLeg|a record must be"):
        list(RecordCodec(ALL).feed(data))


def test_what_fields_are_of_is_unpacked_too_and_nothing_else() -> None:
    codec = RecordCodec([records.Enqueue, records.CodecsAvailable])
    items = (play_items.PlayFile("x"), play_items.PlayEcho())
    sent = [records.Enqueue(4, items), records.CodecsAvailable((records.AudioFormat("PCMU", 8000),))]
    stream = b"".join(codec.pack(record) for record in (*sent, records.CloseLeg(5)))
    assert list(codec.feed(stream)) == [*sent, Unknown("CloseLeg")]
