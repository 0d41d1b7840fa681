# SPDX-License-Identifier: GPL-2.0-or-later
"""Frozen records as msgpack: the one format between hub, SIP process and media processes.

A record is a frozen dataclass whose fields are None, bool, int, float, str, bytes, tuples, dicts or further records. On the wire it is
an extension value (code 1) around ``[class name, field, field, …]``. Fields may be added at the end with a default: an older sender
leaves them out, a newer sender's surplus is ignored. Unknown record names decode to ``Unknown`` so that one new message does not end
a connection.
"""

from __future__ import annotations

import dataclasses
import logging
import operator
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, get_args, get_type_hints

import msgpack

log = logging.getLogger(__name__)
_NO_CHARACTER = re.compile("[\ud800-\udc7f\udd00-\udfff]")
"""Halves of UTF-16 pairs that do not stand for a byte either (PEP 383)."""

VERSION = 1
"""Raised when a record changes in a way that an older peer would misread; ``Hello`` carries it."""

_RECORD = 1
_MAX_MESSAGE_BYTES = 16 << 20


@dataclasses.dataclass(frozen=True, slots=True)
class Hello:
    """First record each way: protocol version, role (``hub``, ``sip``, ``media``) and pid."""

    version: int
    role: str
    pid: int


@dataclasses.dataclass(frozen=True, slots=True)
class Ping:
    """The hub asks whether a process is there; the process's loop answers with Pong of the same number at its next turn."""

    number: int


@dataclasses.dataclass(frozen=True, slots=True)
class Pong:
    """It is."""

    number: int


@dataclasses.dataclass(frozen=True, slots=True)
class LogLevel:
    """From now on a process logs this and what is graver: a name of `logging`."""

    name: str


@dataclasses.dataclass(frozen=True, slots=True)
class Unknown:
    """A record of a name that this process does not know."""

    name: str


def _with_parts(classes: Iterable[type]) -> dict[type, None]:
    """Return the classes and, of their fields, each that is a record itself, also one in a tuple or a union."""
    seen: dict[type, None] = {}
    hints = list[object](classes)
    while hints:
        hint = hints.pop()
        if isinstance(hint, type) and dataclasses.is_dataclass(hint) and hint not in seen:
            seen[hint] = None
            hints += get_type_hints(hint).values()
        hints += get_args(hint)
    return seen


def _readable(value: Any) -> Any:
    """The same with U+FFFD for what no byte stands for, in every text."""
    if isinstance(value, str):
        return _NO_CHARACTER.sub("\ufffd", value)
    if isinstance(value, (tuple, list)):
        return tuple(_readable(item) for item in value)
    if isinstance(value, dict):
        return {_readable(key): _readable(item) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return type(value)(*(_readable(getattr(value, field.name)) for field in dataclasses.fields(value)))
    return value


def _getter(kind: type) -> Callable[[object], tuple[object, ...]]:
    """What takes the fields of a record of that class. Raises TypeError for what is no record."""
    if not dataclasses.is_dataclass(kind):
        raise TypeError(f"{kind.__name__} cannot travel between processes")
    names = tuple(field.name for field in dataclasses.fields(kind))
    if len(names) > 1:
        return operator.attrgetter(*names)  # a third of the time of one getattr after the other
    return lambda record: tuple(getattr(record, name) for name in names)


class RecordCodec:
    """Packs any record; unpacks the given classes and those that their fields are of. Keeps the state of one byte stream."""

    def __init__(self, classes: Iterable[type]) -> None:
        self._classes: dict[str, tuple[type, int]] = {
            cls.__name__: (cls, len(dataclasses.fields(cls))) for cls in _with_parts((Hello, Ping, Pong, LogLevel, *classes))
        }
        self._fields: dict[type, Callable[[object], tuple[object, ...]]] = {}
        self._unpacker = msgpack.Unpacker(
            use_list=False,
            raw=False,
            unicode_errors="surrogateescape",
            strict_map_key=False,
            ext_hook=self._decode,
            max_buffer_size=_MAX_MESSAGE_BYTES,
        )
        self._packers: list[msgpack.Packer] = []  # one for each depth of a record in a record
        self._depth = 0

    def pack(self, record: object) -> bytes:
        """Return the bytes of one record. Raises TypeError for a field that msgpack cannot carry.

        Half a UTF-16 pair in a text, which stands for no character and no byte, goes as U+FFFD: a text costs nobody his call.
        """
        try:
            body = self._body(record)
        except UnicodeEncodeError:
            log.warning("%s carries a text with half a character, which goes as U+FFFD", type(record).__name__)
            body = self._body(_readable(record))
        packed: bytes = self._packers[0].pack_ext_type(_RECORD, body)  # type: ignore[func-returns-value,assignment]  # of its stubs
        return packed

    def _body(self, record: object) -> bytes:
        """Name and fields, by the packer of this depth: one that is at work cannot begin again, and to make one costs more than to use it."""
        kind = type(record)
        fields = self._fields.get(kind)
        if fields is None:
            fields = self._fields[kind] = _getter(kind)
        if self._depth == len(self._packers):
            self._packers.append(msgpack.Packer(default=self._encode, unicode_errors="surrogateescape", use_bin_type=True))
        packer = self._packers[self._depth]
        self._depth += 1
        try:
            packed: bytes = packer.pack((kind.__name__, *fields(record)))
        except BaseException:
            packer.reset()
            raise
        finally:
            self._depth -= 1
        return packed

    def feed(self, data: bytes) -> Iterator[Any]:
        """Take bytes from the stream and yield each record completed by them.

        Raises ValueError when the bytes are no msgpack or a message is over 16 MiB: the connection is then useless.
        """
        self._unpacker.feed(data)
        try:
            yield from self._unpacker
        except TypeError as error:  # msgpack's word for a map whose key is a map
            raise ValueError(f"no record: {error}") from None

    def _encode(self, record: object) -> msgpack.ExtType:
        return msgpack.ExtType(_RECORD, self._body(record))

    def _decode(self, code: int, data: bytes) -> object:
        if code != _RECORD:
            return Unknown(f"extension {code}")
        body = msgpack.unpackb(
            data, use_list=False, unicode_errors="surrogateescape", strict_map_key=False, ext_hook=self._decode
        )
        if not isinstance(body, tuple) or not body or not isinstance(body[0], str):
            raise ValueError("a record must be [name, field, …]")
        entry = self._classes.get(body[0])
        if entry is None:
            return Unknown(body[0])
        cls, count = entry
        try:
            record: object = cls(*body[1 : count + 1])
        except TypeError as error:
            raise ValueError(f"{body[0]}: {error}") from None
        return record
