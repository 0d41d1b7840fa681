# SPDX-License-Identifier: GPL-2.0-or-later
"""Which files an application may play and record: below its own folder, the prompts, and its folder of recordings. Nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from di.kernel.paths import safe_name


class NoSuchFile(Exception):
    """A path leads out of what the application may reach, or to nothing; the text says which."""


@dataclass(frozen=True)
class Reach:
    """`own`: the application's folder; `prompts`, `recordings`: None where there are none."""

    own: Path
    prompts: Path | None
    recordings: Path | None

    def readable(self, name: str) -> str:
        """The file to play. Raises NoSuchFile. Links are followed first: one that leads out of the folders is out of them."""
        folders = [folder for folder in (self.own, self.prompts, self.recordings) if folder is not None]
        for folder in folders:
            try:
                path = (folder / name).resolve()
                if path.is_file() and any(path.is_relative_to(one.resolve()) for one in folders):
                    return str(path)
            except (OSError, ValueError):
                continue
        raise NoSuchFile(f"there is no {name!r} in {', '.join(str(folder) for folder in folders)}")

    def writable(self, name: str) -> str:
        """The file to record into; its folder is made. Raises NoSuchFile."""
        if self.recordings is None:
            raise NoSuchFile("record_path is not set in apps.conf")
        root = self.recordings.parent
        absolute = name.startswith("/")
        if absolute and not Path(name).is_relative_to(root):
            raise NoSuchFile(f"{name!r} is not below {root}")
        steps = name.removeprefix(f"{root}/").split("/") if absolute else name.split("/")
        if not all(safe_name(step) for step in steps):
            raise NoSuchFile(f"{name!r} is no name for a recording; right are names without dots in front, parted by /")
        path = (root if absolute else self.recordings).joinpath(*steps)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.parent.resolve().is_relative_to((root if absolute else self.recordings).resolve()) or path.is_symlink():
                raise NoSuchFile(f"{name!r} leads out of {self.recordings}")
        except OSError as error:
            raise NoSuchFile(f"{path.parent}: {error.strerror}") from error
        return str(path)
