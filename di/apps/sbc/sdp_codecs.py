# SPDX-License-Identifier: GPL-2.0-or-later
"""The codecs that a session description offers for its first audio stream (RFC 8866). Pure; any bytes give an answer."""

from __future__ import annotations

import re

STATIC = {
    0: "PCMU/8000", 3: "GSM/8000", 4: "G723/8000", 5: "DVI4/8000", 6: "DVI4/16000", 8: "PCMA/8000", 9: "G722/8000", 10: "L16/44100",
    11: "L16/44100", 15: "G728/8000", 18: "G729/8000",
}  # fmt: skip
"""RFC 3551 §6, where no rtpmap says it."""
_RTPMAP = re.compile(r"a=rtpmap:(\d{1,3})[ \t]+([^/ \t]+)/(\d{1,6})")


def codecs_of(description: bytes) -> tuple[str, ...]:
    """Upper-case NAME/clock in the order of the first audio line that is not refused; without telephone events and comfort noise."""
    stream = _audio_of(description.decode("utf-8", "replace"))
    if not stream:
        return ()
    named = {int(found[1]): f"{found[2].upper()}/{found[3]}" for found in map(_RTPMAP.match, stream[1:]) if found is not None}
    types = [int(word) for word in stream[0].split()[3:] if word.isdecimal() and len(word) < 4]
    all_names = (named.get(number) or STATIC.get(number, "") for number in types)
    return tuple(dict.fromkeys(name for name in all_names if name and not name.startswith(("TELEPHONE-EVENT/", "CN/"))))


def _audio_of(text: str) -> list[str]:
    """The lines of the first audio stream with a port."""
    lines = [line.strip() for line in text.splitlines()]
    starts = [at for at, line in enumerate(lines) if line.startswith("m=")]
    for at, end in zip(starts, [*starts, len(lines)][1:], strict=True):
        words = lines[at].split()
        if words[0] == "m=audio" and len(words) > 3 and words[1] != "0":
            return lines[at:end]
    return []
