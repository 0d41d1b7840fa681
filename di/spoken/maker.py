# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes the prompts of all languages, those only that are not there yet or whose sentence, voice, command or program has changed.

<folder>/<language>.txt                 the sentences
<folder>/<language>/<name>.wav          at the first rate
<folder>/<name>.wav                     the same of the first language, for applications that know no language
<folder>/<rate>/…                       all of that once more, at each further rate
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from di.spoken import tones
from di.spoken.engine import EngineFailed, SpeechEngine
from di.spoken.level import prepare
from di.spoken.mark import Mark, key_of, link_in_place, read_mark, write_marked
from di.spoken.options import Options
from di.spoken.texts import SUFFIX, Sentence, read_sentences

_AT_A_TIME = 4
"""Sentences; an engine computes for milliseconds, and starting it costs as much."""


class PromptState(Enum):
    """What stands in a prompt's place; the value is what `list` shows."""

    SPOKEN = "spoken"
    TONES = "tones only"
    OLD = "out of date"
    OWN = "your own"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class PromptFile:
    """One file that is wanted: of a sentence at a rate. `key`: what it should be made of."""

    path: Path
    rate_hz: int
    key: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """One sentence of a language and all its files."""

    language: str
    sentence: Sentence
    voice: str
    files: tuple[PromptFile, ...]


@dataclass
class BuildReport:
    """How a build went: numbers of files, and for each sentence that could not be spoken or written one line."""

    made: int = 0
    kept: int = 0
    own: list[Path] = field(default_factory=list)
    stand_ins: int = 0
    failures: list[str] = field(default_factory=list)


class Maker:
    """`folder`: where the lists are and the prompts go."""

    def __init__(self, folder: Path, options: Options) -> None:
        self.folder = folder
        self.options = options
        self.engine = SpeechEngine(options.tts_command, options.tts_timeout)

    def wanted(self, languages: Iterable[str] = ()) -> list[Wanted]:
        """All sentences of some languages, of all without any. Raises ConfigError for a list that cannot be read."""
        chosen = tuple(languages) or self.options.languages
        return [
            self._wanted(language, sentence)
            for language in chosen
            for sentence in read_sentences(self.folder / f"{language}{SUFFIX}").values()
        ]

    def _wanted(self, language: str, sentence: Sentence) -> Wanted:
        options = self.options
        voice = dict(options.tts_voices).get(language, language)
        made_of = (
            (sentence.text,) if sentence.notes else (sentence.text, voice, language, self.engine.command, self.engine.version)
        )
        files = []
        for place, rate_hz in enumerate(options.rates):
            key = key_of(*made_of, rate_hz, options.level)
            root = self.folder if place == 0 else self.folder / str(rate_hz)
            files.append(PromptFile(root / language / f"{sentence.name}.wav", rate_hz, key))
            if language == options.languages[0]:
                files.append(PromptFile(root / f"{sentence.name}.wav", rate_hz, key))
        return Wanted(language, sentence, voice, tuple(files))

    def state(self, wanted: Wanted, file: PromptFile) -> PromptState:
        """What is there. Without the engine nobody knows what it would make today: what it has made counts as up to date."""
        if not file.path.exists():
            return PromptState.MISSING
        mark = read_mark(file.path)
        if mark is None:
            return PromptState.OWN
        if mark.kind == "tones":
            return PromptState.TONES
        same = mark.key == file.key or (self.engine.missing and not wanted.sentence.notes)
        return PromptState.SPOKEN if same else PromptState.OLD

    # ------------------------------------------------------------------------------------------------------------- building
    def build(self, languages: Iterable[str] = (), *, force: bool = False) -> BuildReport:
        """Make what is missing or out of date; with `force` all, in place of own recordings, too. Raises ConfigError."""
        report = BuildReport()
        wanted = self.wanted(languages)
        with tempfile.TemporaryDirectory(prefix="cordboard-prompts-") as aside, ThreadPoolExecutor(_AT_A_TIME) as pool:
            for outcome in pool.map(lambda one: self._make(one, Path(aside), force), wanted):
                report.made += outcome.made
                report.kept += outcome.kept
                report.own += outcome.own
                report.stand_ins += outcome.stand_ins
                report.failures += outcome.failures
        return report

    def _make(self, wanted: Wanted, aside: Path, force: bool) -> BuildReport:
        """One sentence: all its files that have to be made."""
        outcome = BuildReport()
        due: list[tuple[PromptFile, PromptState]] = []
        for file in wanted.files:
            state = self.state(wanted, file)
            if state is PromptState.OWN and not force:
                outcome.own.append(file.path)
            elif state is PromptState.SPOKEN and not force:
                outcome.kept += 1
            else:
                due.append((file, state))
        if not due:
            return outcome
        try:
            audio, kind = self._audio(wanted, {file.rate_hz for file, _ in due}, aside, outcome)
            written: dict[int, Path] = {}
            for file, state in due:
                if kind == "tones" and state is not PromptState.MISSING and not (force and state is PromptState.TONES):
                    outcome.kept += 1  # older words are better than no words, and tones are there already
                    outcome.stand_ins += state is PromptState.TONES
                    continue
                same = written.setdefault(file.rate_hz, file.path)
                if same is file.path or not link_in_place(same, file.path):
                    write_marked(file.path, audio[file.rate_hz], file.rate_hz, Mark(kind, file.key))
                outcome.made += 1
                outcome.stand_ins += kind == "tones"
        except OSError as error:
            outcome.failures.append(f"{wanted.language}/{wanted.sentence.name}: {error}")
        return outcome

    def _audio(
        self, wanted: Wanted, rates_hz: set[int], aside: Path, outcome: BuildReport
    ) -> tuple[dict[int, NDArray[np.int16]], Literal["spoken", "tones"]]:
        """The sentence at each rate, and what it is: spoken, or tones as a stand-in, and then why."""
        sentence = wanted.sentence
        if sentence.notes:
            return {rate_hz: tones.render(sentence.notes, rate_hz) for rate_hz in rates_hz}, "spoken"
        why = self.engine.missing
        if not why:
            handle, name = tempfile.mkstemp(suffix=".wav", dir=aside)
            os.close(handle)
            wav = Path(name)
            try:
                samples, rate_hz = self.engine.speak(sentence.text, wanted.language, wanted.voice, wav)
                ready = {wanted_hz: prepare(samples, rate_hz, wanted_hz, self.options.level) for wanted_hz in rates_hz}
                if all(len(audio) for audio in ready.values()):
                    return ready, "spoken"
                why = f"{self.engine.program} said nothing"
            except EngineFailed as error:
                why = str(error)
            finally:
                wav.unlink(missing_ok=True)
            outcome.failures.append(f"{wanted.language}/{sentence.name}: {why}")
        return {rate_hz: tones.render(tones.melody(sentence.name), rate_hz) for rate_hz in rates_hz}, "tones"

    # ------------------------------------------------------------------------------------------------------------- clearing
    def clear(self) -> int:
        """Remove all that was made here, of whatever list; own recordings stay. Returns how many files."""
        made = [path for path in self.folder.rglob("*.wav") if read_mark(path) is not None]
        for path in made:
            path.unlink()
        for folder in sorted((path for path in self.folder.rglob("*") if path.is_dir()), reverse=True):
            with contextlib.suppress(OSError):
                folder.rmdir()  # an empty one only
        return len(made)
