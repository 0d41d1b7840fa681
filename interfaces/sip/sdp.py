# SPDX-License-Identifier: GPL-2.0-or-later
"""Session descriptions as text: put our media address in, read the peer's (RFC 4566).

pjsip does offer/answer (RFC 3264); the addresses that it writes belong to no socket, since media is another process's business.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

STANDARD_PTIME_MS = 20
SHORTEST_PTIME_MS, LONGEST_PTIME_MS = 10, 120
"""What the media process can send."""


def rewrite(description: str, ip: str, port: int, user: str = "sems", ptime_ms: int = STANDARD_PTIME_MS) -> str:
    """Point the audio stream at `ip:port`: its m= port, every c= line and the origin; a=rtcp is left out (RTP's port plus one).

    So are bandwidths: pjsip's are those of the widest codec that it knows, whichever is spoken. A stream that is refused (port 0)
    stays so. `user` becomes origin user and session name (spec core.md §7.3). `ptime_ms`: wished for in the audio stream when it is
    not the 20 ms that need no word.
    """
    family = "IP6" if ":" in ip else "IP4"
    out: list[str] = []
    ends: list[int] = []
    for line in _lines(description):
        kind = line[:2]
        if kind == "m=":
            ends.append(len(out))
            out.append(_moved(line, port))
        elif kind == "c=":
            out.append(f"c=IN {family} {ip}")
        elif kind == "o=":
            words = line[2:].split(" ")
            out.append(f"o={user} {words[1]} {words[2]} IN {family} {ip}" if len(words) == 6 else line)
        elif kind == "s=":
            out.append(f"s={user}")
        elif not line.startswith(("a=rtcp:", "a=ssrc:", "a=ptime:", "b=AS:", "b=TIAS:")):
            out.append(line)
    if ptime_ms != STANDARD_PTIME_MS and ends and out[ends[0]].startswith("m=audio "):
        out.insert(ends[1] if len(ends) > 1 else len(out), f"a=ptime:{ptime_ms}")
    return "".join(line + "\r\n" for line in out)


def _moved(line: str, port: int) -> str:
    words = line.split(" ")
    if words[0] == "m=audio" and len(words) > 3 and words[1] != "0":
        words[1] = str(port)
    return " ".join(words)


def _lines(description: str) -> list[str]:
    return [line for line in description.replace("\r\n", "\n").replace("\r", "\n").split("\n") if line]


def audio_address(description: str) -> tuple[str, int]:
    """Address of the first audio stream that is not refused; ("", 0) when there is none."""
    session_ip, ip, port, inside = "", "", 0, False
    for line in _lines(description):
        if line.startswith("m="):
            if inside:
                break
            words = line[2:].split(" ")
            number = words[1].split("/")[0] if len(words) > 1 else ""
            if words[0] == "audio" and number.isascii() and number.isdigit() and 0 < int(number) < 65536:
                inside, port = True, int(number)
        elif line.startswith("c="):
            address = line[2:].split(" ")[-1].split("/")[0]
            if inside:
                ip = address
            elif not session_ip:
                session_ip = address
    return (ip or session_ip, port) if inside else ("", 0)


def wished_ptime_ms(description: str, ptime_ms: int = 0) -> int:
    """How long the first audio stream wants its packets (RFC 4566 §6): its ptime, at most its maxptime, within what can be sent.

    `ptime_ms`: taken for its ptime when not 0. Attributes that are no numbers are passed over.
    """
    inside = False
    found = {"ptime": ptime_ms or STANDARD_PTIME_MS, "maxptime": LONGEST_PTIME_MS}
    for line in _lines(description):
        if line.startswith("m="):
            if inside:
                break
            inside = line.startswith("m=audio ")
        name, _, value = line[2:].strip().partition(":")
        number = int(value) if value.isascii() and value.isdigit() and len(value) < 6 else 0
        if inside and line.startswith("a=") and number and (name == "maxptime" or (name == "ptime" and not ptime_ms)):
            found[name] = number
    return min(max(min(found["ptime"], found["maxptime"]), SHORTEST_PTIME_MS), LONGEST_PTIME_MS)


def fmtp_of(description: str, payload_type: int) -> str:
    """The parameters that the first audio stream gives for a payload type; empty without."""
    inside = False
    wanted = f"a=fmtp:{payload_type} "
    for line in _lines(description):
        if line.startswith("m="):
            if inside:
                break
            inside = line.startswith("m=audio ")
        elif inside and line.startswith(wanted):
            return line[len(wanted) :].strip()
    return ""


def keep_codecs(description: str, wanted: Collection[str]) -> str:
    """Leave only codecs of these upper-case `NAME/clock` in the audio streams, and telephone-event at their clocks.

    Where none would be left a stream stays as it is.
    """
    kept = [
        line
        for block in _blocks(description)
        for line in (_thinned(block, wanted) if block and block[0].startswith("m=audio ") else block)
    ]
    return "".join(line + "\r\n" for line in kept)


def keep_offered(description: str, offer: str) -> str:
    """Leave only what an offer has: what pjsip keeps of ours a call is then short. By name, and static types by number too."""
    block = _audio_lines(offer)
    numbered = {_STATIC[kind] for kind in (block[0].split()[3:] if block else []) if kind in _STATIC}
    return keep_codecs(description, numbered | set(audio_codecs(offer)))


def only(description: str, codecs: Collection[str]) -> str:
    """Like ``keep_codecs``, but without any of them in the audio stream it is refused (port 0). Empty `codecs` change nothing."""
    if not codecs:
        return description
    if any(name in codecs for name in audio_codecs(description)):
        return keep_codecs(description, codecs)
    lines = [
        f"m=audio 0 {line.split(' ', 2)[2]}" if line.startswith("m=audio ") and line.count(" ") > 1 else line
        for line in _lines(description)
    ]
    return "".join(line + "\r\n" for line in lines)


def in_order(description: str, codecs: Sequence[str]) -> str:
    """Name the audio stream's codecs in this order, the most wanted first; what is not among them, and telephone-event, comes after."""
    block = _audio_lines(description)
    if not block:
        return description
    names = _format_names(block)
    words = block[0].split()
    rank = {name: place for place, name in enumerate(codecs)}
    kinds = sorted(words[3:], key=lambda kind: rank.get(names.get(kind, ""), len(rank)))
    head = " ".join([*words[:3], *kinds])
    return "".join((head if line == block[0] else line) + "\r\n" for line in _lines(description))


DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")


def with_direction(description: str, direction: str) -> str:
    """Give each audio stream that is not refused this direction (RFC 4566 §6), in place of the one that it has."""
    out: list[str] = []
    for block in _blocks(description):
        taken = block and block[0].startswith("m=audio ") and not block[0].startswith("m=audio 0 ")
        out += [*(line for line in block if line[2:] not in DIRECTIONS), f"a={direction}"] if taken else block
    return "".join(line + "\r\n" for line in out)


def _blocks(description: str) -> list[list[str]]:
    """The lines of the session, then those of each stream."""
    blocks: list[list[str]] = [[]]
    for line in _lines(description):
        if line.startswith("m="):
            blocks.append([])
        blocks[-1].append(line)
    return blocks


def _thinned(block: list[str], wanted: Collection[str]) -> list[str]:
    words = block[0].split()
    names = _format_names(block)
    kept = {kind for kind in words[3:] if names.get(kind, "") in wanted}
    clocks = {names[kind].rpartition("/")[2] for kind in kept}
    kept |= {kind for kind in words[3:] if names.get(kind, "").startswith(_EVENT) and names[kind].rpartition("/")[2] in clocks}
    if not clocks:
        return block
    head = " ".join([*words[:3], *(kind for kind in words[3:] if kind in kept)])
    return [head, *(line for line in block[1:] if not (about := _ABOUT.match(line)) or about[1] in kept)]


def agree_on_mode(description: str, offer: str) -> str:
    """Make our answer's iLBC frame length the offer's: 30 ms unless that says 20 (RFC 3952 §5). `description`: with all that we take."""
    if "ILBC" not in description.upper():
        return description
    theirs = [kind for kind, name in _format_names(_audio_lines(offer)).items() if name == "ILBC/8000"]
    asked = [fmtp_of(offer, int(kind)) for kind in theirs if kind.isascii() and kind.isdigit()]
    if any("mode=20" in fmtp.replace(" ", "").split(";") for fmtp in asked):
        return description
    ours = {f"a=fmtp:{kind} " for kind, name in _format_names(_audio_lines(description)).items() if name == "ILBC/8000"}
    lines = (f"{start}mode=30" if (start := line[: line.find(" ") + 1]) in ours else line for line in _lines(description))
    return "".join(line + "\r\n" for line in lines)


_RTPMAP = re.compile(r"^A=RTPMAP:(\S+)[ \t]+([^/\s]+)/([0-9]+)(?:/([0-9]+))?", re.MULTILINE | re.ASCII)
_ABOUT = re.compile(r"a=(?:rtpmap|fmtp):(\S+)", re.ASCII)
_EVENT = "TELEPHONE-EVENT/"
_STATIC = {
    "0": "PCMU/8000", "2": "G721/8000", "3": "GSM/8000", "8": "PCMA/8000", "9": "G722/8000", "10": "L16/44100/2", "11": "L16/44100",
    "15": "G728/8000", "18": "G729/8000",
}  # fmt: skip
"""Payload types that need no rtpmap (RFC 3551 §6)."""


def audio_codecs(description: str) -> list[str]:
    """What the first audio stream that is not refused offers, as upper-case `NAME/clock`, in order; telephone-event left out.

    Several channels are part of the name, but Opus's, which every one has.
    """
    block = _audio_lines(description)
    names = _format_names(block)
    found = [names.get(kind, "") for kind in (block[0].split()[3:] if block else [])]
    return [name for name in found if name and not name.startswith(_EVENT)]


def _audio_lines(description: str) -> list[str]:
    """The lines of the first audio stream that is not refused."""
    block: list[str] = []
    for line in _lines(description):
        if line.startswith("m="):
            if block:
                break
            words = line[2:].split()
            if len(words) > 3 and words[0] == "audio" and words[1] != "0":
                block.append(line)
        elif block:
            block.append(line)
    return block


def _format_names(block: list[str]) -> dict[str, str]:
    """Name of each payload type in a stream's lines."""
    names = {kind: _STATIC.get(kind, "") for kind in (block[0].split()[3:] if block else [])}
    for kind, name, clock, channels in _RTPMAP.findall("\n".join(block).upper()):
        names[kind] = f"{name}/{clock}" + (f"/{channels}" if channels not in ("", "1") and name != "OPUS" else "")
    return names
