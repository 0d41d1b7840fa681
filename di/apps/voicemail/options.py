# SPDX-License-Identifier: GPL-2.0-or-later
"""voicemail.conf (spec applications.md §13)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from di.apps.announcing.keys import DatabaseKeys
from di.apps.api import is_recorded, known_formats, option


def parse_extension(text: str) -> str:
    """Read the suffix of recordings."""
    suffix = text.removeprefix(".")
    if not is_recorded(f"message.{suffix}"):
        raise ValueError(f"recordings can be: {known_formats()}")
    return suffix


def parse_names(text: str) -> tuple[str, ...]:
    """Read names of variables, separated by `;`."""
    names = tuple(name.strip() for name in text.split(";") if name.strip())
    wrong = [name for name in names if not re.fullmatch(r"[\w-]+", name)]
    if wrong:
        raise ValueError(f"{wrong[0]!r} is no name; names are separated by `;`")
    return names


@dataclass(frozen=True)
class Options(DatabaseKeys):
    """How messages are taken, and where they go. Greetings and templates may be rows of a database (DatabaseKeys)."""

    default_vm_mode: int = option(0, help="0 mail, 1 box, 2 both, 3 announcement only.", maximum=3)
    simple_mode: bool = option(False, help="No parameters: the called user, domain `default`, the From header.")
    smtp_server: str = option("localhost", help="Mail server, where mail.conf names none.")
    smtp_port: int = option(25, help="Its port.", minimum=1, maximum=65535)
    announce_path: str = option("prompts/", help="Folder of greetings: <domain>/<user>.wav, by language, the default; beep.wav.")
    default_announce: str = option("greeting.wav", help="Greeting of everybody who has none; must exist, but with a database.")
    email_template_path: str = option("mail/", help="Folder of *.template; default.template must be there, but with a database.")
    max_record_time: int = option(30, help="A message is no longer than this.", unit="s", minimum=1, maximum=36_000)
    rec_file_ext: str = option("wav", help="Format of recordings.", parse=parse_extension)
    try_personal_greeting: bool = option(
        False, help="Play the greeting that the user has recorded (annrecorder), if there is one."
    )
    mail_header_vars: tuple[str, ...] = option(
        (), help="Further variables of templates, from P-App-Param; separated by `;`.", parse=parse_names
    )
    email_address: str = option("", help="All mails go there; Mode, Language and Email-Address of P-App-Param do not count.")
    box_save_empty_msg: bool = option(True, help="Who says nothing leaves an empty message in the box.")
    min_record_time: float = option(0.0, help="A shorter recording is none.", unit="s", minimum=0.0, maximum=60.0)
    silence_end: float = option(
        0.0, help="So much silence ends the recording; 0: none does.", unit="s", minimum=0.0, maximum=60.0
    )
    spool_dir: str = option(
        "/var/spool/cordboard/voicemail", help="Recordings that are not handed over yet, on a disk that is kept."
    )
    min_free_mb: int = option(64, help="With less room on that disk no message is taken.", unit="MB")
    stored_announce: str = option("", help="Said once the message is kept, found as greetings are; empty: the beep.")
    not_stored_announce: str = option("msg_not_stored.wav", help="Said when it could not be kept; without a file: an error tone.")
    full_announce: str = option("mailbox_full.wav", help="Said when the box is full; without a file the call is answered 480.")

    @property
    def in_mysql(self) -> bool:
        """Whether SEMS's keys name a database: its voicemail has no `use_mysql`, whoever names a user means it."""
        return self.use_mysql or bool(self.mysql_user)
