# SPDX-License-Identifier: GPL-2.0-or-later
"""The application of a second leg that has no other: it does what the first leg's application and the pair say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from di.calls.application import Application

if TYPE_CHECKING:
    from di.calls.events import EventPosted


PASSED_ON = ("MESSAGE", "NOTIFY", "REFER")
"""What a call that has, or may get, another side passes to it."""


class SecondLeg(Application):
    """A bare leg. Its replies, its end and its requests reach the first leg by their `di.calls.pair.Pair`."""

    further_methods = PASSED_ON

    def on_event(self, event: EventPosted) -> None:
        """There is nobody here whom an event could be for."""
