# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes docs/app-reference.md from the docstrings of clients/app: `python -m tests.support.app_reference`.

tests/arch/test_app_reference.py looks whether it is up to date.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import Path

from clients.app import app, call, call_timer, dialog, home, known_call, results, said, stream
from clients.app.testing import simulator, stage

PAGE = Path(__file__).parents[2] / "docs" / "app-reference.md"
_HEAD = """# Applications in Python: every name

Made from the docstrings of `clients/app` by `python -m tests.support.app_reference`; change them, not this page. What it is all
about: [python-apps.md](python-apps.md); a beginning: [app-tutorial.md](app-tutorial.md).
"""
PARTS: Sequence[tuple[str, str, Sequence[type]]] = (
    ("Applications", "`from clients.app import …`", (app.App, home.Worker)),
    ("Calls", "", (call.Call, known_call.Action, call.Leg, call.Room, call_timer.CallTimer, said.Say, stream.Stream)),
    ("Results, events, failures", "", (
        results.Digits, results.Recording, results.Event, results.Request, results.CallEnded, results.CallFailed,
    )),
    ("As in 2009", "", (dialog.Dialog,)),
    ("Tests", "`from clients.app.testing import …`; the fixture is `sim`", (stage.Stage, stage.Caller, stage.Callee, simulator.AppBroken)),
)  # fmt: skip
_OF_THE_WORKER = {
    "Call": {"tell", "ask", "took", "end", "happened", "leg", "forget_leg"}, "Say": {"message"},
    "Stream": {"end", "heard"}, "Worker": {"send", "answered"}, "Dialog": {"run", "removeTimerNow"},
    "App": {"handler", "dialog", "setups", "functions"}, "Stage": {"run"},
}  # fmt: skip
"""What the worker calls and no application."""


def page() -> str:
    """The whole page."""
    parts = [_HEAD]
    for title, how, classes in PARTS:
        parts.append(f"\n## {title}\n" + (f"\n{how}\n" if how else ""))
        parts.extend(_of_class(one) for one in classes)
    return "".join(parts)


def _of_class(cls: type) -> str:
    rows = [*_fields(cls), *_methods(cls)]
    table = (
        "\n| | |\n|---|---|\n" + "\n".join(f"| `{_cell(name)}` | {_cell(text)} |" for name, text in rows) + "\n" if rows else ""
    )
    return f"\n### {cls.__name__}\n\n{_text(inspect.getdoc(cls) or '')}\n{table}"


def _fields(cls: type) -> Iterator[tuple[str, str]]:
    """Fields of a record, and properties."""
    if dataclasses.is_dataclass(cls):
        for field in dataclasses.fields(cls):
            yield f"{field.name}: {field.type}", ""
    for name, value in vars(cls).items():
        if isinstance(value, property) and not name.startswith("_"):
            assert value.__doc__, f"{cls.__name__}.{name} says nothing"
            yield f"{name}: {_annotation(inspect.signature(value.fget).return_annotation)}", value.__doc__  # type: ignore[arg-type]


def _members(cls: type) -> Iterator[tuple[str, object]]:
    """Its own, behind those of bases that are a part of it: of ours, without a place on the page."""
    shown = {one for _, _, classes in PARTS for one in classes}
    parts = takewhile(lambda base: base not in shown and base.__module__.startswith("clients.app"), cls.__mro__[1:])
    for part in (*reversed(list(parts)), cls):
        yield from vars(part).items()


def _methods(cls: type) -> Iterator[tuple[str, str]]:
    for name, value in _members(cls):
        if name.startswith("_") or name in _OF_THE_WORKER.get(cls.__name__, ()) or not inspect.isfunction(value):
            continue
        doc = inspect.getdoc(value)
        assert doc, f"{cls.__name__}.{name} says nothing"
        yield f"{'await ' if inspect.iscoroutinefunction(value) else ''}{name}{_signature(value)}", doc


def _signature(function: object) -> str:
    """Without `self`, as it is written."""
    signature = inspect.signature(function)  # type: ignore[arg-type]
    parameters = list(signature.parameters.values())[1:]
    text = str(signature.replace(parameters=[one.replace(annotation=_Bare(one.annotation)) for one in parameters],
                                 return_annotation=_Bare(signature.return_annotation)))  # fmt: skip
    return re.sub(r" -> None$", "", text)


class _Bare(str):
    """An annotation that prints as it is written: it is a text already."""

    def __new__(cls, annotation: object) -> _Bare:
        return super().__new__(cls, _annotation(annotation))

    def __repr__(self) -> str:
        return str(self)


def _annotation(annotation: object) -> str:
    return annotation if isinstance(annotation, str) else "" if annotation is inspect.Signature.empty else str(annotation)


def _text(doc: str) -> str:
    """A docstring as Markdown: what is indented is code."""
    lines, code = [], False
    for line in doc.splitlines():
        indented = line.startswith("    ")
        if indented and not code:
            lines.append("```python")
        elif not indented and code and line:
            lines.append("```")
        code = indented or (code and not line)
        lines.append(line[4:] if indented else line)
    return "\n".join([*lines, "```"] if code else lines)


def _cell(doc: str) -> str:
    return " ".join(doc.split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
