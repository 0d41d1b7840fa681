# SPDX-License-Identifier: GPL-2.0-or-later
"""`cordboard prompts`: build, list, play, missing, clear.

Exit status: 0 all there; 1 something is missing, could not be made, or is tones instead of speech; 255 an error in the configuration.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import soundfile

from di.kernel.config import ConfigFile
from di.kernel.errors import ConfigError
from di.kernel.options import load
from di.kernel.paths import configured
from di.server import settings
from di.spoken.maker import BuildReport, Maker, PromptState, Wanted
from di.spoken.options import Options

CONFIG_STATUS = 255
_FAILURES_SHOWN = 5
_TOLD_OF = ("di.apps.prompts", "di.dsm.load.prompt_sets")
"""Who says in a start that a prompt is not there."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    parser = _parser()
    options = parser.parse_args(argv)
    try:
        if options.command == "missing":
            return missing(Path(options.file))
        maker = _maker(Path(options.file), options.folder)
        if options.command == "clear":
            print(f"{maker.folder}: {maker.clear()} removed")
            return 0
        if options.command == "play":
            return play(maker, options.name, options.rate)
        _check_languages(maker, options.languages)
        if options.command == "build":
            return build(maker, options.languages, force=options.force)
        return show(maker, options.languages)
    except ConfigError as error:
        print(f"cordboard: {error}", file=sys.stderr)
        return CONFIG_STATUS


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cordboard prompts", description="Prompts spoken from the text lists.")
    parser.add_argument("-f", dest="file", metavar="FILE", default="etc/sems.conf", help="configuration file (etc/sems.conf)")
    parser.add_argument("--folder", type=Path, help="instead of `folder` in prompts.conf: the lists and the prompts")
    commands = parser.add_subparsers(dest="command", required=True, metavar="build|list|play|missing|clear")
    build_parser = commands.add_parser("build", help="make what is missing or out of date")
    build_parser.add_argument("languages", nargs="*", metavar="LANGUAGE", help="all without any")
    build_parser.add_argument("--force", action="store_true", help="make all anew, in place of your own recordings, too")
    list_parser = commands.add_parser("list", help="each prompt: what is there, how long, what it says")
    list_parser.add_argument("languages", nargs="*", metavar="LANGUAGE", help="all without any")
    play_parser = commands.add_parser("play", help="play one here, or write it to standard output (… play en/welcome > file.wav)")
    play_parser.add_argument("name", metavar="[LANGUAGE/]NAME")
    play_parser.add_argument("--rate", type=int, default=0, help="one of `rates`; the first without it")
    commands.add_parser("missing", help="what the loaded applications do not find, and what is not spoken")
    commands.add_parser("clear", help="remove what build has made; your own recordings stay")
    return parser


def _maker(file: Path, folder: Path | None) -> Maker:
    """Raises ConfigError."""
    conf_dir = settings.configuration_folder(file, os.environ)
    path = conf_dir / "prompts.conf"
    conf = ConfigFile.read(path, conf_dir) if path.exists() else ConfigFile.empty(str(path))
    options = load(Options, conf, os.environ)
    return Maker(folder or configured(options.folder, conf_dir), options)


def _check_languages(maker: Maker, languages: Sequence[str]) -> None:
    unknown = [language for language in languages if language not in maker.options.languages]
    if unknown:
        known = ", ".join(maker.options.languages)
        raise ConfigError("command line", 0, "", f"{unknown[0]} is none of `languages` in prompts.conf: {known}")


# ---------------------------------------------------------------------------------------------------------------------- build
def build(maker: Maker, languages: Sequence[str], *, force: bool) -> int:
    """Make the prompts and say what came of it."""
    report = maker.build(languages, force=force)
    print(f"{maker.folder}: {report.made} made, {report.kept} kept" + (f", {len(report.own)} your own" if report.own else ""))
    return _tell_of_trouble(maker, report)


def _tell_of_trouble(maker: Maker, report: BuildReport) -> int:
    for line in report.failures[:_FAILURES_SHOWN]:
        print(f"cordboard: {line}", file=sys.stderr)
    if len(report.failures) > _FAILURES_SHOWN:
        print(f"cordboard: … and {len(report.failures) - _FAILURES_SHOWN} more", file=sys.stderr)
    if report.stand_ins:
        why = f"{maker.engine.missing}; " if maker.engine.missing else ""
        print(
            f"cordboard: {why}{report.stand_ins} files are tones, which callers cannot understand. Install it or set tts_command, "
            "then: cordboard prompts build",
            file=sys.stderr,
        )
    return 1 if report.failures or report.stand_ins else 0


# ----------------------------------------------------------------------------------------------------------------------- list
def show(maker: Maker, languages: Sequence[str]) -> int:
    """One line a prompt, then how many are in which state."""
    states: Counter[PromptState] = Counter()
    for wanted in maker.wanted(languages):
        state = maker.state(wanted, wanted.files[0])
        states[state] += 1
        length = f"{_seconds(wanted.files[0].path):5.1f} s" if state is not PromptState.MISSING else "       "
        print(f"{wanted.language}/{wanted.sentence.name:<24} {state.value:<11} {length}  {wanted.sentence.text}")
    print(", ".join(f"{count} {state.value}" for state, count in states.items()))
    return 0 if set(states) <= {PromptState.SPOKEN, PromptState.OWN} else 1


def _seconds(path: Path) -> float:
    try:
        return float(soundfile.info(path).duration)
    except (soundfile.SoundFileError, OSError):
        return 0.0


# ----------------------------------------------------------------------------------------------------------------------- play
def play(maker: Maker, name: str, rate_hz: int) -> int:
    """To standard output where that is a file or a pipe, else to the loudspeaker by aplay."""
    path = _find(maker, name, rate_hz or maker.options.rates[0])
    if path is None:
        return 1
    if not sys.stdout.isatty():
        sys.stdout.buffer.write(path.read_bytes())
        return 0
    program = shutil.which("aplay")
    if program is None:
        print(f"{path}\ncordboard: there is no aplay (Debian package alsa-utils) to play it with", file=sys.stderr)
        return 1
    return subprocess.run([program, "-q", str(path)], check=False).returncode


def _find(maker: Maker, name: str, rate_hz: int) -> Path | None:
    """The file of `en/welcome`, or of `welcome` in the first language. None, and said, when it is not there."""
    if rate_hz not in maker.options.rates:
        print(f"cordboard: there are prompts at {', '.join(map(str, maker.options.rates))} Hz", file=sys.stderr)
        return None
    language, _, rest = name.partition("/")
    if language not in maker.options.languages:
        language, rest = maker.options.languages[0], name
    for wanted in maker.wanted([language]):
        if wanted.sentence.name == rest:
            path = next(file.path for file in wanted.files if file.rate_hz == rate_hz)
            if path.exists():
                return path
            print(f"cordboard: {path} is not there; make it: cordboard prompts build", file=sys.stderr)
            return None
    print(f"cordboard: {language}.txt has no prompt {rest!r}; cordboard prompts list shows all", file=sys.stderr)
    return None


# -------------------------------------------------------------------------------------------------------------------- missing
class Overheard(logging.Handler):
    """Keeps what applications say of prompts while they are started on trial."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Called by logging."""
        if record.name in _TOLD_OF:
            self.lines.append(record.getMessage())


def missing(file: Path) -> int:
    """Start the loaded applications on trial, as check-config does, and tell what they do not find; then what is not spoken.

    So it is each application's own look-up that is asked, with its own configuration, and nobody has to keep a second list.
    """
    told = what_applications_miss(file)
    maker = _maker(file, None)
    unspoken = [
        f"{wanted.language}/{wanted.sentence.name}: {state.value}"
        for wanted in maker.wanted()
        if (state := _worst(maker, wanted)) not in (PromptState.SPOKEN, PromptState.OWN)
    ]
    for line in (*told, *unspoken):
        print(line)
    if unspoken:
        print(f"cordboard: {len(unspoken)} prompts are to be made: cordboard prompts build", file=sys.stderr)
    elif not told:
        print("nothing is missing")
    return 1 if told or unspoken else 0


def what_applications_miss(file: Path) -> list[str]:
    """One line for each prompt that an application of a configuration does not find. Raises ConfigError for one that cannot be read."""
    from di import boot

    overheard = Overheard()
    root = logging.getLogger()
    before, root.handlers[:] = root.handlers[:], [overheard]
    try:
        errors = asyncio.run(boot.try_out(settings.read(file, os.environ)))
    finally:
        root.handlers[:] = before
    return list(dict.fromkeys([*overheard.lines, *map(str, errors)]))


def _worst(maker: Maker, wanted: Wanted) -> PromptState:
    """The state of a sentence's files: that of the first which is not as it should be."""
    states = [maker.state(wanted, file) for file in wanted.files]
    return next((state for state in states if state not in (PromptState.SPOKEN, PromptState.OWN)), PromptState.SPOKEN)
