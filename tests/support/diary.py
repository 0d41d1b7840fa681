# SPDX-License-Identifier: GPL-2.0-or-later
"""An application that writes down what it is told, in a hub with fakes around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from di.calls.application import Application
from di.calls.call_info import CallOut
from di.calls.session import Session
from di.sip.headers import header_lines
from tests.support.playbook import Playbook


class Diary(Application):
    """Writes down every callback."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.lines: list[str] = []

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("on_") and not name.startswith("on_sip_"):
            lines = object.__getattribute__(self, "lines")
            lines.append(name)
        return object.__getattribute__(self, name)


def diary_book() -> Playbook:
    """A hub in which `diary` is an application."""
    playbook = Playbook().with_monitoring()
    playbook.services.applications.register("diary", Diary)
    return playbook


def diary(session: Session) -> list[str]:
    """The callbacks of a call's application."""
    assert isinstance(session.app, Diary)
    return session.app.lines


def register(book: Playbook, name: str, **callbacks: Callable[..., Any]) -> None:
    """An application made of functions."""
    book.services.applications.register(name, type(name, (Application,), callbacks))


def record(book: Playbook, id: str) -> dict[str, Any]:
    """What the store has of a call, {} when nothing."""
    found = book.invoke("monitoring", "get", id)
    return found[0] if found else {}


def dial(book: Playbook, **more: Any) -> str:
    """A call out, placed; its id, empty when it could not be. `more`: fields of CallOut, headers as text."""
    values = {
        "user": "somebody",
        "application": "diary",
        "request_uri": "sip:callee@there.example",
        "from_header": "<sip:me@here.example>",
        "to_header": "<sip:callee@there.example>",
        **more,
    }
    values["headers"] = tuple(header_lines(values.get("headers", ""), newline=""))
    id = book.sessions.dialout(CallOut(**values))
    book.run()
    return id
