# SPDX-License-Identifier: GPL-2.0-or-later
"""Definitions of precoded files (`.predef`, spec core.md §8): which file holds an announcement in which payload.

    # payload_id;name;rate;channels;format_parameters;frame_ms;frame_bytes;file
    0;PCMU;8000;1;;20;160;greeting.pcmu
    9;G722;8000;1;;20;160;greeting.g722

Both hub and media process read them: the hub to know what may be offered, the media process to play. Only text is handled here.
"""

from __future__ import annotations

from dataclasses import dataclass

SUFFIX = ".predef"
FIELDS = ("payload_id", "name", "rate", "channels", "format_parameters", "frame_ms", "frame_bytes", "file")
LIMITS = {"payload_id": (0, 127), "rate": (1000, 192_000), "channels": (1, 2), "frame_ms": (1, 120), "frame_bytes": (1, 2000)}


class PredefError(Exception):
    """The definition is not understood; the text names file, line, what is wrong and what would be right."""


@dataclass(frozen=True, slots=True)
class Predef:
    """One line: a file of frames of `frame_bytes` each, `frame_ms` long, to be sent as they are. `rate_hz`: RTP clock."""

    payload_id: int
    name: str
    rate_hz: int
    channels: int
    format_parameters: str
    frame_ms: int
    frame_bytes: int
    file: str
    line: int


def parse_predef(text: str, name: str) -> tuple[Predef, ...]:
    """Return the lines of a definition. `name`: of the file, for messages. Raises PredefError."""
    found: list[Predef] = []
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        entry = _entry(line, number, name)
        known = next((e for e in found if (e.name, e.rate_hz) == (entry.name, entry.rate_hz)), None)
        if known is not None:
            raise PredefError(
                f"{name}:{number}: {entry.name}/{entry.rate_hz} stands in line {known.line} already; leave one of them"
            )
        found.append(entry)
    if not found:
        raise PredefError(f"{name}: there is no payload in it; a line is {';'.join(FIELDS)}")
    return tuple(found)


def _entry(line: str, number: int, name: str) -> Predef:
    parts = [part.strip() for part in line.split(";")]
    if len(parts) != len(FIELDS):
        raise PredefError(f"{name}:{number}: {len(parts)} fields where {len(FIELDS)} belong: {';'.join(FIELDS)}")
    fields = dict(zip(FIELDS, parts, strict=True))
    for field in ("name", "file"):
        if not fields[field] or "\0" in fields[field]:
            raise PredefError(f"{name}:{number}: the {field} is missing or no name")
    numbers: dict[str, int] = {}
    for field, (least, most) in LIMITS.items():
        text = fields[field]
        value = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
        if not least <= value <= most:
            raise PredefError(f"{name}:{number}: {field} is {text!r}; a whole number from {least} to {most} belongs there")
        numbers[field] = value
    codec = fields["name"].upper()
    return Predef(
        numbers["payload_id"],
        codec,
        8000 if codec == "G722" else numbers["rate"],  # its RTP clock, not the 16 kHz that it samples at (RFC 3551 §4.5.2)
        numbers["channels"],
        fields["format_parameters"],
        numbers["frame_ms"],
        numbers["frame_bytes"],
        fields["file"],
        number,
    )
