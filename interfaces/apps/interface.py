# SPDX-License-Identifier: GPL-2.0-or-later
"""DI module `apps`: which applications run, in which processes, with which calls; a new generation of one. Not in SEMS."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from di.kernel.errors import CallFailed, OutOfBounds
from di.kernel.registry import di_method
from di.kernel.value import Value
from interfaces.apps.fleet import Fleet


class Apps:
    """Functions `apps.…`."""

    def __init__(
        self, fleets: Mapping[str, Fleet], new_files: Callable[[], list[str]], reload: Callable[[str], Awaitable[str]]
    ) -> None:
        """`new_files`: applications that have a file and no processes yet; `reload`: start a generation, empty or why it is not there."""
        self._fleets, self._new_files, self._reload = fleets, new_files, reload

    @di_method("list", changes=False)
    def listed(self) -> list[Value]:
        """Return the applications: name, file, generation, processes in service, calls."""
        return [
            {
                "name": name,
                "file": str(fleet.app.file or ""),
                "generation": fleet.generation,
                "processes": sum(one.ready for one in fleet),
                "calls": sum(len(one.calls) for one in fleet),
            }
            for name, fleet in self._fleets.items()
        ]

    @di_method("newFiles", changes=False)
    def new_files(self) -> list[Value]:
        """Return the names of applications whose files have come since the start: `reload` starts them."""
        return [*self._new_files()]

    @di_method("workers", changes=False)
    def workers(self, name: str) -> list[Value]:
        """Return the processes of an application, those of older generations too; `where`: as whom and from where a remote program came."""
        return [
            {
                "pid": one.pid,
                "generation": one.generation,
                "number": one.number,
                "ready": one.ready,
                "silent": one.silent,
                "calls": len(one.calls),
                "where": one.where,
                "exclusive": one.exclusive,
                "leaving": one.leaving,
            }
            for one in self._fleet(name)
        ]

    @di_method("calls", changes=False)
    def calls(self, name: str) -> list[Value]:
        """Return the ids of an application's calls."""
        return [*sorted(call for one in self._fleet(name) for call in one.calls)]

    @di_method("reload", dangerous=True)
    async def reload(self, name: str) -> list[Value]:
        """Read an application's file again, or a new one: new calls get the new code, running ones end on the old.

        A file that fails changes nothing.
        """
        if name not in self._new_files():
            self._fleet(name)
        why = await self._reload(name)
        return [500, why] if why else [200, "OK"]

    @di_method("attach", dangerous=True)
    def attach(self) -> None:
        """Serve calls of an application from elsewhere: a WebSocket at /apps of the web port. Named here for permissions; no call of it."""
        raise CallFailed("a program comes in by WebSocket: use /apps")

    def _fleet(self, name: str) -> Fleet:
        fleet = self._fleets.get(name)
        if fleet is None:
            raise OutOfBounds(f"there is no application {name!r}; there are {', '.join(self._fleets) or 'none'}")
        return fleet
