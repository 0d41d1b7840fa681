# SPDX-License-Identifier: GPL-2.0-or-later
"""Load and run scripts given as text."""

from __future__ import annotations

from collections.abc import Sequence

from di.dsm.language.event import Event, Kind
from di.dsm.language.model import Diagram
from di.dsm.language.reader import Reading, read_diagram
from di.dsm.load.modules import Modules, core_library
from di.dsm.run.drivers import run_now
from di.dsm.run.engine import Machine
from di.dsm.run.simulated import SimulatedSession


class MemoryFiles:
    """A file tree in a dict."""

    def __init__(self, files: dict[str, str] | None = None) -> None:
        self.files = files or {}

    def read(self, path: str) -> str:
        if path not in self.files:
            raise FileNotFoundError(2, "No such file or directory", path)
        return self.files[path]

    def is_file(self, path: str) -> bool:
        return path in self.files

    def is_directory(self, path: str) -> bool:
        return any(name.startswith(path.rstrip("/") + "/") for name in self.files) and path not in self.files

    def names(self, path: str) -> Sequence[str]:
        start = path.rstrip("/") + "/"
        return sorted({name[len(start) :].split("/")[0] for name in self.files if name.startswith(start)})


def read(
    text: str, files: dict[str, str] | None = None, *, name: str = "t", collect: bool = False, load_path: str = ""
) -> Reading:
    modules = Modules()
    return read_diagram(
        name, f"{name}.dsm", text, loader=MemoryFiles(files), core=core_library(), find_module=modules.find,
        load_path=load_path, collect=collect,
    )  # fmt: skip


def load(text: str, name: str = "t") -> Diagram:
    diagram = read(text, name=name).diagram
    assert diagram is not None
    return diagram


class Scene:
    """A machine on a simulated session, driven by hand."""

    def __init__(self, text: str, session: SimulatedSession | None = None, start: bool = True, **others: str) -> None:
        self.session = session or SimulatedSession()
        self.diagrams = {"t": load(text), **{name: load(other, name) for name, other in others.items()}}
        self.machine = Machine(self.diagrams, self.session)
        if start:
            run_now(self.machine.start("t", Kind.START))

    def event(self, kind: Kind, **params: str) -> Event:
        """Deliver one event, return it."""
        event = Event(kind, dict(params))
        run_now(self.machine.run(event))
        return event

    def key(self, key: int) -> None:
        self.event(Kind.KEY, key=str(key), duration="100")

    @property
    def state(self) -> str:
        return self.machine.state.name if self.machine.state else ""

    @property
    def vars(self) -> dict[str, str]:
        return self.machine.vars
