# SPDX-License-Identifier: GPL-2.0-or-later
"""A call that a program steers, without the program: what it is sent is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from di.calls.session import Session
from di.spoken.options import Options as PromptOptions
from interfaces.apps.bridged_call import BridgedCall, Means
from interfaces.apps.files import Reach
from interfaces.apps.operations import OPERATIONS
from interfaces.apps.speaker import Speaker
from tests.support.playbook import Playbook


class Program:
    """The process, as far as a call knows it."""

    name = "prog"

    def __init__(self) -> None:
        self.calls: set[str] = set()
        self.legs: set[str] = set()
        self.source_ip = ""
        self.sent: list[dict[str, Any]] = []

    def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)


def up(answer: bool = True) -> tuple[Playbook, Program, Session]:
    """A call of the application `prog`, which has answered it."""
    book, program = Playbook().with_monitoring(), Program()
    means = Means(Reach(Path("/nowhere"), None, None), Speaker(PromptOptions(tts_command="/bin/false {wav}")), "en", OPERATIONS)
    book.services.applications.register("prog", lambda session: BridgedCall(session, program, means))  # type: ignore[arg-type]
    call = book.offer("app-prog")
    session = next(iter(book.sessions))
    if answer:
        perform(book, session, 1, "answer", {})
        book.confirm(call)
    return book, program, session


def perform(book: Playbook, session: Session, op: int, what: str, values: object) -> None:
    """What the program asks of its call."""
    app = session.app
    assert isinstance(app, BridgedCall)
    session.run(lambda: app.perform(op, what, values))
    book.run()
