# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether calls that are up are good ones: what their callers and the server have counted over a while, held against limits. Pure.

`Heard` comes from the callers' side (`tests/benches/rtp_load.c`), `Served` from the server's own figures (DI `status.media`). Each is taken
twice, and each has its own clock in it, so that the two need not be read in the same moment.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

PACKETS_A_SECOND = 50
MOST_LOSS = 0.01
MOST_SETUP_MS = 200
MOST_LATE_TICKS = 0.001
"""Share of ticks that may begin over 2 ms late, which the media process counts (`ticks_late`): p99.9 ≤ 2 ms says the same."""
LEAST_SENT = 0.98
"""Share of their packets that callers must get out, or it is they who could not keep up."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A line "total" of the callers: what they have counted up to `ns`."""

    ns: int
    calls: int
    sent: int
    received: int
    missing: int
    gaps: int
    late: int
    most_late_us: int

    @classmethod
    def read(cls, line: str) -> Heard:
        """Raises ValueError for a line that is no such one."""
        found = dict(re.findall(r"(\w+)=(-?\d+)", line))
        wanted = [field.name for field in fields(cls)]
        if not line.startswith("total ") or sorted(found) != sorted(wanted):
            raise ValueError(f"not a line of totals ({', '.join(wanted)}): {line!r}")
        return cls(**{name: int(value) for name, value in found.items()})


@dataclass(frozen=True, slots=True)
class Served:
    """What the media processes have counted: all of them together."""

    processes: int
    ticks: int
    late: int
    skipped: int
    received: int
    too_late: int

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, float]]) -> Served:
        """`rows`: a media process each, as `status.media` answers."""
        known = list(rows)
        names = ("ticks", "ticks_late", "ticks_skipped", "packets_received", "packets_late")
        return cls(len(known), *(int(sum(row[name] for row in known)) for name in names))


@dataclass(frozen=True, slots=True)
class Step:
    """So many calls wanted up, `answered` of them came up after `setup_ms` each, `ended` went again while they were looked at."""

    calls: int
    answered: int
    setup_ms: Sequence[int]
    ended: int
    heard: tuple[Heard, Heard]
    served: tuple[Served, Served]

    @property
    def seconds(self) -> float:
        """How long it was looked at."""
        return (self.heard[1].ns - self.heard[0].ns) / 1e9

    @property
    def expected(self) -> float:
        """Packets in each direction."""
        return max(self.heard[0].calls * PACKETS_A_SECOND * self.seconds, 1.0)

    @property
    def loss(self) -> float:
        """Share of packets that callers did not get: of those that should have come in that time, or of the numbers between which they came.

        A tick's packets may have been on their way at the beginning or the end: by time they do not count.
        """
        received, missing = self._heard("received"), self._heard("missing")
        on_their_way = self.heard[0].calls
        return max(1 - (received + on_their_way) / self.expected, missing / max(received + missing, 1), 0.0)

    @property
    def gaps(self) -> int:
        """How often callers found numbers left out."""
        return self._heard("gaps")

    @property
    def sent(self) -> float:
        """Share of their packets that callers got out in time."""
        return self._heard("sent") / self.expected

    @property
    def loss_up(self) -> float:
        """Share of the callers' packets that the server did not get, or got too late to play.

        By rate, for the two sides' figures are not of one moment: the server's clock are its ticks.
        """
        sent_a_tick = self._heard("sent") / max(self.seconds * PACKETS_A_SECOND, 1e-9)
        got = self._served("received") - self._served("too_late") + self.heard[0].calls  # a tick's packets may be on their way
        got_a_tick = got / max(self._served("ticks") + self._served("skipped"), 1) * self.served[1].processes
        return max(1 - got_a_tick / max(sent_a_tick, 1e-9), 0.0)

    @property
    def too_late(self) -> float:
        """Share of the packets that the server got that came too late to be played: a part of `loss_up`."""
        return self._served("too_late") / max(self._served("received"), 1)

    @property
    def late_ticks(self) -> float:
        """Share of ticks that began over 2 ms late or not at all."""
        due = self._served("ticks") + self._served("skipped")
        return (self._served("late") + self._served("skipped")) / max(due, 1)

    def setup(self, share: float) -> int:
        """Milliseconds within which that share of all calls was answered; 0 when none was."""
        times = sorted(self.setup_ms)
        return times[min(int(len(times) * share), len(times) - 1)] if times else 0

    def broken(self) -> list[str]:
        """Which limits do not hold, and by what; nothing: the step holds."""
        found = []
        if self.sent < LEAST_SENT:
            latest_ms = self.heard[1].most_late_us / 1e3
            found.append(f"the callers themselves sent only {self.sent:.1%} of their packets (latest turn {latest_ms:.0f} ms)")
        if self.answered < self.calls:
            found.append(f"{self.calls - self.answered} calls were not answered")
        slow = sum(ms > MOST_SETUP_MS for ms in self.setup_ms)
        if slow:
            found.append(f"{slow} set-ups took over {MOST_SETUP_MS} ms, the longest {self.setup(1.0)}")
        if self.ended:
            found.append(f"{self.ended} calls ended by themselves")
        if self.loss > MOST_LOSS:
            found.append(f"loss to the callers {self.loss:.2%} (limit {MOST_LOSS:.0%})")
        if self.loss_up > MOST_LOSS:
            found.append(f"loss from them {self.loss_up:.2%} (limit {MOST_LOSS:.0%}; too late {self.too_late:.2%})")
        if self.late_ticks > MOST_LATE_TICKS:
            found.append(f"{self.late_ticks:.2%} of ticks over 2 ms late (limit {MOST_LATE_TICKS:.1%})")
        return found

    def row(self, cost_us: float) -> str:
        """A line of TITLES' table; `cost_us`: CPU of the server per channel and second."""
        verdict = "held" if not self.broken() else "; ".join(self.broken())
        return (
            f"| {self.calls} | {self.setup(0.5)} / {self.setup(0.99)} / {self.setup(1.0)} | {self.loss:.3%}, {self.gaps} gaps | "
            f"{self.loss_up:.3%} | {self.late_ticks:.3%} | {cost_us:.0f} | {verdict} |"
        )

    def _heard(self, name: str) -> int:
        return int(getattr(self.heard[1], name) - getattr(self.heard[0], name))

    def _served(self, name: str) -> int:
        return int(getattr(self.served[1], name) - getattr(self.served[0], name))


TITLES = (
    "| calls | set-up, median / p99 / longest, ms | loss to the callers | from them | ticks over 2 ms late | us per channel and s | |\n"
    "|---|---|---|---|---|---|---|"
)


def last_held(steps: Sequence[Step]) -> str:
    """The last step that held, and what broke at those that did not."""
    held = max((step.calls for step in steps if not step.broken()), default=0)
    broke = "".join(f"; at {step.calls} broke: {', '.join(step.broken())}" for step in steps if step.broken())
    return f"last step that held: {f'{held} calls' if held else 'none'}{broke or ', the last that was tried'}"


def shared_out(cpus: Sequence[int]) -> tuple[list[int], list[int]] | None:
    """Cores for the server and for its callers; None where there are too few, and they must share.

    The server gets the larger half. Halves are not mixed, for neighbours are often two threads of one core.
    """
    if len(cpus) <= 2:
        return None
    known = sorted(cpus)
    half = (len(known) + 1) // 2
    return known[:half], known[half:]
