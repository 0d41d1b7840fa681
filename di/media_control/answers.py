# SPDX-License-Identifier: GPL-2.0-or-later
"""One answer out of those of several media processes: to LoadPrompt, and to QueryStatistics of no leg."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from media.control.records import PromptLoaded, Statistics

Answer = PromptLoaded | Statistics

_WORST = ("_p50_us", "_p99_us", "_p999_us", "_max_us", "_delay_ticks")
"""Endings of figures that cannot be added up: of several processes the worst is given."""


@dataclass(slots=True)
class _Asked:
    waiting: set[int]
    answers: list[Answer] = field(default_factory=list)


class MediaAnswers:
    """Requests that more than one process answers, by number."""

    def __init__(self) -> None:
        self._asked: dict[int, _Asked] = {}

    def ask(self, request: int, processes: Iterable[int]) -> None:
        """A request goes to these processes."""
        self._asked[request] = _Asked(set(processes))

    def take(self, process: int, answer: Answer) -> Answer | None:
        """Take one process's answer; return that to the request when it is the last one."""
        asked = self._asked.get(answer.request)
        if asked is None or process not in asked.waiting:
            return None
        asked.waiting.discard(process)
        asked.answers.append(answer)
        return self._complete(answer.request)

    def lost(self, process: int) -> list[Answer]:
        """A process is gone: return what its silence completes. A request that nobody has answered is forgotten."""
        done = []
        for request, asked in list(self._asked.items()):
            if process in asked.waiting:
                asked.waiting.discard(process)
                if asked.answers and (answer := self._complete(request)) is not None:
                    done.append(answer)
                elif not asked.waiting:
                    self._asked.pop(request, None)
        return done

    def _complete(self, request: int) -> Answer | None:
        asked = self._asked[request]
        if asked.waiting:
            return None
        del self._asked[request]
        first = asked.answers[0]
        if isinstance(first, PromptLoaded):
            return _worst_prompt([answer for answer in asked.answers if isinstance(answer, PromptLoaded)])
        return Statistics(request, 0, joined(answer.counters for answer in asked.answers if isinstance(answer, Statistics)))


def _worst_prompt(answers: list[PromptLoaded]) -> PromptLoaded:
    return next((answer for answer in answers if answer.error), answers[0])


def joined(counters: Iterable[dict[str, float]]) -> dict[str, float]:
    """Add counters up; of percentiles and the like give the worst."""
    total: dict[str, float] = {}
    for one in counters:
        for name, value in one.items():
            if name not in total:
                total[name] = value
            elif name.endswith(_WORST):
                total[name] = max(total[name], value)
            else:
                total[name] += value
    return total
