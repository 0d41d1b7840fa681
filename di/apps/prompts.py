# SPDX-License-Identifier: GPL-2.0-or-later
"""Prompts: which file is played, by name or by who is called, in which language.

`Prompts`         names and files of an application (spec core.md §9.8)
`PromptFolder`    rules for a file by domain, user and language, tried one after another (spec applications.md §2, §13, §16)
`PromptLibrary`      complete sets of named prompts by domain and language (spec applications.md §14)

What is missing is said, never passed over in silence: once at start, and once a call, with the call's id, when it is due. The call then
goes on without it; the answer is None.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from di.apps.known_files import KnownFiles
from di.kernel.paths import safe_name
from media.control.play_items import PlayFile

log = logging.getLogger(__name__)

ANNOUNCEMENT = (
    "{domain}/{language}/{user}.wav", "{domain}/{user}.wav", "{language}/{user}.wav", "{user}.wav", "{language}/{default}",
)  # fmt: skip
VOICEMAIL = ("{domain}/{user}.wav", "{domain}/{language}/{default}", "{domain}/{default}", "{language}/{default}")
LONELY_USER = (
    "lonely_user_msg/{domain}/default_{language}.wav", "lonely_user_msg/default_{language}.wav", "{language}/{default}",
)  # fmt: skip
"""The rules of announcement, voicemail and conference; the application's default file follows each."""

_NAME_IN_RULE = re.compile(r"{(\w+)}")


# ------------------------------------------------------------------------------------------------------------------- by name
class Prompts:
    """Prompt name → file, for all calls of an application."""

    def __init__(self, application: str, files: Mapping[str, Path | None], language: str = "") -> None:
        """`files`: what the configuration names; None for prompts that are switched off. A file that is not there is an error in the log."""
        self.application = application
        self.language = language
        """Which one they are in, by the configuration's name; empty where that is not said."""
        self._files: dict[str, Path] = {}
        self._off = {name for name, path in files.items() if path is None}
        for name, path in files.items():
            if path is None:
                continue
            if path.is_file():
                self._files[name] = path
            else:
                log.error("%s: prompt %s: there is no file %s", application, name, path)

    def find(self, name: str) -> Path | None:
        """The file of a prompt, None without one. Says nothing: `CallPrompts` does."""
        return self._files.get(name)

    def is_off(self, name: str) -> bool:
        """Whether the configuration wants nothing to be played."""
        return name in self._off

    def paths(self) -> list[str]:
        """All files, for loading them beforehand."""
        return list(dict.fromkeys(map(str, self._files.values())))

    def missing(self, names: Iterable[str]) -> list[str]:
        """Those names that have no file, sorted: to check a set against `di.apps.speech.vocabulary`."""
        return sorted(set(names) - set(self._files))

    def of_call(self, call: str) -> CallPrompts:
        """The prompts as one call uses them. `call`: its id."""
        return CallPrompts(self, call)


class CallPrompts:
    """An application's prompts in one call: each that is missing is one warning, however often it is due."""

    def __init__(self, prompts: Prompts, call: str) -> None:
        self._prompts = prompts
        self._call = call
        self._told: set[str] = set()

    def find(self, name: str) -> Path | None:
        """The file of a prompt; None, with a warning the first time, when there is none. One that is switched off is not missing."""
        path = self._prompts.find(name)
        if path is None and not self._prompts.is_off(name) and name not in self._told:
            self._told.add(name)
            log.warning("call %s: %s: prompt %s is not there; nothing is played", self._call, self._prompts.application, name)
        return path

    def items(self, *names: str, loop: bool = False, talk_through: bool = False) -> tuple[PlayFile, ...]:
        """Prompts as items of a playlist, those left out that are not there. Names of `di.apps.speech` may be among them."""
        paths = [path for path in map(self.find, names) if path is not None]
        return tuple(PlayFile(str(path), loop=loop, talk_through=talk_through) for path in paths)


# ------------------------------------------------------------------------------------------------------ by domain, user, language
@dataclass(frozen=True, slots=True)
class Asked:
    """For whom a file is looked for. These come from outside: one that is no safe name of a file counts as not given."""

    domain: str = ""
    user: str = ""
    language: str = ""


def languages_of(language: str) -> tuple[str, ...]:
    """A language and the wider one that it belongs to: `de-AT`, `de`."""
    wide = re.split("[-_]", language)[0]
    return (language,) if wide == language else (language, wide)


def candidates(rules: Sequence[str], asked: Asked, default: str = "") -> Iterator[str]:
    """Relative paths in the order of the rules. A rule with a name in it that was not given is left out.

    `default`: what `{default}` stands for; it is the configuration's and not checked.
    """
    for rule in rules:
        needed = set(_NAME_IN_RULE.findall(rule)) - {"default"}
        for language in languages_of(asked.language) if "language" in needed else ("",):
            given = {"domain": asked.domain, "user": asked.user, "language": language}
            if all(safe_name(given[name]) for name in needed):
                yield rule.format(default=default, **given)


class PromptFolder:
    """A folder with a file for each domain, user or language, and one for everybody else."""

    def __init__(
        self, application: str, folder: Path, rules: Sequence[str], default: str | Path, suffixes: Sequence[str] = (".wav",)
    ) -> None:
        """`default`: relative to the folder, or absolute. `suffixes`: tried in turn where a rule has `.wav`."""
        self.application = application
        self.folder = folder
        self.default = folder / default
        self._paths = lru_cache(1000)(self._paths_for)
        self._known = KnownFiles()
        self._rules = tuple(
            dict.fromkeys(
                rule.removesuffix(".wav") + suffix if rule.endswith(".wav") else rule for rule in rules for suffix in suffixes
            )
        )

    def _paths_for(self, asked: Asked) -> tuple[Path, ...]:
        return tuple([self.folder / path for path in candidates(self._rules, asked, self.default.name)])

    def look(self, asked: Asked) -> Path | None:
        """The same as `find`, and nothing is said."""
        key = asked.domain, asked.user, asked.language  # hashed and compared without a call into Python
        return self._known.first(key, lambda: (*self._paths(asked), self.default))

    def find(self, asked: Asked, call: str) -> Path | None:
        """The first file that is there, else the default; None, with a line in the log, when that is gone, too. `call`: the call's id."""
        path = self.look(asked)
        if path is not None:
            return path
        wanted = self._paths(asked)
        nearest = wanted[0] if wanted else asked.user or "it"
        log.warning(
            "call %s: %s: no file for %r: neither %s nor the default %s exists",
            call,
            self.application,
            asked.user,
            nearest,
            self.default,
        )
        return None


# ------------------------------------------------------------------------------------------------------------ by domain, language
class PromptLibrary:
    """Sets of prompts in folders `<base>/<domain>/<language>`; one that is not complete is not used, and said so."""

    def __init__(
        self,
        application: str,
        base: Path,
        domains: Iterable[str],
        wanted: Mapping[str, Iterable[str]],
        default_language: str = "",
        further: Mapping[str, Iterable[str]] | None = None,
    ) -> None:
        """`wanted`: language → names that its sets must have. The empty domain and the empty language are the folders without one.

        `further`: language → names that a set has all of, or is used without.
        """
        self._default_language = default_language
        self._sets: dict[tuple[str, str], Prompts] = {}
        domains = tuple(domains)
        for domain in dict.fromkeys((*domains, "")):
            for language, names in wanted.items():
                folder = base / domain / language
                paths = {name: folder / f"{name}.wav" for name in names}
                missing = sorted(name for name, path in paths.items() if not path.is_file())
                if not missing:
                    more = {name: folder / f"{name}.wav" for name in (further or {}).get(language, ())}
                    left_out = sorted(name for name, path in more.items() if not path.is_file())
                    if left_out:
                        names_left_out = ", ".join(left_out[:10])
                        log.warning(
                            "%s: %s lacks %d prompts that it could use: %s", application, folder, len(left_out), names_left_out
                        )
                    self._sets[domain, language] = Prompts(application, paths if left_out else paths | more, language)
                elif folder.is_dir() and len(missing) < len(paths):
                    log.warning("%s: prompts in %s are not used: %s missing", application, folder, ", ".join(missing))
        spoken = {language for _, language in self._sets}
        for language in wanted:
            if language and language not in spoken and not any((base / domain / language).is_dir() for domain in (*domains, "")):
                log.warning("%s: there are no prompts for language %s: no folder %s", application, language, base / language)

    def __len__(self) -> int:
        return len(self._sets)

    def paths(self) -> list[str]:
        """The files of all sets, for loading them beforehand."""
        return list(dict.fromkeys(path for prompts in self._sets.values() for path in prompts.paths()))

    def find(self, domain: str, language: str) -> Prompts | None:
        """The set for a domain and a language: the domain's before the general ones, the language before the default one before none."""
        languages = (*languages_of(language), self._default_language, "")
        return next(
            (self._sets[key] for key in ((d, lang) for d in (domain, "") for lang in languages) if key in self._sets), None
        )
