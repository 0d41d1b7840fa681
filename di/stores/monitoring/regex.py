# SPDX-License-Identifier: GPL-2.0-or-later
"""POSIX basic regular expressions, run by RE2 in linear time (spec monitoring.md §3.3 `listByRegex`; POSIX XBD §9.3).

What POSIX's regcomp takes without flags is rewritten into RE2's language, with the GNU additions `\\+ \\? \\|` and `\\w
\\W \\s \\S \\b \\B` (and `\\< \\>`, taken as `\\b`). Text and pattern are compared byte by byte, as in the C locale.
Back-references cannot be matched in linear time and are refused.
"""

from __future__ import annotations

from collections.abc import Callable

import re2

_MAX_PATTERN_BYTES = 1024
_RE2_MEMORY_BYTES = 8 << 20
_DUP_MAX = 1000
"""RE2's own limit of a repetition count; POSIX asks for 255 at least."""

_ESCAPES = {
    "w": "[0-9A-Za-z_]",
    "W": "[^0-9A-Za-z_]",
    "s": "[[:space:]]",
    "S": "[^[:space:]]",
    "b": r"\b",
    "B": r"\B",
    "<": r"\b",
    ">": r"\b",
    "`": r"\A",
    "'": r"\z",
}


class BadPattern(ValueError):
    """The pattern is no basic regular expression that can be run here; the text says why."""


def compile_basic(pattern: str) -> Callable[[str], bool]:
    """Return a function that tells whether a text contains a match. Raises BadPattern."""
    raw = pattern.encode("utf-8", "surrogateescape")
    if len(raw) > _MAX_PATTERN_BYTES:
        raise BadPattern(f"pattern of {len(raw)} bytes; at most {_MAX_PATTERN_BYTES} are taken")
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.max_mem = _RE2_MEMORY_BYTES
    options.log_errors = False
    translated = translate(raw.decode("latin-1"))
    try:
        search = re2.compile(translated.encode("latin-1"), options).search
    except re2.error as error:
        raise BadPattern(_text_of(error)) from error
    return lambda text: search(text.encode("utf-8", "surrogateescape")) is not None


def _text_of(error: Exception) -> str:
    detail = error.args[0] if error.args else error
    return detail.decode("latin-1") if isinstance(detail, bytes) else str(detail)


def translate(pattern: str) -> str:
    """Rewrite a basic regular expression, one character a byte, for RE2. Raises BadPattern."""
    return _Translator(pattern).run()


class _Translator:
    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self._out: list[str] = ["(?s)"]
        self._groups: list[int] = []
        """Where in `_out` the open groups begin."""
        self._atom = 0
        """Where in `_out` the last atom begins."""
        self._repeated = False
        self._anchored = False
        self._starting = True
        """At the start of the pattern, a group or an alternative: `*` is literal there and `^` an anchor."""

    def run(self) -> str:
        while self._at < len(self._pattern):
            char = self._pattern[self._at]
            self._at += 1
            starting, self._starting = self._starting, False
            if not starting:
                self._anchored = False
            if char == "\\":
                self._escape(starting)
            elif char == "[":
                self._put(self._bracket())
            elif char == "*" and not starting:
                self._repeat("*")
            elif char == "^":
                self._caret(starting)
            elif char == "$" and self._ends_here():
                self._put(r"\z")
            else:
                self._put("." if char == "." else _literal(char))
        if self._groups:
            raise BadPattern(r"\( without \)")
        return "".join(self._out)

    def _repeat(self, operator: str) -> None:
        """Repeat what stands last; if that is a repetition itself, as a group, which RE2 asks for."""
        if self._repeated:
            self._out.insert(self._atom, "(?:")
            self._out.append(")")
        self._out.append(operator)
        self._repeated = True

    def _put(self, text: str) -> None:
        """Add an atom, which a repetition may follow."""
        self._atom = len(self._out)
        self._out.append(text)
        self._repeated = False

    def _caret(self, starting: bool) -> None:
        if starting and not self._anchored:
            self._put(r"\A")
            self._starting = self._anchored = True  # behind the anchor `*` is literal still, a second `^` too
        else:
            self._put(_literal("^"))

    def _ends_here(self) -> bool:
        rest = self._pattern[self._at : self._at + 2]
        return rest == "" or rest in (r"\)", r"\|")

    def _escape(self, starting: bool) -> None:
        if self._at >= len(self._pattern):
            raise BadPattern("trailing backslash")
        char = self._pattern[self._at]
        self._at += 1
        if char in "123456789":
            raise BadPattern(f"back-reference \\{char}: not available, it cannot be matched in linear time")
        if char == "{":
            self._interval(starting)
        elif char in "(|":
            if char == "(":
                self._groups.append(len(self._out))
            self._out.append(char)
            self._starting, self._anchored = True, False
        elif char == ")":
            if not self._groups:
                raise BadPattern(r"\) without \(")
            self._out.append(")")
            self._atom, self._repeated = self._groups.pop(), False
        elif char in "+?" and not starting:
            self._repeat(char)
        else:
            self._put(_ESCAPES.get(char) or _literal(char))

    def _interval(self, starting: bool) -> None:
        if starting:
            raise BadPattern(r"\{ with nothing before it")
        end = self._pattern.find(r"\}", self._at)
        if end < 0:
            raise BadPattern(r"\{ without \}")
        low, comma, high = self._pattern[self._at : end].partition(",")
        if not (low.isdecimal() or (comma and not low)) or not (high.isdecimal() or not high) or not low.isascii():
            raise BadPattern(r"right is \{m\}, \{m,\} or \{m,n\}")
        if max(int(low or 0), int(high or 0)) > _DUP_MAX or (high and int(high) < int(low or 0)):
            raise BadPattern(rf"a repetition count is at most {_DUP_MAX}, and m at most n in \{{m,n\}}")
        self._at = end + 2
        self._repeat("{" + (low or "0") + comma + high + "}")

    def _bracket(self) -> str:
        """Read a bracket expression; the cursor stands behind `[`. A backslash is an ordinary character in it."""
        at, pattern = self._at, self._pattern
        out = ["["]
        if pattern[at : at + 1] == "^":
            out.append("^")
            at += 1
        first = True
        while True:
            if at >= len(pattern):
                raise BadPattern("[ without ]")
            char = pattern[at]
            if char == "]" and not first:
                self._at = at + 1
                return "".join(out) + "]"
            first = False
            if pattern[at : at + 2] == "[:":
                item, at = self._class(at)
                out.append(item)
                continue
            low, at = self._element(at)
            high = low
            if pattern[at : at + 1] == "-" and pattern[at + 1 : at + 2] not in ("]", ""):
                high, at = self._element(at + 1)
            if high < low:
                raise BadPattern(f"range {low}-{high} runs backwards")
            out.append(_hex(low) if low == high else _hex(low) + "-" + _hex(high))

    def _class(self, at: int) -> tuple[str, int]:
        end = self._pattern.find(":]", at + 2)
        name = self._pattern[at + 2 : end]
        if end < 0 or name not in _CLASSES:
            raise BadPattern(f"unknown class [:{name[:16]}:]; known: {', '.join(sorted(_CLASSES))}")
        return f"[:{name}:]", end + 2

    def _element(self, at: int) -> tuple[str, int]:
        """One character of a bracket expression, plain or as [=x=] or [.x.]."""
        pattern = self._pattern
        if pattern[at : at + 2] in ("[=", "[."):
            mark = pattern[at + 1]
            if pattern[at + 3 : at + 5] != mark + "]":
                raise BadPattern("only single characters are known between [= =] and [. .]")
            return pattern[at + 2], at + 5
        return pattern[at], at + 1


_CLASSES = frozenset(
    ["alnum", "alpha", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "xdigit"]
)


def _literal(char: str) -> str:
    return char if char.isascii() and (char.isalnum() or char in " _-/:@,;<>=!~%&'\"#`") else _hex(char)


def _hex(char: str) -> str:
    return f"\\x{ord(char):02x}"
