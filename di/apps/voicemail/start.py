# SPDX-License-Identifier: GPL-2.0-or-later
"""Joins voicemail's parts: sounds, templates, the dispatch of recordings, the application."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from di.apps.announcing.audio_cache import AudioCache
from di.apps.announcing.database import AudioSource, AudioUnavailable
from di.apps.announcing.source import answers_of, open_source
from di.apps.api import MAIL, Closer, ConfigError, DatabaseFailed, Services, configured, is_address, where
from di.apps.prompts import VOICEMAIL, PromptFolder
from di.apps.voicemail.app import VoicemailCall, VoicemailSounds
from di.apps.voicemail.dispatch import Dispatch, DispatchRules
from di.apps.voicemail.options import Options
from di.apps.voicemail.rows import GreetingRows, read_rows
from di.apps.voicemail.templates import DEFAULT, SUFFIX, VARIABLES, MailTemplate, TemplateError, read_template

log = logging.getLogger(__name__)
_NAME = "voicemail"


@dataclass(frozen=True, slots=True)
class VoicemailSetup:
    """What one reading of the configuration comes to."""

    options: Options
    sounds: VoicemailSounds
    rules: DispatchRules

    def close(self) -> None:
        """Give the database's connections back."""
        if self.sounds.rows is not None:
            self.sounds.rows.close()


async def start(services: Services, options: Options) -> Closer:
    """Open the journal, take up what is left, register the application. Raises ConfigError."""
    cache = AudioCache(_NAME)
    now = {"now": await read(services, options, cache)}
    spool = configured(options.spool_dir, services.conf_dir)
    dispatch = Dispatch(services, spool, now["now"].rules)
    if services.trial:
        _try_folder(options, spool)
    else:
        try:
            await dispatch.open()
        except (OSError, DatabaseFailed) as error:
            raise _no_spool(options, spool, error) from error
    _name_server(services, options)
    services.applications.register(
        _NAME, lambda session: VoicemailCall(session, services, now["now"].options, now["now"].sounds, dispatch)
    )

    async def reload(new: Options) -> None:
        before, now["now"] = now["now"], await read(services, new, cache)
        before.close()
        dispatch.rules = now["now"].rules
        _name_server(services, new)
        if configured(new.spool_dir, services.conf_dir) != spool:
            log.warning("%s:%d: spool_dir has changed; that needs a restart", *where(new, "spool_dir"))

    services.on_reload(_NAME, Options, reload)
    services.metric_sources.append(lambda: _metrics(dispatch))

    async def close() -> None:
        services.applications.unregister(_NAME)
        now["now"].close()
        cache.close()
        if not services.trial:
            await dispatch.close()

    return close


def _name_server(services: Services, options: Options) -> None:
    """Tell the mail queue which server voicemail.conf names."""
    mails = services.capabilities.find(MAIL)
    if mails is not None:
        mails.use_server(options.smtp_server, options.smtp_port, "voicemail.conf")


async def read(services: Services, options: Options, cache: AudioCache) -> VoicemailSetup:
    """Read prompts and templates. Raises ConfigError for what is missing or wrong."""
    if options.email_address and not is_address(options.email_address):
        raise ConfigError(*where(options, "email_address"), "email_address", f"{options.email_address!r} is no mail address")
    source = open_source(services, options, use_mysql=options.in_mysql)
    try:
        sounds = _sounds(services, options, source, cache)
        templates = await _templates(services, options, source)
    except BaseException:
        if source is not None:
            source.close()
        raise
    rules = DispatchRules(
        templates, options.rec_file_ext, round(options.min_record_time * 1000), round(options.silence_end * 1000),
        options.box_save_empty_msg, options.min_free_mb,
    )  # fmt: skip
    return VoicemailSetup(options, sounds, rules)


def _sounds(services: Services, options: Options, source: AudioSource | None, cache: AudioCache) -> VoicemailSounds:
    """What callers hear. Raises ConfigError for a file that is missing."""
    folder = configured(options.announce_path, services.conf_dir)
    greetings = PromptFolder(_NAME, folder, VOICEMAIL, options.default_announce)
    beep = folder / "beep.wav"
    for key, path in (("default_announce", greetings.default), ("announce_path", beep)):
        if path.is_file():
            services.sessions.preload(str(path))
        elif source is None or path is beep:
            raise ConfigError(*where(options, key), key, f"there is no file {path}; `cordboard prompts` makes the samples")
    # the first rule is a user's own greeting, which stands for no other prompt
    named = {"stored": options.stored_announce, "not_stored": options.not_stored_announce, "full": options.full_announce}
    further = {
        what: PromptFolder(_NAME, folder, VOICEMAIL[1:], name)
        for what, name in named.items()
        if name and (folder / name).is_file()
    }
    if options.stored_announce and "stored" not in further:
        hint = f"there is no file {folder / options.stored_announce}; name one, or leave the key out: then it is the beep"
        raise ConfigError(*where(options, "stored_announce"), "stored_announce", hint)
    answers = answers_of(source, services, options, cache)
    rows = GreetingRows(answers, options.default_language) if answers is not None else None
    return VoicemailSounds(greetings, further, beep, rows)


async def _templates(services: Services, options: Options, source: AudioSource | None) -> dict[str, MailTemplate]:
    """All templates by name, a database's before the folder's. Raises ConfigError that names file and line, or the row."""
    found = _templates_of_files(services, options)
    why = ""
    if source is not None and not services.trial:
        try:
            found |= await read_rows(source, _variables(options), options.default_language, options.database_timeout)
        except TemplateError as error:
            key = "database" if options.database else "mysql_user"
            raise ConfigError(*where(options, key), key, f"email template, {error}") from error
        except AudioUnavailable as error:
            why = str(error)
            log.error("voicemail: no email templates of the database, those of the folder are used until SIGHUP: %s", why)
    if DEFAULT not in found and not (source is not None and services.trial):
        folder = configured(options.email_template_path, services.conf_dir)
        hint = f"there is no file {folder / (DEFAULT + SUFFIX)}; a sample is in etc/mail"
        hint += f" (and none in the database: {why or 'no row for any domain'})" if source is not None else ""
        raise ConfigError(*where(options, "email_template_path"), "email_template_path", hint)
    return found


def _variables(options: Options) -> set[str]:
    return {*VARIABLES, *options.mail_header_vars}


def _templates_of_files(services: Services, options: Options) -> dict[str, MailTemplate]:
    """All templates of the folder by name. Raises ConfigError that names file and line."""
    folder = configured(options.email_template_path, services.conf_dir)
    variables = _variables(options)
    found = {}
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            found[path.name.removesuffix(SUFFIX)] = read_template(path.read_text("utf-8"), variables)
        except (OSError, UnicodeDecodeError, TemplateError) as error:
            raise ConfigError(*where(options, "email_template_path"), "email_template_path", f"{path}: {error}") from error
    return found


def _try_folder(options: Options, folder: Path) -> None:
    """Whether the spool can be written, or made."""
    place = next(place for place in (folder, *folder.parents) if place.exists())
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise _no_spool(options, folder, PermissionError(13, "it cannot be written", str(place)))


def _no_spool(options: Options, folder: Path, error: Exception) -> ConfigError:
    hint = f"{folder} cannot be used: {error}; name a folder that this server's user can write"
    return ConfigError(*where(options, "spool_dir"), "spool_dir", hint)


def _metrics(dispatch: Dispatch) -> Iterator[Metric]:
    total = CounterMetricFamily("cordboard_voicemail_messages", "Recordings by what became of them.", labels=["outcome"])
    for outcome, count in dispatch.totals.items():
        total.add_metric([outcome], count)
    yield total
    yield GaugeMetricFamily(
        "cordboard_voicemail_unfinished",
        "Recordings that could not be handed over so far; the log says why.",
        value=dispatch.unfinished,
    )
