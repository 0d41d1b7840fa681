# SPDX-License-Identifier: GPL-2.0-or-later
"""What a leg's playlist may hold (spec core.md §9.2): hub and applications make the items, the media process plays them in order.

Lengths are of sound, in milliseconds. An item that is called endless is current until it is flushed or one is put before it.
"""

from __future__ import annotations

from typing import TypeAlias

from media.control.quick_records import record


@record(frozen=True, slots=True)
class PlayFile:
    """An audio file, from `seek_ms` on. `loop`: again and again.

    `talk_through`: the leg keeps speaking in the room that this item interrupted (prompts inside a conference).
    """

    path: str
    loop: bool = False
    seek_ms: int = 0
    talk_through: bool = False


@record(frozen=True, slots=True)
class PlaySilence:
    """Silence; `length_ms` 0: endless, in a mixer or an announcement a second."""

    length_ms: int = 0


@record(frozen=True, slots=True)
class PlayTone:
    """A tone of one or two frequencies, `on_ms` and `off_ms` by turns (`off_ms` 0: on all the time).

    `length_ms` 0: endless, in a mixer or an announcement a second. `talk_through` as above.
    """

    frequencies_hz: tuple[int, ...]
    on_ms: int = 0
    off_ms: int = 0
    length_ms: int = 0
    talk_through: bool = False


@record(frozen=True, slots=True)
class PlaySeparator:
    """A marker: SeparatorReached with its number is reported when it is reached."""

    number: int


@record(frozen=True, slots=True)
class PlayRoom:
    """A room; endless. While it is the current item the leg speaks and listens there."""

    room: str


@record(frozen=True, slots=True)
class PlayEcho:
    """The leg hears itself; endless."""


@record(frozen=True, slots=True)
class PlayRecord:
    """Record into a file, `length_ms` at most (0: no limit), with silence meanwhile."""

    path: str
    length_ms: int = 0


@record(frozen=True, slots=True)
class PlayBridge:
    """Another leg; endless. The two hear each other while both are bridged."""

    peer_leg: int


Sound: TypeAlias = PlayFile | PlaySilence | PlayTone
"""What can be mixed over other audio."""
PlayItem: TypeAlias = Sound | PlaySeparator | PlayRoom | PlayEcho | PlayRecord | PlayBridge
"""One entry of a leg's playlist (spec core.md §9.2)."""
