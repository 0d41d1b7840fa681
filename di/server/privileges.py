# SPDX-License-Identifier: GPL-2.0-or-later
"""What a service program does about its user and its pid file (options -u, -g, -P)."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
from pathlib import Path


class NotPermitted(Exception):
    """An option asks for what this user may not do; the text names the option and what would be right."""


class PidFile:
    """Made before the program becomes another user, who need not be able to write there; `write` and `remove` follow when they can."""

    def __init__(self, path: str) -> None:
        """Open it. Raises NotPermitted."""
        self._path = Path(path)
        try:
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        except OSError as error:
            raise NotPermitted(f"-P {path}: cannot be written ({error.strerror})") from error

    def write(self) -> None:
        """Write this process's id."""
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def remove(self) -> None:
        """Remove it; where the present user may not do that, it is left empty."""
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, 0)
            self._path.unlink(missing_ok=True)
        os.close(self._descriptor)


def become(user: str | None, group: str | None) -> None:
    """Give up the present user for another, group first; HOME follows. Raises NotPermitted."""
    try:
        gid = _group(group) if group else None
        entry = _user(user) if user else None
        if gid is not None:
            os.setgid(gid)
        if entry is not None:
            if gid is None:
                os.setgid(entry.pw_gid)
            os.initgroups(entry.pw_name, entry.pw_gid if gid is None else gid)
            os.setuid(entry.pw_uid)
            os.environ["HOME"] = entry.pw_dir
    except PermissionError as error:
        options = " ".join(f"{option} {name}" for option, name in (("-u", user), ("-g", group)) if name)
        raise NotPermitted(f"{options}: only root may become another user") from error


def _user(name: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(int(name)) if name.isdigit() else pwd.getpwnam(name)
    except (KeyError, OverflowError):
        raise NotPermitted(f"-u {name}: there is no such user") from None


def _group(name: str) -> int:
    try:
        return int(name) if name.isdigit() else grp.getgrnam(name).gr_gid
    except (KeyError, OverflowError):
        raise NotPermitted(f"-g {name}: there is no such group") from None
