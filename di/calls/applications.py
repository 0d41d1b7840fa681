# SPDX-License-Identifier: GPL-2.0-or-later
"""Applications by name."""

from __future__ import annotations

from collections.abc import Iterator

from di.calls.application import Factory
from di.sip.records import SessionTimer


class Applications:
    """What `application=` and dial-out choose from. A factory gets the new session; it may raise Refused."""

    def __init__(self) -> None:
        self._factories: dict[str, Factory] = {}
        self.timers: dict[str, SessionTimer] = {}
        """Session intervals of our own, by application."""

    def register(self, name: str, factory: Factory) -> None:
        """Publish an application. Raises ValueError when the name is taken."""
        if name in self._factories:
            raise ValueError(f"application {name!r} is registered already")
        self._factories[name] = factory

    def unregister(self, name: str) -> None:
        """Withdraw an application; its running calls go on."""
        self._factories.pop(name, None)
        self.timers.pop(name, None)

    def find(self, name: str) -> Factory | None:
        """The factory of that name, or None."""
        return self._factories.get(name)

    def names(self) -> Iterator[str]:
        """All names in order of registration."""
        yield from self._factories
