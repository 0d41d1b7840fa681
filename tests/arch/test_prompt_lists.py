# SPDX-License-Identifier: GPL-2.0-or-later
"""Every prompt that an application, a configuration sample or a script names can be spoken in every language.

What is named is read from the sources: options of all plug-ins that name an audio file, samples in etc/, paths in applications and in
scripts, the sets of the specification, and all that numbers, dates and times are said with. What is missing is one line in
etc/prompts/<language>.txt.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from di.apps.speech import ENGLISH, GERMAN, LEFT, RIGHT, Language, vocabulary
from di.kernel.config import ConfigFile
from di.kernel.options import describe
from di.server.plugin import Plugin, available
from di.spoken.options import Options
from di.spoken.texts import read_sentences
from media.control.audio_formats import is_played

ROOT = Path(__file__).parents[2]
LISTS = ROOT / "etc" / "prompts"
LANGUAGES: dict[str, Language] = {"en": ENGLISH, "de": GERMAN}
NO_PROMPTS = re.compile(r"[{%<*]|^/|^\.")
"""A rule for a path (`{domain}/{user}.wav`), an example in a text, a suffix."""


def name_of(path: str) -> str:
    """The name in the lists that a path in a configuration means; empty for what is no prompt's."""
    if not is_played(path) or path.endswith(".predef") or NO_PROMPTS.search(path):
        return ""
    return re.sub(r"^prompts/(?:(?:en|de)/)?", "", path).rpartition(".")[0]


def in_options() -> Iterator[tuple[str, str]]:
    for name, package in available().items():
        plugin = importlib.import_module(package).PLUGIN
        assert isinstance(plugin, Plugin)
        for info in describe(plugin.options).values() if plugin.options is not None else ():
            if isinstance(info.default, str):
                yield f"{name}.conf, default of {info.key}", info.default


def in_samples() -> Iterator[tuple[str, str]]:
    for path in sorted((ROOT / "etc").glob("*.conf")):
        if path.stem != "sems":
            for key, entry in ConfigFile.read(path).entries.items():
                yield f"etc/{path.name}: {key}", entry.value


def in_applications() -> Iterator[tuple[str, str]]:
    for path in sorted((ROOT / "di" / "apps").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(r"[\w/.-]+\.wav", node.value):
                yield f"{path.relative_to(ROOT)}:{node.lineno}", node.value


def in_scripts() -> Iterator[tuple[str, str]]:
    for path in sorted((ROOT / "etc" / "dsm").glob("*.dsm")):
        for found in re.findall(r"prompt_path\)([\w/]+\.wav)", path.read_text()):
            yield f"etc/dsm/{path.name}", found


def in_specification() -> Iterator[tuple[str, str]]:
    text = (ROOT / "docs" / "spec" / "applications.md").read_text()
    voicebox = re.search(r"loaded only if complete: `([^`]+)`; with digits additionally `new_msg, saved_msg", text)
    assert voicebox is not None
    for name in (*voicebox[1].split(", "), "new_msg", "saved_msg"):
        yield "spec applications.md §14", f"{name}.wav"
    recorder = re.search(r"prompts `([^`]+)` \(default `<audio>/annrecorder/<name>.wav`\)", text)
    assert recorder is not None
    for name in recorder[1].split(", "):
        yield "spec applications.md §15", f"annrecorder/{name}.wav"


def named() -> dict[str, str]:
    """Name in the lists → one place that names it."""
    sources = (in_options(), in_samples(), in_applications(), in_scripts(), in_specification())
    return {name_of(path): place for source in sources for place, path in source if name_of(path)}


def test_what_is_named_is_found() -> None:
    found = named()
    assert {"default", "first_participant", "beep", "welcome", "taken", "msg_menu", "annrecorder/to_record"} <= set(found)


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_prompt_can_be_spoken(language: str) -> None:
    there = read_sentences(LISTS / f"{language}.txt")
    missing = [f"{name} ({place})" for name, place in named().items() if name not in there]
    assert not missing, f"etc/prompts/{language}.txt lacks {', '.join(missing)}"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("rules", [LEFT, RIGHT, None], ids=["digits=left", "digits=right", "its own"])
def test_each_word_of_numbers_dates_and_times_can_be_spoken(language: str, rules: Language | None) -> None:
    words = vocabulary(rules or LANGUAGES[language])
    assert not words - set(read_sentences(LISTS / f"{language}.txt"))


def test_the_lists_have_the_same_prompts() -> None:
    """But for words that a language has of its own."""
    english, german = ({*read_sentences(LISTS / f"{tag}.txt")} - vocabulary(rules) for tag, rules in LANGUAGES.items())
    own = vocabulary(ENGLISH) | vocabulary(GERMAN)
    assert english - own == german - own
    assert set(Options().languages) == set(LANGUAGES)
