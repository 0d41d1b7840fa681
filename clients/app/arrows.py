# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls as sequences of arrows: what the server told a program, and what that said to it. Messages in, lines out.

0.00  caller ──► INVITE sip:card@example from <sip:anna@example>
0.00         ◄── answer
0.00         ◄── play enter_pin.wav
1.20         ──► key 1
"""

from __future__ import annotations

from collections.abc import Mapping

_QUIET = frozenset({"other_ended", "fault"})
"""Operations that the peer sees nothing of."""
_TO_APP, _FROM_APP, _BESIDE = "──►", "◄──", "   "


class Arrows:
    """The arrows of all calls of one program. `lines` keeps them; those of one call: `of`."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        """(call, line), oldest first."""
        self._began_s: dict[str, float] = {}
        self._asked: dict[tuple[str, object], str] = {}

    def of(self, call: str) -> list[str]:
        """The lines of one call."""
        return [line for id, line in self.lines if id == call]

    def forget(self, call: str) -> None:
        """A call is over, and nobody will ask for its lines."""
        self.lines = [one for one in self.lines if one[0] != call]
        self._began_s.pop(call, None)
        self._asked = {key: text for key, text in self._asked.items() if key[0] != call}

    def told(self, message: Mapping[str, object], now_s: float) -> str:
        """The server said something to the program; the line that shows it, empty when it is no matter of a call."""
        kind, call = message.get("k"), str(message.get("call", ""))
        if kind == "call":
            way = "INVITE" if message.get("direction") == "in" else "we call"
            return self._line(call, now_s, _TO_APP, f"{way} {message.get('ruri')} from {message.get('from')}")
        if kind == "done":
            asked = self._asked.pop((call, message.get("op")), "")
            return self._line(call, now_s, _BESIDE, f"  {asked} is over") if asked else ""
        if kind == "failed":
            asked = self._asked.pop((call, message.get("op")), "") or "a command"
            return self._line(call, now_s, _TO_APP, f"{asked} failed: {message.get('code')} {message.get('reason')}")
        if kind == "event":
            return self._line(call, now_s, _TO_APP, _event(message))
        if kind == "ended":
            how = " ".join(str(message[name]) for name in ("code", "reason") if message.get(name))
            return self._line(call, now_s, _TO_APP, f"the end, {message.get('by')}: {how}")
        return ""

    def said(self, message: Mapping[str, object], now_s: float) -> str:
        """The program said something to the server; the line that shows it, or nothing."""
        if message.get("k") != "op":
            return ""
        call, what = str(message.get("call", "")), str(message.get("do", ""))
        values = message.get("with")
        text = _operation(what, values if isinstance(values, Mapping) else {})
        if what in ("play", "record", "connect", "transfer", "request", "join"):
            self._asked[call, message.get("op")] = text
        if what == "fault":
            return self._line(call, now_s, _BESIDE, text)
        return "" if what in _QUIET else self._line(call, now_s, _FROM_APP, text)

    def _line(self, call: str, now_s: float, arrow: str, text: str) -> str:
        if call not in self._began_s:
            began_s = self._began_s[call] = now_s
            line = f"{0:8.2f}  caller {arrow} {text}"
        else:
            began_s = self._began_s[call]
            line = f"{now_s - began_s:8.2f}         {arrow} {text}"
        line = "".join(letter if letter.isprintable() else "·" for letter in line)  # a terminal is not to be steered
        self.lines.append((call, line))
        return line


def _event(message: Mapping[str, object]) -> str:
    name = message.get("name")
    match name:
        case "digit":
            return f"key {message.get('key')}"
        case "started":
            return "the call is up"
        case "early":
            return "early media"
        case "posted":
            return f"posted {message.get('params')}"
        case "request":
            return f"request {message.get('method')}"
        case "other_reply":
            return f"second leg: {message.get('code')} {message.get('reason')}"
        case "other_bye":
            return "second leg: it has hung up"
    return " ".join([str(name), *(str(value) for key, value in message.items() if key not in ("k", "call", "name"))])


def _operation(what: str, values: Mapping[str, object]) -> str:
    match what:
        case "play":
            return f"play {values.get('path')}{' again and again' if values.get('loop') else ''}"
        case "record":
            return f"record {values.get('path')}"
        case "connect":
            targets = values.get("targets")
            return f"connect {' '.join(map(str, targets)) if isinstance(targets, list) else targets}"
        case "ring" | "early" | "answer" | "reject":
            return f"{what} {values.get('code')} {values.get('reason')}".rstrip()
        case "log":
            return "log " + " ".join(f"{name}={value}" for name, value in values.items())
        case "fault":
            return f"  the program failed: {values.get('why')}"
        case "stop":
            return "stop"
    return " ".join([what, *(str(value) for value in values.values() if value not in ("", [], b"", None))])
