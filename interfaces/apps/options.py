# SPDX-License-Identifier: GPL-2.0-or-later
"""apps.conf: where the files of applications are, and what one may use."""

from __future__ import annotations

import os
import pwd
import re
from dataclasses import dataclass
from pathlib import Path

from di.kernel.options import REQUIRED, option
from di.kernel.paths import absolute_path, existing_folder


def parse_names(text: str) -> tuple[str, ...]:
    """Read a list of applications."""
    names = tuple(name.strip() for name in re.split(r"[,;]", text) if name.strip())
    if any(not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) for name in names) or len(set(names)) != len(names):
        raise ValueError("right is a list of names of letters, digits and underscores, each once")
    return names


def parse_remote(text: str) -> tuple[str, ...]:
    """Read a list of applications, or `*`."""
    return ("*",) if text.strip() == "*" else parse_names(text)


def parse_user(text: str) -> str:
    """Read a user's name."""
    if text:
        try:
            pwd.getpwnam(text)
        except KeyError:
            raise ValueError(f"there is no user {text!r}: adduser --system --group {text}") from None
        if os.geteuid():
            raise ValueError("only a server that runs as root can give its programs to another user")
    return text


def parse_crash(text: str) -> str:
    """Read what becomes of calls whose process died."""
    if not re.fullmatch(r"hangup|stay|app:[A-Za-z][A-Za-z0-9_]*", text):
        raise ValueError("right is hangup, stay, or app:NAME")
    return text


@dataclass(frozen=True, slots=True)
class ProgramLimits:
    """What a process may have. 0: no limit."""

    memory_mb: int = 512
    open_files: int = 1024
    file_mb: int = 64
    nice: int = 5
    user: str = ""


@dataclass(frozen=True)
class Options:
    """Keys of apps.conf."""

    script_path: Path = option(
        REQUIRED, help="Folder of the applications: NAME.py, with NAME.conf beside it if it has one.", parse=existing_folder
    )
    apps: tuple[str, ...] = option(
        (), help="Those that are loaded; empty: every NAME.py of the folder but tests.", parse=parse_names
    )
    audio_path: Path | None = option(
        None, help="Folder of prompts that applications may play, besides their own.", parse=existing_folder
    )
    language: str = option("en", help="In which applications say numbers, dates and texts when they name no other.")
    record_path: Path | None = option(
        None, help="Folder that they may record into, below a folder of their name; empty: none.", parse=absolute_path
    )
    workers: int = option(1, help="Processes an application.", minimum=1, maximum=64)
    max_calls: int = option(1000, help="Calls at once in one process; more get 503.", minimum=1, maximum=100_000)
    memory_mb: int = option(512, help="Address space of a process; 0: no limit.", unit="MB", maximum=1 << 20)
    open_files: int = option(1024, help="Files and connections that a process may have open.", minimum=64, maximum=1 << 20)
    file_mb: int = option(64, help="The longest file that a process may write; 0: no limit.", unit="MB", maximum=1 << 20)
    nice: int = option(5, help="How far a process stands back when the processor is busy: 0 not at all, 19 the most.", maximum=19)
    user: str = option(
        "",
        help="The user whose processes they are, where the server runs as root; empty: the server's own.",
        parse=parse_user,
    )
    on_crash: str = option(
        "hangup",
        help="Calls whose process died: hangup, stay (without a program), or app:NAME takes them over.",
        parse=parse_crash,
    )
    silent_after: int = option(
        5, help="A process that does not answer for so long gets no new calls; its stacks go to the log.", unit="s", minimum=1
    )
    kill_after: int = option(30, help="One that does not answer for so long is killed.", unit="s", minimum=2)
    drain: int = option(3600, help="How long the calls of an old generation may go on after a reload.", unit="s")
    remote: tuple[str, ...] = option(
        (),
        help="Applications whose programs may run elsewhere and come in by WebSocket (/apps of the web port); * for any name.",
        parse=parse_remote,
    )
    max_remote: int = option(16, help="Such programs at once.", minimum=1, maximum=10_000)

    @property
    def limits(self) -> ProgramLimits:
        """Of each process."""
        return ProgramLimits(self.memory_mb, self.open_files, self.file_mb, self.nice, self.user)
