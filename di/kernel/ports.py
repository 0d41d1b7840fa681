# SPDX-License-Identifier: GPL-2.0-or-later
"""What the core needs from outside, as protocols. Shells implement them; tests hand in fakes (tests/support)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import TYPE_CHECKING, Protocol, TypeAlias

from di.kernel.capabilities import Capability
from di.kernel.event_log import Dropped
from di.kernel.value import Value

if TYPE_CHECKING:
    from di.kernel.registry import Caller


class TimerHandle(Protocol):
    """Something that was asked for later and can be called off."""

    def cancel(self) -> None:
        """Call it off; without effect when it has run."""


class Clock(Protocol):
    """Time, randomness and "later". The real one is `di.kernel.clock.LoopClock`; a test's jumps by hand."""

    random: Random

    def now_ns(self) -> int:
        """Monotonic time."""

    def epoch_s(self) -> float:
        """Wall-clock time, seconds since 1970."""

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Run a callback in the loop after what runs now."""

    def call_later(self, delay_ns: int, callback: Callable[[], None]) -> TimerHandle:
        """Run a callback in the loop after a while."""


class MonitoringHooks(Protocol):
    """What the core writes into the monitoring store. The default does nothing: the module may be left out (spec monitoring.md §4)."""

    def log(self, id: str, **attributes: Value) -> None:
        """Set attributes of a record."""

    def log_add(self, id: str, name: str, value: Value) -> None:
        """Append a value to an attribute."""

    def mark_finished(self, id: str) -> None:
        """The record's call is over."""


class NoMonitoring:
    """`MonitoringHooks` without the module loaded."""

    def log(self, id: str, **attributes: Value) -> None:
        """Nothing."""

    def log_add(self, id: str, name: str, value: Value) -> None:
        """Nothing."""

    def mark_finished(self, id: str) -> None:
        """Nothing."""


class ResultChange(Protocol):
    """Ids that came into a standing query's result and ids that left it."""

    @property
    def entered(self) -> list[str]:
        """What came."""

    @property
    def left(self) -> list[str]:
        """What went."""


class StandingQuery(Protocol):
    """A filter whose result is followed on a client's behalf."""

    def members(self) -> list[str]:
        """The present result; changes up to now are forgotten."""

    def take(self) -> ResultChange | Dropped | None:
        """What changed since the last call, None for nothing; Dropped, once, when the client was too slow."""

    def close(self) -> None:
        """End it."""


class SoundFile(Protocol):
    """A sound file that is open. Functions raise OSError where the disk does not do what it should."""

    size: int
    """In bytes, when it was opened."""
    tag: str
    """Another one when the content may be another."""

    async def read(self, at: int, count: int) -> bytes:
        """Bytes from a place on, fewer at the end."""

    async def close(self) -> None:
        """Give it back."""


class SoundFiles(Protocol):
    """Sound files that callers may hear by the web port, each by its name."""

    permission: tuple[str, str]
    """The function, as (module, function), that a caller must be allowed to hear them."""

    def bearer(self, ticket: str, file: str) -> Caller | None:
        """On whose behalf a ticket lets that file be heard; None when it does not."""

    async def open(self, file: str) -> SoundFile | None:
        """Open a file; None for a name that is none of theirs, or not there."""


MakeQuery: TypeAlias = "Callable[[list[Value], Callable[[], None]], StandingQuery]"
"""From filters and what is called when the result has changed. Raises TypeMismatch or OutOfBounds for a bad filter."""
MediaFigures: TypeAlias = "Callable[[], Mapping[int, Mapping[str, float]]]"
"""Number of a media process → what it last reported, by name."""

MONITORING: Capability[MonitoringHooks] = Capability("monitoring")
"""Under this key stands the store, when one is loaded."""
STANDING_QUERIES: Capability[MakeQuery] = Capability("standing queries")
"""Likewise."""
MEDIA_FIGURES: Capability[MediaFigures] = Capability("figures of the media processes")
SOUND_FILES: Capability[SoundFiles] = Capability("sound files for the web port")
