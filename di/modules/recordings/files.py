# SPDX-License-Identifier: GPL-2.0-or-later
"""What the web port asks about sound files: may this caller hear it, does this ticket let it be heard, where is it."""

from __future__ import annotations

import os

from di.kernel.ports import Clock
from di.kernel.registry import Caller
from di.modules.recordings.disk import RecordingDisk
from di.modules.recordings.names import recording_of
from di.modules.recordings.tickets import ListenTickets

PERMISSION = ("recordings", "listen")


class HeardFile:
    """`di.kernel.ports.SoundFile`."""

    def __init__(self, descriptor: int, disk: RecordingDisk) -> None:
        self._descriptor, self._disk = descriptor, disk
        about = os.fstat(descriptor)
        self.size, self.tag = about.st_size, f"{about.st_mtime_ns:x}-{about.st_size:x}"

    async def read(self, at: int, count: int) -> bytes:
        """Bytes from a place on, in a thread."""
        return await self._disk.in_thread(os.pread, self._descriptor, count, at)

    async def close(self) -> None:
        """Give it back."""
        os.close(self._descriptor)


class ListenedFiles:
    """`di.kernel.ports.SoundFiles`. A file's name is looked up as one of ours, and never taken apart into a path."""

    permission = PERMISSION

    def __init__(self, disk: RecordingDisk, tickets: ListenTickets, clock: Clock) -> None:
        self._disk, self._tickets, self._clock = disk, tickets, clock

    def bearer(self, ticket: str, file: str) -> Caller | None:
        """Whose ticket for that file this is; None when it is good for nothing, or not for this."""
        owner = self._tickets.owner(ticket, recording_of(file), self._clock.now_ns())
        return owner if owner is not None and owner.would_allow(*PERMISSION) else None

    async def open(self, file: str) -> HeardFile | None:
        """Open a file; None when there is none of that name. Raises OSError."""
        descriptor = await self._disk.in_thread(self._disk.shelf.open_sound, file)
        return None if descriptor < 0 else HeardFile(descriptor, self._disk)
