# SPDX-License-Identifier: GPL-2.0-or-later
"""Greetings and templates out of SEMS's tables (spec applications.md §13): `di.apps.announcing` asks, files stand in.

greeting    user_audio → domain_audio → default_audio, application voicemail, message greeting_msg; then the files
template    domain_template, default_template, message email_tmpl: all read at the start and at SIGHUP, beside those of the folder
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Sequence
from pathlib import Path

from di.apps.announcing.answers import AudioAnswers
from di.apps.announcing.database import AudioSource, AudioUnavailable
from di.apps.announcing.lookup import row_query
from di.apps.prompts import Asked
from di.apps.voicemail.templates import DEFAULT, MailTemplate, TemplateError, read_template

log = logging.getLogger(__name__)
_APPLICATION, _GREETING, _TEMPLATE = "voicemail", "greeting_msg", "email_tmpl"
_STATEMENT = " UNION ALL ".join(
    f"SELECT {domain}, language, template FROM {table} WHERE application = '{_APPLICATION}' AND message = '{_TEMPLATE}'"
    for table, domain in (("default_template", "''"), ("domain_template", "domain"))
)


class GreetingRows:
    """Who is greeted by which row. `language`: the one when the proxy names none."""

    def __init__(self, answers: AudioAnswers, language: str) -> None:
        self._answers, self._language = answers, language

    async def find(self, asked: Asked, call: str) -> Path | None:
        """The row's audio as a file; None without a row, and, with a line in the log, while the database cannot be asked."""
        try:
            return await self._answers.find(row_query(_APPLICATION, _GREETING, asked, self._language), call)
        except AudioUnavailable as error:
            log.error("call %s: voicemail: greeted out of the files, for the database cannot be asked: %s", call, error)
            return None

    def close(self) -> None:
        """Give connections back."""
        self._answers.close()


async def read_rows(source: AudioSource, variables: Collection[str], language: str, timeout_s: int) -> dict[str, MailTemplate]:
    """All templates of the tables by name, as the folder's files are named. Raises AudioUnavailable, and TemplateError naming the row.

    `language`: of the row that stands for everybody where none has the empty language.
    """
    try:
        async with asyncio.timeout(timeout_s):
            rows = await source.rows(_STATEMENT)
    except TimeoutError as error:
        raise AudioUnavailable(f"no answer in {timeout_s} s") from error
    return templates_of(rows, variables, language)


def templates_of(rows: Sequence[tuple[str, ...]], variables: Collection[str], language: str) -> dict[str, MailTemplate]:
    """Templates of rows (domain, language, text). Raises TemplateError naming the row."""
    found = {}
    for domain, tag, text in rows:
        name = "_".join(filter(None, (domain or DEFAULT, tag)))
        try:
            found[name] = read_template(text, variables)
        except TemplateError as error:
            raise TemplateError(f"row for domain {domain or '(any)'}, language {tag or '(any)'}: {error}") from error
    for name in {domain or DEFAULT for domain, *_ in rows}:
        general = found.get(f"{name}_{language}")
        if general is not None:
            found.setdefault(name, general)
    return found
