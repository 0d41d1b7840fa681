# SPDX-License-Identifier: GPL-2.0-or-later
"""What the calls of `webconference` and its DI functions share: rooms, prompts, counts and files."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from di.apps.api import ConfigError, Services, configured, where
from di.apps.prompts import Prompts
from di.apps.webconference.feedback import CallCounts, FeedbackFile, may_append, read_counts
from di.apps.webconference.options import Options
from di.apps.webconference.rooms import RoomTable, Rules

log = logging.getLogger(__name__)

_PROMPTS = ("first_participant", "join_sound", "drop_sound", "enter_pin", "wrong_pin", "wrong_pin_bye", "entering_conference")
_WRITE_EVERY = 2
"""The stats file is written at every second finished call (spec applications.md §1.1)."""


class Conference:
    """Rooms, prompts, counts and files of the module."""

    def __init__(self, services: Services, options: Options) -> None:
        """Raises ConfigError when the feedback file cannot be written."""
        self.services, self.options = services, options
        self.table = RoomTable(
            Rules(
                options.private_rooms,
                options.ignore_pin,
                options.participants_expire_delay if options.participants_expire else None,
                options.rooms_expire_delay if options.rooms_expire else None,
                options.max_rooms,
            )
        )
        for room, pin in options.predefined_rooms:
            self.table.create(room, pin, 0, self.now_s())
        self.prompts = Prompts("webconference", self._files(options))
        self._stats = configured(options.stats_dir, services.conf_dir) / "stats" if options.stats_dir else None
        self.counts = read_counts(self._stats) if self._stats else CallCounts()
        path = configured(options.feedback_file, services.conf_dir) if options.feedback_file else None
        try:
            self.feedback = FeedbackFile(path if not services.trial else None)
            if path is not None and services.trial:
                may_append(path)
        except OSError as error:
            raise ConfigError(
                *where(options, "feedback_file"), "feedback_file", f"{path} cannot be written: {error.strerror}"
            ) from error

    def read_prompts(self, options: Options) -> None:
        """Take the prompts of options that were read anew; calls that are up keep theirs."""
        self.prompts = Prompts("webconference", self._files(options))
        self.preload()

    def preload(self) -> None:
        """Let the media processes read the prompts."""
        for path in self.prompts.paths():
            self.services.sessions.preload(path)

    def _files(self, options: Options) -> dict[str, Path | None]:
        folder = self.services.conf_dir
        texts = {name: str(getattr(options, name)) for name in _PROMPTS}
        files: dict[str, Path | None] = {name: configured(text, folder) if text else None for name, text in texts.items()}
        if options.digits_dir:
            digits = configured(options.digits_dir, folder)
            files |= {str(digit): digits / f"{digit}.wav" for digit in range(10)}
        return files

    def feedback_path(self, text: str) -> Path:
        """A file for opinions that somebody outside names. Raises ValueError when it is not in the folder of feedback_file."""
        if not self.options.feedback_file:
            raise ValueError("feedback_file is not set, so there is no folder for such files")
        folder = configured(self.options.feedback_file, self.services.conf_dir).resolve().parent
        path = (folder / text).resolve()
        if not path.is_relative_to(folder) or path == folder:
            raise ValueError(f"it is not in {folder}, the folder of feedback_file")
        return path

    def now_s(self) -> float:
        """Wall-clock time: expiry is told in it."""
        return self.services.clock.epoch_s()

    def info(self) -> str:
        """The text that ends every reply of the DI interface."""
        signature = self.services.core.signature or "cordboard"
        return self.counts.info(signature, len(self.services.sessions))

    def call_finished(self, connected_s: float | None) -> None:
        """Count a call; now and then the counts are written to disk, beside the loop."""
        self.counts.add(connected_s)
        if self._stats is not None and self.counts.total % _WRITE_EVERY == 0:
            self.services.sessions.spawn(asyncio.to_thread(_write, self._stats, self.counts.text()))

    def close(self) -> None:
        """Write the counts, close the files."""
        if self._stats is not None and not self.services.trial:
            _write(self._stats, self.counts.text())
        self.feedback.close()


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="ascii")
    except OSError as error:
        log.error("webconference: %s cannot be written: %s", path, error.strerror)
