# SPDX-License-Identifier: GPL-2.0-or-later
"""The folder of recordings as the hub may use it: in threads of its own, so that a disk that stalls holds nobody else up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import ParamSpec, TypeVar

from di.modules.recordings.about import COMPLETE, RecordedFile, RecordingAbout
from di.modules.recordings.options import Options
from di.modules.recordings.shelf import RecordingShelf

P = ParamSpec("P")
T = TypeVar("T")
MB = 1_000_000


class RecordingDisk:
    """`shelf`, and what may be put there. Raises OSError where the disk does not do what it should."""

    def __init__(self, shelf: RecordingShelf, options: Options, threads: Executor) -> None:
        self.shelf, self.options = shelf, options
        self._threads = threads
        self._writing = asyncio.Lock()
        self.unwritten: dict[str, RecordingAbout] = {}
        """Recordings that have ended, but for whose sidecars there was no place yet."""

    async def in_thread(self, function: Callable[P, T], *args: P.args, **more: P.kwargs) -> T:
        """Do something that may wait for the disk."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: function(*args, **more))

    async def write(self, about: RecordingAbout) -> None:
        """Write a sidecar; one after the other, so that the last word is the last."""
        async with self._writing:
            await self.in_thread(self.shelf.write, about.name, about.value())

    async def discard(self, name: str) -> None:
        """Take away the sidecar of a recording that was not begun."""
        async with self._writing:
            await self.in_thread(self.shelf.discard, name)

    async def measure(self, about: RecordingAbout) -> None:
        """Let the files say what is in them; one that never came to be is not listed."""

        def measured() -> list[RecordedFile]:
            owners = {file.file: file.of for file in about.files}
            there = [RecordedFile(file, owners.get(file, "unknown")) for file in self.shelf.sound_files(about.name)]
            for sound in there:
                self.shelf.measure(sound)
            return there

        about.files = await self.in_thread(measured)
        if about.state != COMPLETE or not about.length_ms:
            about.length_ms = max((file.samples * 1000 // file.rate_hz for file in about.files if file.rate_hz), default=0)

    async def problem(self) -> str:
        """Why nothing may be recorded now; empty when all is well."""
        options, folder = self.options, self.shelf.folder

        def look() -> tuple[int, int]:
            return self.shelf.free_bytes(), self.shelf.usage_bytes() if options.quota_mb else 0

        try:
            free_bytes, used_bytes = await self.in_thread(look)
        except OSError as error:
            return f"{folder}: {error.strerror}"
        if free_bytes < options.min_free_mb * MB:
            return f"{folder}: {free_bytes // MB} MB are free, less than min_free_mb={options.min_free_mb} (recordings.conf)"
        if options.quota_mb and used_bytes >= options.quota_mb * MB:
            return f"{folder}: the recordings take {used_bytes // MB} MB, quota_mb={options.quota_mb} (recordings.conf)"
        return ""

    async def write_again(self) -> None:
        """Try the sidecars for which there was no place."""
        for name, about in list(self.unwritten.items()):
            await self.measure(about)
            await self.write(about)
            self.unwritten.pop(name, None)
