# SPDX-License-Identifier: GPL-2.0-or-later
"""Single lines of a description as they were meant, and which hosts a c= line can name. `lenient` puts them together."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from functools import lru_cache

from interfaces.sip.sdp.memories import bounded
from interfaces.sip.sdp.model import END, closed, connection_of, number, rtpmap_of

STAND_IN = {"IP4": "192.0.2.1", "IP6": "2001:db8::1"}
"""RFC 5737, RFC 3849."""
_FIRST = {"v=": "v=0", "o=": "o=- 0 0 IN IP4 127.0.0.1", "s=": "s=-"}
"""Lines that every description begins with."""
_LARGEST_NUMBER = 2**63 - 1
TOKEN = frozenset("!#$%&'*+-.^_`{|}~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
NEEDED = ("rtpmap", "fmtp", "ptime", "maxptime", "sendrecv", "sendonly", "recvonly", "inactive", "rtcp", "rtcp-mux", "crypto")
"""Attributes that stand first where there are too many."""
_NAME = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?", re.ASCII)
PLAIN = re.compile(
    r"v=0\r\no=[^ \r\n]+ [0-9]{1,18} [0-9]{1,18} IN IP[46] [^ \r\n]+\r\ns=[^ \r\n][^\r\n]*\r\n"
    r"(?:c=IN (?:IP4 [^ /:\r\n]+|IP6 [^ /\r\n]*:[^ /\r\n]*)\r\n|t=[0-9]{1,18} [0-9]{1,18}\r\n|b=[A-Z]+:[0-9]{1,9}\r\n|"
    r"m=[a-z]+ [0-9]+ [A-Z/]+(?: [0-9]+)+\r\n|"
    r"a=rtpmap:[0-9]+ [^ /\r\n]+/[1-9][0-9]{0,8}(?:/[1-9])?\r\n|a=(?!rtpmap)[a-z][-a-z0-9]*(?::[^\r\n]*)?\r\n)*",
    re.ASCII,
)
"""Lines that need no look one by one, as nearly everybody writes them."""


@bounded
@lru_cache(1024)
def host_sort(host: str) -> tuple[str, str]:
    """Family and sort of a host: an `address`, `none` at all (0.0.0.0), a `name`, or `wrong`: no host can be called so."""
    if host == "0":
        return "", "none"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "", "name" if _NAME.fullmatch(host) and not host.rstrip(".").rpartition(".")[2].isdigit() else "wrong"
    return f"IP{address.version}", "none" if address.is_unspecified else "address"


def _origin(line: str) -> str | None:
    words = line[2:].split()
    said = words[-5:] if len(words) >= 5 else ["", "", "", "", ""]
    fine = (
        number(said[0], _LARGEST_NUMBER) >= 0
        and number(said[1], _LARGEST_NUMBER) >= 0
        and said[2:4] in (["IN", "IP4"], ["IN", "IP6"])
    )
    if fine and len(words) == 6 and line[2:3] not in " \t":
        return line
    numbers = [word if number(word, _LARGEST_NUMBER) >= 0 else str(_low(word)) for word in said[:2]]
    family = said[3].upper() if said[3].upper() in STAND_IN else "IP4"
    user = "_".join(words[:-5]) or "-"
    return f"o={user} {numbers[0]} {numbers[1]} IN {family} {said[4] or STAND_IN['IP4']}{END}"


def _low(word: str) -> int:
    """A number that is too large, or none at all, as one that is not: equal for equal words."""
    return (
        int(word) if word.isascii() and word.isdigit() and len(word) < 100 else sum(word.encode("utf-8", "replace"))
    ) % _LARGEST_NUMBER


def _name(line: str) -> str | None:
    return line if line[2:].strip() else f"s=-{END}"


def _time(line: str) -> str | None:
    words = line[2:].split()
    fine = (
        len(words) >= 2
        and all(number(word, _LARGEST_NUMBER) >= 0 for word in words[:2])
        and line.startswith(f"t={words[0]} {words[1]}")
    )
    return line if fine else f"t=0 0{END}"


def _bandwidth(line: str) -> str | None:
    modifier, colon, value = line[2:].strip().partition(":")
    return line if colon and modifier and number(value, _LARGEST_NUMBER) >= 0 else None


def _attribute(line: str) -> str | None:
    if line[2:3] not in TOKEN or line[2:3] == "":
        return None
    name = line[2:].partition(":")[0].rstrip()
    if name != name.lower() and name.lower() in NEEDED:
        line = f"a={name.lower()}{line[2 + len(name) :]}"
    return None if line.startswith("a=rtpmap:") and rtpmap_of(line[9:]) is None else line


def _connection(line: str) -> str | None:
    said = connection_of(line)
    if said is None or not said.host:
        return None
    family = host_sort(said.host)[0] or (said.family if said.family in STAND_IN else "IP4")
    right = f"c=IN {family} {said.host}"
    numbers = line[len(right) :].rstrip("\r\n").split("/")  # of a multicast address
    fine = line.startswith(right) and not numbers[0] and all(number(one, 255) >= 0 for one in numbers[1:])
    return line if fine else right + END


_LINES: dict[str, Callable[[str], str | None]] = {
    "v=": lambda line: line if line.startswith("v=0") else f"v=0{END}",
    "o=": _origin, "s=": _name, "t=": _time, "b=": _bandwidth, "a=": _attribute, "c=": _connection,
}  # fmt: skip


def mended_line(line: str) -> str | None:
    """A line as pjsip takes it, None when it is left out."""
    mend = _LINES.get(line[:2])
    if mend is not None:
        return mend(line)
    if line[1:2] == "=" and "a" <= line[0] <= "z":
        return line
    stripped = line.lstrip(" \t")
    return mended_line(stripped) if stripped is not line and stripped != line and stripped.strip() else None


def mended_session(lines: tuple[str, ...]) -> tuple[str, ...]:
    kept = tuple(good for line in lines if (good := mended_line(line)) is not None)
    said = {start: next((line for line in kept if line.startswith(start)), "") for start in _FIRST}
    if all(said.values()):
        return kept
    first = tuple(said[start] or default + END for start, default in _FIRST.items())
    return (*(closed((line,))[0] for line in first), *(line for line in kept if line not in first))
