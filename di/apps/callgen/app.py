# SPDX-License-Identifier: GPL-2.0-or-later
"""One generated call: it says its digits, plays its file again and again, and hangs up when its time is over."""

from __future__ import annotations

from typing import Protocol

from di.apps.api import Application, PlayFile, Session
from di.apps.callgen.generator import CallPlan, Generator
from di.apps.prompts import Prompts

_OVER = 1
"""Number of the timer that ends the call."""
NAME_OF_KEY = {**{digit: digit for digit in "0123456789"}, "*": "s", "#": "p"}


class Shared(Protocol):
    """What all generated calls share (`di.apps.callgen.interface.CallGenerator`)."""

    generator: Generator
    prompts: Prompts
    play_file: str


class GeneratedCall(Application):
    """A call of the load generator."""

    def __init__(self, session: Session, shared: Shared, plan: CallPlan) -> None:
        super().__init__(session)
        self._shared, self._plan = shared, plan
        shared.generator.active += 1

    def on_session_start(self) -> None:
        """Answered: say the digits, then the file."""
        session, random = self.session, self.session.host.clock.random
        said = self._plan.said(random)
        names = [NAME_OF_KEY[key] for key in said]
        digits = self._shared.prompts.of_call(session.id).items(*names) if names else ()
        session.audio.play(*digits, PlayFile(self._shared.play_file, loop=True))
        session.timers.set(_OVER, self._plan.length_s(random) * 1000)
        if said:
            session.log(callgen_digits=said)

    def on_timer(self, id: int) -> None:
        """Its time is over."""
        if id == _OVER:
            self.session.stop()

    def on_destroy(self) -> None:
        """It is over, however."""
        generator = self._shared.generator
        generator.active -= 1
        generator.results[str(self.session.result or "cancelled")] += 1
