# SPDX-License-Identifier: GPL-2.0-or-later
"""voicebox.conf."""

from __future__ import annotations

import re
from dataclasses import dataclass

from di.apps.api import option, safe_name
from di.apps.speech import Language, language

_ENTRY = re.compile(r"([\w-]+)(?:\(\s*digits\s*=\s*(left|right)\s*\))?")


@dataclass(frozen=True, slots=True)
class Spoken:
    """One language of the prompts: its folder's name, and how counts are said; None: they are not."""

    name: str
    counts: Language | None = None


def languages(text: str) -> tuple[Spoken, ...]:
    """`en(digits=right);de(digits=left);fr`. Raises ValueError with what would be right."""
    found = []
    for entry in filter(None, (part.strip() for part in text.split(";"))):
        match = _ENTRY.fullmatch(entry)
        if match is None:
            raise ValueError(f"{entry!r} is no language; right is name, name(digits=right) or name(digits=left)")
        found.append(Spoken(match[1], language(f"{match[1]}(digits={match[2]})") if match[2] else None))
    return tuple(found)


def domains(text: str) -> tuple[str, ...]:
    """`a.example;b.example`. Raises ValueError for what is no name of a folder."""
    found = tuple(filter(None, (part.strip() for part in text.split(";"))))
    for name in found:
        if not safe_name(name):
            raise ValueError(f"{name!r} is no name of a folder")
    return found


@dataclass(frozen=True)
class Options:
    """Prompts, languages, keys."""

    prompt_base_path: str = option(
        "prompts/", help="Folder of the prompts: <domain>/<language>/<name>.wav; domain and language may be left out."
    )
    domains: tuple[str, ...] = option((), help="Domains that have prompts of their own, separated by `;`.", parse=domains)
    languages: tuple[Spoken, ...] = option(
        (),
        help="Languages, separated by `;`: name, or name(digits=right) or name(digits=left) where counts are spoken.",
        parse=languages,
    )
    default_language: str = option("", help="Language for who asks for none, or for one that is not there.")
    simple_mode: bool = option(
        False, help="yes: no parameters; the caller's user name (From) is the box, its domain is `default`, no PIN."
    )
    repeat_key: int = option(1, help="Key that plays a message again: 0–9, 10 `*`, 11 `#`.", maximum=15)
    save_key: int = option(2, help="Key that keeps a message.", maximum=15)
    delete_key: int = option(3, help="Key that deletes it.", maximum=15)
    startover_key: int = option(4, help="Key that begins again, at the end.", maximum=15)
    pin_attempts: int = option(3, help="Wrong PINs until the call is ended; 0: any number.")
    key_timeout: int = option(
        60, help="Time without a key, from the end of what is played, until the call is ended; 0: none.", unit="s"
    )
    say_time: bool = option(False, help="yes: say when each message came, where the prompts for that are there.")
