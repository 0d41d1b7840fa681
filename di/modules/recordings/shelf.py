# SPDX-License-Identifier: GPL-2.0-or-later
"""The folder of recordings. Everything here may wait for the disk, so it is run in threads.

Sidecars are written aside, synced and renamed: one that is there is whole. One server at a time has the folder, by a lock that ends with
its process. Sound files are found by their names, and only regular files are ever opened or counted.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import wave
from collections.abc import Iterator
from pathlib import Path

from di.kernel.value import Value
from di.modules.recordings.about import INTERRUPTED, RECORDING, RecordedFile, read_sidecar, sidecar
from di.modules.recordings.names import is_recording, main_file, recording_of, recording_of_sidecar, sidecar_file

LONGEST_SIDECAR_BYTES = 16 << 20
_LOCK = ".lock"
_ASIDE = ".aside"


class FolderTaken(Exception):
    """Another server has the folder."""


class RecordingShelf:
    """`folder` is absolute. Functions raise OSError where the disk does not do what it should."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = -1

    def take(self) -> None:
        """Make the folder if need be and keep others out. Raises FolderTaken, OSError."""
        if not self.folder.is_dir():
            self.folder.mkdir(mode=0o700, parents=True)
        self._lock = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.give_back()
            raise FolderTaken from None

    def give_back(self) -> None:
        """Let others have the folder."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def sound_path(self, file: str) -> Path:
        """Where a file of a recording is, or will be."""
        return self.folder / file

    # -------------------------------------------------------------------------------------------------------------- looking
    def _entries(self) -> Iterator[os.DirEntry[str]]:
        with os.scandir(self.folder) as entries:
            for entry in entries:
                if entry.is_file(follow_symlinks=False):
                    yield entry

    def usage_bytes(self) -> int:
        """What all recordings take."""
        total = 0
        for entry in self._entries():
            with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                total += entry.stat(follow_symlinks=False).st_size
        return total

    def free_bytes(self) -> int:
        """What the disk still has for us."""
        about = os.statvfs(self.folder)
        return about.f_bavail * about.f_frsize

    def names(self) -> list[str]:
        """All recordings, newest first."""
        return sorted(filter(None, (recording_of_sidecar(entry.name) for entry in self._entries())), reverse=True)

    def read(self, name: str) -> dict[str, Value] | None:
        """What the sidecar of a recording says; None when there is none, or it cannot be understood."""
        if not is_recording(name):
            return None
        try:
            with open(self.folder / sidecar_file(name), encoding="utf-8", errors="replace", opener=_no_link) as file:
                text = file.read(LONGEST_SIDECAR_BYTES)
        except FileNotFoundError:
            return None
        about = read_sidecar(text)
        return about if about is not None and about["name"] == name else None

    def is_there(self, name: str) -> bool:
        """Whether there is such a recording, be its sidecar understood or not."""
        return is_recording(name) and os.path.lexists(self.folder / sidecar_file(name))

    def sound_files(self, name: str) -> list[str]:
        """The sound files of a recording, the main one first."""
        return sorted(
            (entry.name for entry in self._entries() if recording_of(entry.name) == name), key=lambda file: (len(file), file)
        )

    def has_sound(self, file: str) -> bool:
        """Whether there is a sound file of that name."""
        if not recording_of(file):
            return False
        try:
            return stat.S_ISREG((self.folder / file).lstat().st_mode)
        except OSError:
            return False

    def open_sound(self, file: str) -> int:
        """A descriptor of a sound file, to be closed by the caller; -1 when it is no recording's, or not there."""
        if not self.has_sound(file):
            return -1
        try:
            return os.open(self.folder / file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return -1

    def measure(self, sound: RecordedFile) -> None:
        """Fill in rate, channels, samples and bytes from the file itself, and have it on the disk."""
        path = self.folder / sound.file
        with open(path, "rb", opener=_no_link) as file:
            os.fsync(file.fileno())
            sound.bytes = os.fstat(file.fileno()).st_size
            with contextlib.suppress(wave.Error, EOFError), wave.open(file) as about:
                sound.rate_hz, sound.channels, sound.samples = about.getframerate(), about.getnchannels(), about.getnframes()

    # -------------------------------------------------------------------------------------------------------------- changing
    def write(self, name: str, about: dict[str, Value]) -> None:
        """Write a sidecar so that it is there whole or as it was before."""
        aside = self.folder / f"{_ASIDE}-{name}"
        try:
            with open(aside, "w", encoding="utf-8", errors="replace", opener=_private) as file:
                file.write(sidecar(about))
                file.flush()
                os.fsync(file.fileno())
            aside.rename(self.folder / sidecar_file(name))
        except OSError:
            aside.unlink(missing_ok=True)
            raise
        self._sync_folder()

    def delete(self, name: str) -> bool:
        """Delete a recording, its sidecar first: one that has none is not shown. False when there is none."""
        there = self.is_there(name)
        if there:
            (self.folder / sidecar_file(name)).unlink(missing_ok=True)
            for file in self.sound_files(name):
                (self.folder / file).unlink(missing_ok=True)
            self._sync_folder()
        return there

    def discard(self, name: str) -> None:
        """Take away a recording that never began."""
        (self.folder / sidecar_file(name)).unlink(missing_ok=True)

    def older_than(self, began_s: float) -> list[str]:
        """Recordings that began before that time and are no longer running."""
        found = []
        for name in self.names():
            about = self.read(name)
            if about is not None and about["state"] != RECORDING and _number(about["began"]) < began_s:
                found.append(name)
        return found

    def recover(self, running: frozenset[str], settled_s: float) -> tuple[list[str], list[str]]:
        """End what a server that died was recording: its files are whole as they are, the sidecar gets their lengths.

        `running`: recordings of this server · `settled_s`: what was written later than this may still be written, by a media process that
        outlives its server by a moment, or by this server. Returns the names of those ended, and of those to look at again.
        """
        ended, later = [], []
        for entry in list(self._entries()):
            if entry.name.startswith(f"{_ASIDE}-") and entry.stat().st_mtime <= settled_s:
                Path(entry.path).unlink(missing_ok=True)
        for name in self.names():
            about = None if name in running else self.read(name)
            if about is None or about["state"] != RECORDING:
                continue
            files = self.sound_files(name)
            if any((self.folder / file).lstat().st_mtime > settled_s for file in (sidecar_file(name), *files)):
                later.append(name)
                continue
            self.write(name, self._ended(about, files))
            ended.append(name)
        return ended, later

    def _ended(self, about: dict[str, Value], files: list[str]) -> dict[str, Value]:
        known = about["files"] if isinstance(about["files"], list) else []
        owners = {str(one.get("file")): str(one.get("of")) for one in known if isinstance(one, dict)}
        sounds = [RecordedFile(file, owners.get(file, _owner(about, file))) for file in files]
        for sound in sounds:
            self.measure(sound)
        length_ms = max((sound.samples * 1000 // sound.rate_hz for sound in sounds if sound.rate_hz), default=0)
        return {
            **about,
            "state": INTERRUPTED,
            "reason": "the server died while it was recorded; what was written until then is there",
            "length_ms": length_ms,
            "ended": _number(about["began"]) + length_ms / 1000,
            "files": [sound.value() for sound in sounds],
        }

    def _sync_folder(self) -> None:
        folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _owner(about: dict[str, Value], file: str) -> str:
    """Whose a file is by its name alone."""
    if file == main_file(str(about["name"])):
        return "call" if about["kind"] == "call" else "mix"
    return f"leg {file.removesuffix('.wav').rpartition('-')[2]}"


def _number(value: Value) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0


def _no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
