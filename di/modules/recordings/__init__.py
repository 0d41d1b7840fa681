# SPDX-License-Identifier: GPL-2.0-or-later
"""Recordings of rooms and calls, made and heard by DI, with a sidecar that says who was there (docs/recordings.md).

options.py    recordings.conf                        names.py   names of recordings and files; nothing from outside becomes a path
running.py    recordings that are being made         about.py   what is known of one: the sidecar
shelf.py      the folder: read, write, delete, repair; disk.py uses it in threads
interface.py  the DI functions                       tickets.py, files.py  who may listen, for the web port
"""

from __future__ import annotations

import logging
import os
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from di.kernel.errors import ConfigError
from di.kernel.options import keep_sources, where
from di.kernel.paths import configured
from di.kernel.ports import SOUND_FILES, TimerHandle
from di.modules.recordings.disk import RecordingDisk
from di.modules.recordings.files import ListenedFiles
from di.modules.recordings.interface import RecordingsInterface
from di.modules.recordings.options import Options
from di.modules.recordings.running import SECOND_NS, RunningRecordings
from di.modules.recordings.shelf import FolderTaken, RecordingShelf
from di.modules.recordings.tickets import ListenTickets
from di.server.plugin import Plugin

if TYPE_CHECKING:
    from di.server.plugin import Closer
    from di.server.services import Services

log = logging.getLogger(__name__)

_SETTLED_S = 3.0
"""A media process outlives its server by less: what has not been written for so long is complete."""
_HOUR_NS = 3600 * SECOND_NS
_DAY_S = 86_400


class _Chores:
    """What is done to the folder by and by: ending what a dead server recorded, deleting what is too old."""

    def __init__(self, services: Services, running: RunningRecordings, disk: RecordingDisk) -> None:
        self._services, self._running, self._disk = services, running, disk
        self._timers: list[TimerHandle] = []

    def later(self, delay_ns: int, work: str) -> None:
        """Do `recover` or `retire` after a while."""
        chore = self.recover if work == "recover" else self.retire
        self._timers = [
            self._services.clock.call_later(delay_ns, lambda: self._services.sessions.spawn(chore())),
            *self._timers[:3],
        ]

    def close(self) -> None:
        """No more of it."""
        for timer in self._timers:
            timer.cancel()

    async def recover(self) -> None:
        """End what a server that died was recording."""
        settled_s = self._services.clock.epoch_s() - _SETTLED_S
        try:
            ended, later = await self._disk.in_thread(self._disk.shelf.recover, self._running.names(), settled_s)
        except OSError as error:
            log.error(
                "recordings: %s: %s: recordings of a server that died are not ended", self._disk.shelf.folder, error.strerror
            )
            return
        for name in ended:
            log.warning("recording %s was cut off when its server died; what was written until then is kept", name)
        if later:
            self.later(int(_SETTLED_S * SECOND_NS), "recover")

    async def retire(self) -> None:
        """Delete what is older than keep_days."""
        days = self._disk.options.keep_days
        if days:
            await self._delete_before(self._services.clock.epoch_s() - days * _DAY_S)
        self.later(_HOUR_NS, "retire")

    async def _delete_before(self, began_s: float) -> None:
        try:
            for name in await self._disk.in_thread(self._disk.shelf.older_than, began_s):
                await self._disk.in_thread(self._disk.shelf.delete, name)
                log.info("recording %s is deleted: older than keep_days", name)
                self._running.deleted(name)
        except OSError as error:
            log.error("recordings: %s: %s: what is older than keep_days is not deleted", self._disk.shelf.folder, error.strerror)


def start(services: Services, options: Options) -> Closer:
    """Take the folder and publish the DI functions. Raises ConfigError when it cannot be used."""
    folder = configured(options.folder, services.conf_dir)
    shelf = RecordingShelf(folder)
    options = _checked(services, options)
    if services.trial:
        _try_folder(options, folder)
        return None
    _take_folder(options, shelf)
    threads = ThreadPoolExecutor(3, "recordings")
    disk = RecordingDisk(shelf, options, threads)
    running = RunningRecordings(services.sessions, services.events, disk)
    tickets = ListenTickets(lambda: secrets.token_urlsafe(32))
    services.registry.register("recordings", RecordingsInterface(running, disk, tickets, services.clock))
    services.sessions.recording_sink = running
    withdraw = services.capabilities.provide(SOUND_FILES, ListenedFiles(disk, tickets, services.clock))
    chores = _Chores(services, running, disk)
    services.sessions.spawn(chores.recover())
    services.sessions.spawn(chores.retire())

    def reload(new: Options) -> None:
        if configured(new.folder, services.conf_dir) != folder:
            raise ConfigError(*where(new, "folder"), "folder", "cannot change while the server runs; restart it")
        disk.options = _checked(services, new)

    services.on_reload("recordings", Options, reload)

    async def close() -> None:
        chores.close()
        await running.close()
        services.sessions.recording_sink = None
        withdraw()
        services.registry.unregister("recordings")
        threads.shutdown(wait=False)
        shelf.give_back()

    return close


def _checked(services: Services, options: Options) -> Options:
    """The options with the notice's whole path. Raises ConfigError when it is not there."""
    if not options.room_notice:
        return options
    notice = configured(options.room_notice, services.conf_dir)
    if not notice.is_file():
        raise ConfigError(*where(options, "room_notice"), "room_notice", f"there is no file {notice}; name an existing one")
    services.sessions.preload(str(notice))
    return keep_sources(replace(options, room_notice=str(notice)), options)


def _take_folder(options: Options, shelf: RecordingShelf) -> None:
    try:
        shelf.take()
    except FolderTaken:
        hint = f"{shelf.folder} is in use by another server; give each one its own"
        raise ConfigError(*where(options, "folder"), "folder", hint) from None
    except OSError as error:
        raise _unusable(options, shelf.folder, error) from error


def _unusable(options: Options, folder: Path, error: OSError) -> ConfigError:
    hint = f"{folder} cannot be used: {error.strerror}; name a folder that the server may write to, or make one"
    return ConfigError(*where(options, "folder"), "folder", hint)


def _try_folder(options: Options, folder: Path) -> None:
    """What would stand against the folder, without leaving anything behind. Raises ConfigError."""
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise _unusable(options, folder, OSError(0, f"{there} is no folder"))
    if not os.access(there, os.W_OK | os.X_OK):
        raise _unusable(options, folder, OSError(0, f"{there} may not be written to"))


PLUGIN = Plugin("recordings", start, Options)
