# SPDX-License-Identifier: GPL-2.0-or-later
"""One call that records a greeting (spec applications.md §15).

START ──any key──► RECORDING ──any key, 120 s──► REVIEW ──1, 20 s──► SAVING ─► LEAVING: what became of it, BYE
  ▲ └ 20 s ─► LEAVING                               │
  └─────────────────── any other key ───────────────┘

A recording that is not saved is removed, whenever its caller goes. The greeting that callers hear meanwhile is the old one: the new one takes
its place in one moment, when it is on the disk.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from enum import Enum, auto
from pathlib import Path

from di.apps.annrecorder.order import GreetingOrder
from di.apps.api import (
    Application,
    Existing,
    Messages,
    MsgCode,
    Outcome,
    PlayFile,
    PlayItem,
    PlaySeparator,
    PlaySilence,
    PlayTone,
    RecordingStopped,
    Session,
)

log = logging.getLogger(__name__)

LONGEST_S, PATIENCE_S = 120, 20
_SHORTEST_MS = 300
"""Less is a slip of the finger: callers would hear a greeting of nothing."""
_ORDERLY = frozenset(("asked", "length", "closed"))
_PATIENCE = 1
_BEGIN = 1
_SAVE_KEY = 1


class RecorderState(Enum):
    """Where a call stands."""

    START = auto()
    RECORDING = auto()
    REVIEW = auto()
    SAVING = auto()
    LEAVING = auto()


class AnnrecorderCall(Application):
    """A user in front of his greeting. `find` gives a prompt's file by name; `default` is the greeting of who has recorded none."""

    def __init__(
        self, session: Session, messages: Messages, order: GreetingOrder, find: Callable[[str], Path | None], default: Path | None
    ) -> None:
        super().__init__(session)
        self._messages, self._order, self._find, self._default = messages, order, find, default
        self._state = RecorderState.START
        self._patient = True
        """Whether the caller's time at START is limited."""
        self._recording: Path | None = None
        self._open = False
        """The recording is not complete yet."""
        self._over = False

    async def on_session_start(self) -> None:
        """Play the present greeting."""
        opened = await self._messages.open(self._order.owner.greetings, self._order.name)
        present = opened.path or self._default
        greeting = (PlayFile(str(present)),) if present is not None else ()
        self.session.audio.play(*self._said("welcome", "your_prompt"), *greeting, *self._said("to_record"))

    def _said(self, *names: str) -> tuple[PlayItem, ...]:
        return tuple(PlayFile(str(path)) for path in map(self._find, names) if path is not None)

    # ------------------------------------------------------------------------------------------------------- keys and silence
    def on_digit(self, event: int, duration_ms: int) -> Outcome:
        """A key means something in each state but the last two."""
        if self._state is RecorderState.START:
            self._record()
        elif self._state is RecorderState.RECORDING:
            self.session.audio.stop_recording()  # `_complete` follows
        elif self._state is RecorderState.REVIEW and event == _SAVE_KEY:
            return self._save()
        elif self._state is RecorderState.REVIEW:
            self._start_again()
        return None

    def on_playlist_empty(self) -> None:
        """All has been said: the caller's time runs, or the call is over."""
        if self._state is RecorderState.LEAVING:
            self.session.stop()
        elif self._state is RecorderState.REVIEW or (self._state is RecorderState.START and self._patient):
            self.session.timers.set(_PATIENCE, PATIENCE_S * 1000)

    def on_timer(self, id: int) -> Outcome:
        """No key for so long: nothing is recorded, but what has been recorded is kept."""
        if self._state is RecorderState.REVIEW:
            return self._save()
        if self._state is RecorderState.START:
            self._leave("bye")
        return None

    def _enter(self, state: RecorderState) -> None:
        self._state = state
        self.session.timers.remove(_PATIENCE)
        self.session.audio.flush()

    # --------------------------------------------------------------------------------------------------------- the recording
    def _record(self) -> None:
        self._enter(RecorderState.RECORDING)
        self._remove()
        beep = self._said("beep") or (PlayTone((1000,), length_ms=150),)
        self.session.audio.play(*beep, PlaySeparator(_BEGIN), PlaySilence())

    def on_separator(self, number: int) -> None:
        """The beep is over."""
        if self._state is RecorderState.RECORDING and self._recording is None:
            self._recording = self._messages.recording_path("wav")
            self._open = True
            self.session.audio.record(str(self._recording), LONGEST_S * 1000, on_end=self._ended)

    def _ended(self, record: RecordingStopped) -> None:
        """The recording is complete, perhaps after the call."""
        self._open = False
        if self._over:
            self._remove()
        else:
            self.session.run(lambda: self._complete(record))

    def _complete(self, record: RecordingStopped) -> None:
        if self._state is not RecorderState.RECORDING:
            return
        if record.reason not in _ORDERLY:
            log.error("call %s: annrecorder: recording %s broke off: %s", self.session.id, record.path, record.reason)
            self._leave("not_set", "bye")
        elif record.length_ms < _SHORTEST_MS:
            self._start_again()
        else:
            self._enter(RecorderState.REVIEW)
            self.session.audio.play(*self._said("your_prompt"), PlayFile(record.path), *self._said("confirm"))

    def on_recording_stopped(self, record: RecordingStopped) -> Outcome:
        """`_ended` has been told."""

    # ------------------------------------------------------------------------------------------------------------ what follows
    def _start_again(self) -> None:
        self._enter(RecorderState.START)
        self._patient = False
        self._remove()
        self.session.audio.play(*self._said("to_record"))

    async def _save(self) -> None:
        """Store the greeting, then say so."""
        self._enter(RecorderState.SAVING)
        owner, name = self._order.owner.greetings, self._order.name
        stored = await self._messages.store(owner, name, self._recording, Existing.REPLACE)
        if stored.code is MsgCode.OK:
            self._recording = None
            log.info("call %s: annrecorder: greeting %s of %s is set", self.session.id, name, self._order.owner)
            self._leave("greeting_set", "bye")
        else:
            log.error("call %s: annrecorder: greeting %s of %s is not set: %s", self.session.id, name, owner, stored.cause)
            self._leave("not_set", "bye")

    def _leave(self, *names: str) -> None:
        self._enter(RecorderState.LEAVING)
        said = self._said(*names)
        if said:
            self.session.audio.play(*said)
        else:
            self.session.stop()

    def on_destroy(self) -> None:
        """What has not been saved goes; a recording that still runs goes when it is complete."""
        self._over = True
        if not self._open:
            self._remove()

    def _remove(self) -> None:
        path, self._recording = self._recording, None
        if path is not None:
            self.session.host.spawn(_unlink(path))


async def _unlink(path: Path) -> None:
    try:
        await asyncio.to_thread(path.unlink, True)
    except OSError as error:
        log.warning("annrecorder: %s is not removed: %s", path, error.strerror)
