# SPDX-License-Identifier: GPL-2.0-or-later
"""annrecorder.conf (spec applications.md §15)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from di.apps.api import option

PROMPTS = ("welcome", "your_prompt", "to_record", "confirm", "greeting_set", "not_set", "bye", "beep")
"""Keys that name a prompt."""


def _prompt(name: str, text: str) -> str:
    return option(f"prompts/annrecorder/{name}.wav", help=text)


@dataclass(frozen=True)
class Options:
    """Prompts, and where voicemail's greetings are."""

    announce_path: str = option(
        "prompts/", help="Folder of voicemail's greetings, as in voicemail.conf; languages of prompts, too."
    )
    default_announce: str = option("greeting.wav", help="Greeting of who has recorded none, as in voicemail.conf.")
    simple_mode: bool = option(
        False, help="yes: no parameters; the caller's user (From), domain `default`. For trusted_peers only."
    )
    welcome: str = _prompt("welcome", "Said first.")
    your_prompt: str = _prompt("your_prompt", "Said before the greeting is played.")
    to_record: str = _prompt("to_record", "Says that any key begins the recording.")
    confirm: str = _prompt("confirm", "Says that 1 keeps the recording and any other key begins anew.")
    greeting_set: str = _prompt("greeting_set", "Said when the greeting is stored.")
    not_set: str = _prompt("not_set", "Said when it could not be stored.")
    bye: str = _prompt("bye", "Said last.")
    beep: str = _prompt("beep", "Played before recording.")

    IGNORED: ClassVar[tuple[str, ...]] = ("mysql_*",)
