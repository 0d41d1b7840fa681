# SPDX-License-Identifier: GPL-2.0-or-later
"""Which audio a call gets: by domain, user and language, out of files or a database, else the default file.

    who is asked for    uid, usr of P-App-Param, else the called user · did, dom, else the called domain · lng, else none
    files               <domain>/<language>/<user>.wav → <domain>/<user>.wav → <language>/<user>.wav → <user>.wav → <language>/<default>
    then                <default>
    with a database     user_audio → domain_audio → default_audio (`di.apps.announcing.database`), then the files

Without `lng` the order of files is SEMS's (spec applications.md §16). Each name may be an .mp3, too.
"""

from __future__ import annotations

import logging
from pathlib import Path

from di.apps.announcing.answers import AudioAnswers
from di.apps.announcing.database import AudioQuery, AudioUnavailable
from di.apps.api import CallInfo, Refused, parse_uri
from di.apps.parameters import parameter
from di.apps.prompts import ANNOUNCEMENT, Asked, PromptFolder, languages_of

log = logging.getLogger(__name__)
SUFFIXES = (".wav", ".mp3")


def asked_by(info: CallInfo) -> Asked:
    """For whom the audio of a call is."""
    uri = parse_uri(info.request_uri)
    headers = [(name, value) for name, value in info.headers if name[:2] in ("P-", "p-")]  # most calls have none of these
    if not headers:
        return Asked(uri.host.strip("[]"), uri.user)

    def first(*names: tuple[str, str]) -> str:
        return next(filter(None, (parameter(headers, short, long) for short, long in names)), "")

    return Asked(
        domain=first(("did", "DomainID"), ("dom", "Domain")) or uri.host.strip("[]"),
        user=first(("uid", "UserID"), ("usr", "User")) or uri.user,
        language=first(("lng", "Language")),
    )


def row_query(application: str, message: str, asked: Asked, language: str) -> AudioQuery:
    """Which rows are looked for. `language`: the one that is always good enough."""
    wanted = dict.fromkeys((*(languages_of(asked.language) if asked.language else ()), language))
    return AudioQuery(application, message, asked.domain.lower(), asked.user, tuple(filter(None, wanted)))


class AudioFinder:
    """One application's audio. `answers`: its database, None with files only."""

    def __init__(
        self,
        name: str,
        folder: Path,
        default: str,
        answers: AudioAnswers | None = None,
        rows: tuple[str, str, str] = ("", "", ""),
    ) -> None:
        """`rows`: application and message of the rows that are looked for, and the language when none is asked for."""
        self.name = name
        self.files = PromptFolder(name, folder, ANNOUNCEMENT, default, SUFFIXES)
        self._answers = answers
        self._application, self._message, self._language = rows

    @property
    def waits(self) -> bool:
        """Whether a look-up takes time: `find` then, else `find_now`."""
        return self._answers is not None

    def find_now(self, asked: Asked, call: str) -> Path:
        """A file. Raises Refused 404, with a line in the log, where not even the default is there. `call`: the call's id."""
        path = self.files.find(asked, call)
        if path is None:
            raise Refused(404, "Not Found")
        return path

    async def find(self, asked: Asked, call: str) -> Path:
        """The database's audio, else a file. Raises Refused: 404 where there is neither, 500 when the database is down, and no file there."""
        assert self._answers is not None
        try:
            path = await self._answers.find(self._query(asked), call)
        except AudioUnavailable as error:
            file = self.files.look(asked)
            if file is None:
                log.error("call %s: %s: no audio, for the database cannot be asked: %s", call, self.name, error)
                raise Refused(500, "Server Internal Error") from error
            log.error("call %s: %s: %s is played, for the database cannot be asked: %s", call, self.name, file, error)
            return file
        path = path or self.files.look(asked)
        if path is None:
            log.warning(
                "call %s: %s: no audio for user %r, domain %r: no row in the database (application %s, message %s), and no file either, "
                "not even the default %s",
                call, self.name, asked.user, asked.domain, self._application, self._message, self.files.default,
            )  # fmt: skip
            raise Refused(404, "Not Found")
        return path

    def _query(self, asked: Asked) -> AudioQuery:
        return row_query(self._application, self._message, asked, self._language)

    def close(self) -> None:
        """Give connections back."""
        if self._answers is not None:
            self._answers.close()
