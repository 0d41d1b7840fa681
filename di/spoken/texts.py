# SPDX-License-Identifier: GPL-2.0-or-later
"""Text lists: one readable file a language, a line a prompt.

# comment
you_have = You have
annrecorder/welcome = Welcome. Here you can …      a name may have one folder
beep = ~1000:150 0:50 1000:150                     tones: frequency in Hz:length in ms, 0 is silence
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from di.kernel.errors import ConfigError
from di.kernel.text import from_file
from di.spoken.tones import LONGEST_MS, Note

SUFFIX = ".txt"
_NAME = re.compile(r"(?:[A-Za-z0-9_-]+/)?[A-Za-z0-9_-]+")
_NOTE = re.compile(r"([0-9]{1,5}):([0-9]{1,5})")
_HIGHEST_HZ = 3900
_LONGEST_SENTENCE = 2000


@dataclass(frozen=True, slots=True)
class Sentence:
    """One prompt. `notes`: tones instead of speech; then `text` is how they were written. `name`: path below the language, no suffix."""

    name: str
    text: str
    notes: tuple[Note, ...] = ()


def parse_sentences(text: str, file: str) -> dict[str, Sentence]:
    """Read a list: name → prompt, in its order. Any text gives that or ConfigError with file and line."""
    found: dict[str, Sentence] = {}
    lines: dict[str, int] = {}
    for number, raw in enumerate(re.split(r"\r\n|\n|\r", text), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        name, equals, said = (part.strip() for part in line.partition("="))
        if not equals or not _NAME.fullmatch(name) or not said:
            raise ConfigError(
                file, number, name if equals else "", "right is `name = what is said`; a name has a-z 0-9 _ - and at most one /"
            )
        if name in found:
            raise ConfigError(file, number, name, f"it is there already, in line {lines[name]}")
        if len(said) > _LONGEST_SENTENCE or any(c < " " or c == "\x7f" for c in said):
            raise ConfigError(
                file, number, name, f"a sentence has at most {_LONGEST_SENTENCE} characters and no control characters"
            )
        found[name] = Sentence(name, said, _notes(said[1:], file, number, name) if said.startswith("~") else ())
        lines[name] = number
    return found


def _notes(text: str, file: str, line: int, name: str) -> tuple[Note, ...]:
    notes = []
    for word in text.split():
        match = _NOTE.fullmatch(word)
        if match is None or int(match[1]) > _HIGHEST_HZ or not 0 < int(match[2]) <= LONGEST_MS:
            hint = f"{word!r} is no tone; right is frequency in Hz (up to {_HIGHEST_HZ}):length in ms (up to {LONGEST_MS})"
            raise ConfigError(file, line, name, hint)
        notes.append((int(match[1]), int(match[2])))
    if not notes:
        raise ConfigError(file, line, name, "~ is followed by tones, as in ~1000:150")
    return tuple(notes)


def read_sentences(path: Path) -> dict[str, Sentence]:
    """Read a list's file. Raises ConfigError."""
    try:
        text = from_file(path.read_bytes())
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        hint = f"cannot be read ({reason}); a language needs its list of sentences (docs/prompts.md)"
        raise ConfigError(str(path), 0, "", hint) from error
    return parse_sentences(text, str(path))


def languages_in(folder: Path) -> Iterator[str]:
    """Languages that have a list in a folder, sorted."""
    yield from sorted(path.stem for path in folder.glob(f"*{SUFFIX}") if path.is_file())
