# SPDX-License-Identifier: GPL-2.0-or-later
"""The profiles that are loaded, and which of them requests get."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from di.apps.api import ConfigError, PatternValues, Refused, SessionTimer
from di.apps.sbc.choice import choose
from di.apps.sbc.profile import SUFFIX, LoadedProfile
from di.apps.sbc.timers import timer_of_a

Check = Callable[[list[LoadedProfile]], None]


class ProfileBook:
    """`active`: entries of active_profile. `check` raises ConfigError for what the server cannot give profiles now."""

    def __init__(self, active: tuple[str, ...], check: Check) -> None:
        self.active = active
        self._check = check
        self._profiles: dict[str, LoadedProfile] = {}

    def put(self, loaded: Iterable[LoadedProfile]) -> None:
        """Take profiles, in place of those of the same names: all of them or, with ConfigError, none."""
        new = {**self._profiles, **{one.name: one for one in loaded}}
        self._check(list(new.values()))
        self._profiles = new

    def find(self, name: str) -> LoadedProfile | None:
        """That profile, or None."""
        return self._profiles.get(name)

    def all(self) -> list[LoadedProfile]:
        """In order of loading."""
        return list(self._profiles.values())

    def of(self, values: PatternValues) -> LoadedProfile:
        """The profile of a request. Raises Refused(500) when there is none."""
        name = choose(self.active, values)
        found = self._profiles.get(name)
        if found is None:
            raise NoProfile(name)
        return found


class NoProfile(Refused):
    """`name`: what active_profile came to."""

    def __init__(self, name: str) -> None:
        super().__init__(500, "Server Internal Error")
        self.name = name


def common_timer(profiles: Iterable[LoadedProfile], default: SessionTimer | None) -> SessionTimer | None:
    """The A leg's session interval. It is agreed on before the hub hears of a call, so that all profiles have the same one.

    Raises ConfigError where two differ.
    """
    found: dict[SessionTimer | None, LoadedProfile] = {}
    for one in profiles:
        found.setdefault(timer_of_a(one.profile, default), one)
    if len(found) > 1:
        (first, second), why = list(found.values())[:2], "the A leg's session interval is agreed on before a profile is chosen"
        hint = f"{why}, so all profiles need the same one; profile {first.name} has another: give both the same, or enable_aleg_session_timer=no"
        raise ConfigError(str(second.path), 0, "enable_aleg_session_timer", hint)
    return next(iter(found), default)


def profile_path(folder: str, conf_dir: Path, name: str) -> Path:
    """Where a profile is. `folder`: profiles_path, used verbatim as SEMS does."""
    return Path(f"{folder}{name}{SUFFIX}") if folder else conf_dir / f"{name}{SUFFIX}"
