# SPDX-License-Identifier: GPL-2.0-or-later
"""mod_utils: counting aloud, text, numbers (spec dsm.md §5.5)."""

from __future__ import annotations

import hashlib
import random

from di.dsm.actions.calls import from_json
from di.dsm.language.arrays import flatten
from di.dsm.language.library import Lit, Raw, Res, Var, action, condition
from di.dsm.language.numbers import c_float, format_float, signed, unsigned
from di.dsm.language.values import variable_name
from di.dsm.run.engine import Run
from di.speech.languages import LEFT, RIGHT, Language, by_powers


def _names(run: Run, text: str, order: Language) -> list[str]:
    """Recordings that say a number: tens before units (RIGHT, English) or units before tens (LEFT, German)."""
    number = unsigned(text)
    if number is None:
        run.fail("arg", f"{text!r} is no number")
        return []
    run.ok()
    return by_powers(order, number)


def _play(run: Run, number: str, base: str, order: Language) -> None:
    for name in _names(run, number, order):
        run.session.media.play_file(f"{base}{name}.wav")


def _get(run: Run, number: str, base: str, order: Language, suffix: str) -> None:
    for index, name in enumerate(_names(run, number, order)):
        run.vars[f"count_file[{index}]"] = f"{base}{name}{suffix}"


@action("utils.playCountRight")
def play_count_right(run: Run, number: Res, base: Res = "") -> None:
    """Queue the recordings of a number."""
    _play(run, number, base, RIGHT)


@action("utils.playCountLeft")
def play_count_left(run: Run, number: Res, base: Res = "") -> None:
    """The same with units before tens."""
    _play(run, number, base, LEFT)


@action("utils.getCountRight")
def get_count_right(run: Run, number: Res, base: Res = "") -> None:
    """The recordings of a number in `count_file[i]`."""
    _get(run, number, base, RIGHT, ".wav")


@action("utils.getCountLeft")
def get_count_left(run: Run, number: Res, base: Res = "") -> None:
    """The same with units before tens."""
    _get(run, number, base, LEFT, ".wav")


@action("utils.getCountRightNoSuffix")
def get_count_right_no_suffix(run: Run, number: Res, base: Res = "") -> None:
    """As getCountRight, without `.wav`."""
    _get(run, number, base, RIGHT, "")


@action("utils.getCountLeftNoSuffix")
def get_count_left_no_suffix(run: Run, number: Res, base: Res = "") -> None:
    """As getCountLeft, without `.wav`."""
    _get(run, number, base, LEFT, "")


@action("utils.spell")
def spell(run: Run, word: Res, base: Res = "") -> None:
    """Queue one recording a character."""
    for char in word:
        run.session.media.play_file(f"{base}{char}.wav")


@action("utils.getNewId")
def get_new_id(run: Run, target: Res) -> None:
    """A token that was never given before."""
    run.vars[target] = run.session.hub.new_id()


@action("utils.rand")
def rand(run: Run, target: Res, modulus: Res = "") -> None:
    """A random number, below the modulus when there is one. Not for secrets."""
    value = random.randrange(2**31)
    limit = unsigned(modulus) or 0
    run.vars[target] = str(value % limit if limit else value)


@action("utils.srand")
def srand(run: Run) -> None:
    """Python seeds itself; nothing to do."""


def _arithmetic(run: Run, target: str, text: str, sign: int) -> None:
    run.vars[variable_name(target)] = format_float(c_float(run.resolve(target)) + sign * c_float(text))


@action("utils.add")
def add(run: Run, target: Lit, value: Res) -> None:
    """Float sum: 1 + 2 is `3.0` (Q40)."""
    _arithmetic(run, target, value, 1)


@action("utils.sub")
def sub(run: Run, target: Lit, value: Res) -> None:
    """Float difference."""
    _arithmetic(run, target, value, -1)


@action("utils.mul")
def mul(run: Run, target: Lit, value: Res) -> None:
    """Integer product."""
    run.vars[variable_name(target)] = str((signed(run.resolve(target)) or 0) * (signed(value) or 0))


@action("utils.int")
def int_(run: Run, target: Var, value: Res) -> None:
    """Integer part."""
    number = c_float(value)
    run.vars[target] = str(int(number)) if abs(number) < 2**63 else "0"


@action("utils.md5")
def md5(run: Run, target: Var, text: Res) -> None:
    """MD5 in hex: a check sum, no protection."""
    run.vars[target] = hashlib.md5(text.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()


@action("utils.replace")
def replace(run: Run, target: Lit, rule: Lit) -> None:
    """`search=>replacement`, all occurrences; a side that starts with `$` is resolved."""
    search, arrow, replacement = rule.partition("=>")
    if not (arrow and search and replacement):
        run.fail("arg", f"{rule!r} must be search=>replacement")
        return
    search = run.resolve(search) if search.startswith("$") else search
    replacement = run.resolve(replacement) if replacement.startswith("$") else replacement
    text = run.resolve(target)
    run.vars[variable_name(target)] = text.replace(search, replacement) if search else text


def _store(run: Run, target: str, pieces: list[str]) -> None:
    for index, piece in enumerate(pieces):
        run.vars[f"{target}[{index}]"] = piece


@action("utils.splitStringCR")
def split_string_cr(run: Run, text: Lit, target: Lit = "") -> None:
    """Split into lines."""
    lines = run.resolve(text).split("\n")
    if lines[-1] == "":
        lines.pop()
    _store(run, variable_name(target or text), lines)


@action("utils.splitString")
def split_string(run: Run, target: Lit, delimiter: Res = "") -> None:
    """Split at a delimiter; without one into characters."""
    text = run.resolve(target)
    if not text:
        run.fail("arg", f"{target} is empty")
        return
    _store(run, variable_name(target), text.split(delimiter) if delimiter else list(text))


@action("utils.decodeJson")
def decode_json(run: Run, text: Res, prefix: Var) -> None:
    """JSON into `prefix.key`, `prefix[i]`."""
    try:
        value = from_json(text)
    except (ValueError, RecursionError) as error:
        run.fail("arg", f"no JSON: {error}")
        return
    flatten(value, prefix, run.vars.__setitem__, null="")


@action("utils.escapeCRLF")
def escape_crlf(run: Run, target: Var) -> None:
    """Line ends become the four characters `\\r\\n`."""
    run.vars[target] = run.vars.get(target, "").replace("\r\n", "\\r\\n")


@action("utils.unescapeCRLF")
def unescape_crlf(run: Run, target: Var) -> None:
    """And back."""
    run.vars[target] = run.vars.get(target, "").replace("\\r\\n", "\r\n")


@action("utils.playRingTone")
def play_ring_tone(run: Run, raw: Raw) -> None:
    """length, on, off (ms), f, f2 (Hz); empty pieces disappear, so that later ones move up."""
    values = [0, 2000, 4000, 440, 480]
    for index, piece in enumerate([piece.strip() for piece in raw.split(",") if piece.strip()][:5]):
        number = signed(run.resolve(piece))
        if number is not None:
            values[index] = number
    run.session.media.play_tone(*values)


@condition("utils.isInList")
def is_in_list(run: Run, key: Res, items: Res) -> bool:
    """The key is one of the comma-separated items."""
    return key in [item.strip() for item in items.split(",")]


@condition("utils.startsWith")
def starts_with(run: Run, text: Res, prefix: Res) -> bool:
    """The text begins with the prefix."""
    return text.startswith(prefix)
