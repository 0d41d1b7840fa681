# SPDX-License-Identifier: GPL-2.0-or-later
"""Session descriptions as text: put our media address in, read the peer's (RFC 4566).

pjsip does offer/answer (RFC 3264); the addresses that it writes belong to no socket, since media is another process's business.
"""

from __future__ import annotations


def rewrite(description: str, ip: str, port: int, user: str = "sems") -> str:
    """Point the audio stream at `ip:port`: its m= port, every c= line and the origin; a=rtcp is left out (RTP's port plus one).

    A stream that is refused (port 0) stays so. `user` becomes origin user and session name (spec core.md §7.3).
    """
    family = "IP6" if ":" in ip else "IP4"
    out: list[str] = []
    for line in _lines(description):
        kind = line[:2]
        if kind == "m=":
            out.append(_moved(line, port))
        elif kind == "c=":
            out.append(f"c=IN {family} {ip}")
        elif kind == "o=":
            words = line[2:].split(" ")
            out.append(f"o={user} {words[1]} {words[2]} IN {family} {ip}" if len(words) == 6 else line)
        elif kind == "s=":
            out.append(f"s={user}")
        elif not line.startswith(("a=rtcp:", "a=ssrc:")):
            out.append(line)
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
