# SPDX-License-Identifier: GPL-2.0-or-later
"""prompts.conf: how `cordboard prompts` speaks, and the server where a Python application says a text."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from di.kernel.options import option

_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(?:[-_][A-Za-z0-9]{1,8})*")


def parse_languages(text: str) -> tuple[str, ...]:
    """Read `en;de`. Raises ValueError."""
    names = tuple(part.strip() for part in text.split(";") if part.strip())
    wrong = [name for name in names if not _LANGUAGE.fullmatch(name)]
    if wrong or not names or len(set(names)) < len(names):
        raise ValueError("right are languages such as en or de-AT, each once, separated by `;`")
    return names


def parse_voices(text: str) -> tuple[tuple[str, str], ...]:
    """Read `en:en-gb;de:de`. Raises ValueError."""
    voices: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        language, colon, voice = part.partition(":")
        if not colon or not _LANGUAGE.fullmatch(language) or not voice:
            raise ValueError(f"{part!r} is not language:voice; several are separated by `;`")
        voices[language] = voice
    return tuple(voices.items())


def parse_rates(text: str) -> tuple[int, ...]:
    """Read `16000;8000`. Raises ValueError."""
    rates = [part.strip() for part in text.split(";") if part.strip()]
    if (
        not rates
        or any(rate not in ("8000", "16000", "24000", "32000", "48000") for rate in rates)
        or len(set(rates)) < len(rates)
    ):
        raise ValueError("right are 8000, 16000, 24000, 32000, 48000, each at most once, separated by `;`")
    return tuple(map(int, rates))


def parse_command(text: str) -> str:
    """Check a command; it is kept as written, for the text of it is part of each prompt's key. Raises ValueError."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no command: {error}") from error
    if not words or not any("{wav}" in word for word in words):
        raise ValueError("right is a program and its arguments, with {wav} for the file that it is to write")
    unknown = set(re.findall(r"{(\w*)}", text)) - {"wav", "voice", "text", "language"}
    if unknown:
        raise ValueError(f"{{{min(unknown)}}} is not known; there are {{wav}}, {{voice}}, {{language}} and {{text}}")
    return text


@dataclass(frozen=True)
class Options:
    """Who speaks, in which languages, how loud."""

    folder: str = option("prompts/", help="Where <language>.txt are and the prompts go: <language>/<name>.wav.")
    languages: tuple[str, ...] = option(
        ("en", "de"), help="The first one's prompts also stand in the folder itself.", parse=parse_languages
    )
    tts_command: str = option(
        "espeak-ng -b 1 -v {voice} -s 150 -g 2 -w {wav} --stdin",
        help="Speaks into the wav file {wav}. The sentence comes on standard input, or stands in place of {text}.",
        parse=parse_command,
    )
    tts_voices: tuple[tuple[str, str], ...] = option(
        (("en", "en-gb"), ("de", "de")),
        help="language:voice, what {voice} is; without an entry the language.",
        parse=parse_voices,
    )
    tts_timeout: int = option(60, help="A sentence that takes longer has failed.", unit="s", minimum=1)
    rates: tuple[int, ...] = option(
        (16000, 8000),
        help="Sampling rates; the first one's files are those of the folder, others go to <rate>/.",
        parse=parse_rates,
    )
    level: float = option(-20.0, help="Level of active speech below full scale.", unit="dB", minimum=-40, maximum=-6)
