# SPDX-License-Identifier: GPL-2.0-or-later
"""Stored messages: what applications say to whoever keeps them, and what they hear (spec applications.md §11).

    messages = services.capabilities.find(MESSAGES)            None: no msg_storage is loaded
    path = messages.recording_path()                            where a recording may be made that will become a message
    stored = await messages.store(owner, message_name(epoch_s, caller, "wav"), path)
    if stored.code is not MsgCode.OK: …                         `stored.cause` says why, for the log; tell the caller

A message belongs to an `BoxOwner` and has a name. It is *new* until it is marked read. Once `store` has answered OK it outlives a crash of
the server and of the machine, and stands in the box exactly once. Nothing here waits for a disk: each answer comes from a thread.

Expected answers (no such message, the box is full) are codes, never exceptions.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, IntEnum
from pathlib import Path
from typing import Protocol

from di.kernel.capabilities import Capability

GREETINGS = "-prompts"
"""Greetings of the users of a domain are messages of the domain with this at its end (spec applications.md §13, §15)."""


class MsgCode(IntEnum):
    """SEMS's return codes (spec applications.md §11)."""

    OK = 0
    EXISTS = 1
    USER_NOT_FOUND = 2
    NOT_FOUND = 3
    ALREADY_CLOSED = 4
    READ_ERROR = 5
    NO_SPACE = 6
    """The owner's quota is used up, or the disk is full."""
    STORAGE = 7
    """The folder cannot be written, or a name is none that a file may have."""


class Existing(Enum):
    """What becomes of a new message whose name is taken."""

    RENAME = "rename"
    """The new one gets a number: `17+ann.wav`, `17+ann.2.wav`. Nothing is lost; for messages."""
    REPLACE = "replace"
    """It takes the old one's place in one moment; for greetings."""
    REFUSE = "refuse"
    """MsgCode.EXISTS."""


@dataclass(frozen=True, slots=True)
class BoxOwner:
    """Whose box. Both names come from outside; one that is no safe name of a folder is answered with a code."""

    domain: str
    user: str

    def __str__(self) -> str:
        return f"{self.user}@{self.domain}"

    @property
    def greetings(self) -> BoxOwner:
        """The owner of this one's greetings."""
        return BoxOwner(self.domain + GREETINGS, self.user)


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message in a box. One of no bytes says that somebody called and left nothing; such are not counted and not played."""

    name: str
    new: bool
    size_bytes: int
    stored_ns: int
    """When it was recorded: wall clock, nanoseconds since 1970, UTC."""


@dataclass(frozen=True, slots=True)
class Stored:
    """How storing went. `name`: the name that it got; `cause`: why not, in words for the log, empty for OK."""

    code: MsgCode
    name: str = ""
    cause: str = ""


@dataclass(frozen=True, slots=True)
class MessageBox:
    """An owner's messages, newest name first.

    Code USER_NOT_FOUND: there is no such box (yet), and no messages in it. STORAGE: it cannot be read now, whatever is in it.
    """

    code: MsgCode
    messages: tuple[StoredMessage, ...] = ()

    @property
    def new(self) -> int:
        """New messages that hold something."""
        return sum(message.new for message in self.messages if message.size_bytes)

    @property
    def read(self) -> int:
        """Messages that were heard and hold something."""
        return sum(not message.new for message in self.messages if message.size_bytes)


@dataclass(frozen=True, slots=True)
class OpenedMessage:
    """A message's file, for playing. It may be deleted or replaced meanwhile: a file once opened stays whole."""

    code: MsgCode
    path: Path | None = None


@dataclass(frozen=True, slots=True)
class BoxChanged:
    """News of a box: `what` is SEMS's event name, `msg_new`, `msg_markread` or `msg_delete`."""

    owner: BoxOwner
    what: str
    name: str


class Messages(Protocol):
    """Where messages are kept."""

    def recording_path(self, suffix: str = "wav") -> Path:
        """A new path on the storage's own disk for a recording that may become a message. The folder is there; the file is not.

        What is never stored should be unlinked by who recorded it; what a crash leaves is cleared away a day later.
        """

    async def room_for(self, owner: BoxOwner) -> Stored:
        """Whether another message would be taken: OK, NO_SPACE or STORAGE. To be asked before the caller speaks."""

    async def store(self, owner: BoxOwner, name: str, recording: Path | None, existing: Existing = Existing.RENAME) -> Stored:
        """Take a finished recording over as a new message: the file is moved (copied from another disk, and then removed there).

        None: an empty message. Where the answer is not OK the recording is still where it was. OK, EXISTS, USER_NOT_FOUND (the
        box cannot be made), NO_SPACE or STORAGE. A cancelled wait does not stop it.
        """

    async def messages(self, owner: BoxOwner) -> MessageBox:
        """All messages of a box."""

    async def owners(self) -> tuple[BoxOwner, ...]:
        """Whose boxes there are, greetings among them. Looks at every folder of a domain: not for each call."""

    async def open(self, owner: BoxOwner, name: str) -> OpenedMessage:
        """The file of a message: OK or NOT_FOUND. Marks nothing."""

    async def mark_read(self, owner: BoxOwner, name: str) -> MsgCode:
        """A message is new no more: OK, NOT_FOUND or READ_ERROR."""

    async def delete(self, owner: BoxOwner, name: str) -> MsgCode:
        """Remove a message: OK, NOT_FOUND or STORAGE."""

    def watch(self, listener: Callable[[BoxChanged], None]) -> Callable[[], None]:
        """Tell `listener` of each change, in the hub's thread, after it is on disk. The answer ends that."""


MESSAGES: Capability[Messages] = Capability("message storage (msg_storage)")

_STRANGE = re.compile(r"[^\w@.+=~-]", re.ASCII)


def message_name(epoch_s: int, sender: str, extension: str = "wav") -> str:
    """The name of a message: `<epoch>+<sender>.<extension>` (spec applications.md §13).

    The sender comes from outside: signs that a file's name had better not hold become `_`, and what is over 80 signs is cut.
    """
    return f"{epoch_s}+{_STRANGE.sub('_', sender)[:80]}.{extension}"
