# SPDX-License-Identifier: GPL-2.0-or-later
"""Session descriptions as text: put our media address in, read the peer's (RFC 4566).

pjsip does offer/answer (RFC 3264); the addresses that it writes belong to no socket, since media is another process's business.
"""

from __future__ import annotations

STANDARD_PTIME_MS = 20
SHORTEST_PTIME_MS, LONGEST_PTIME_MS = 10, 120
"""What the media process can send."""


def rewrite(description: str, ip: str, port: int, user: str = "sems", ptime_ms: int = STANDARD_PTIME_MS) -> str:
    """Point the audio stream at `ip:port`: its m= port, every c= line and the origin; a=rtcp is left out (RTP's port plus one).

    A stream that is refused (port 0) stays so. `user` becomes origin user and session name (spec core.md §7.3). `ptime_ms`: wished
    for in the audio stream when it is not the 20 ms that need no word.
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
        elif not line.startswith(("a=rtcp:", "a=ssrc:", "a=ptime:")):
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


_STATIC = {"0": "PCMU/8000", "3": "GSM/8000", "8": "PCMA/8000", "9": "G722/8000", "15": "G728/8000", "18": "G729/8000"}
"""Payload types that need no rtpmap (RFC 3551 §6)."""


def audio_codecs(description: str) -> list[str]:
    """What the first audio stream that is not refused offers, as upper-case `NAME/clock`, in order; telephone-event left out."""
    formats: list[str] = []
    names: dict[str, str] = {}
    inside = False
    for line in _lines(description):
        if line.startswith("m="):
            if inside:
                break
            words = line[2:].split()
            if len(words) > 3 and words[0] == "audio" and words[1] != "0":
                inside, formats = True, words[3:]
        elif inside and line.startswith("a=rtpmap:"):
            payload_type, _, name = line[9:].partition(" ")
            names[payload_type] = "/".join(name.strip().upper().split("/")[:2])
    found = [names.get(payload_type) or _STATIC.get(payload_type, "") for payload_type in formats]
    return [name for name in found if name and not name.startswith("TELEPHONE-EVENT/")]
