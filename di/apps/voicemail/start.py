# SPDX-License-Identifier: GPL-2.0-or-later
"""Joins voicemail's parts: sounds, templates, the dispatch of recordings, the application."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from di.apps.api import MAIL, Closer, ConfigError, DatabaseFailed, Services, configured, is_address, where
from di.apps.prompts import VOICEMAIL, PromptFolder
from di.apps.voicemail.app import VoicemailCall, VoicemailSounds
from di.apps.voicemail.dispatch import Dispatch, DispatchRules
from di.apps.voicemail.options import Options
from di.apps.voicemail.templates import DEFAULT, SUFFIX, VARIABLES, MailTemplate, TemplateError, read_template

log = logging.getLogger(__name__)
_NAME = "voicemail"


@dataclass(frozen=True, slots=True)
class VoicemailSetup:
    """What one reading of the configuration comes to."""

    options: Options
    sounds: VoicemailSounds
    rules: DispatchRules


async def start(services: Services, options: Options) -> Closer:
    """Open the journal, take up what is left, register the application. Raises ConfigError."""
    now = {"now": read(services, options)}
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

    def reload(new: Options) -> None:
        now["now"] = read(services, new)
        dispatch.rules = now["now"].rules
        _name_server(services, new)
        if configured(new.spool_dir, services.conf_dir) != spool:
            log.warning("%s:%d: spool_dir has changed; that needs a restart", *where(new, "spool_dir"))

    services.on_reload(_NAME, Options, reload)
    services.metric_sources.append(lambda: _metrics(dispatch))

    async def close() -> None:
        services.applications.unregister(_NAME)
        if not services.trial:
            await dispatch.close()

    return close


def _name_server(services: Services, options: Options) -> None:
    """Tell the mail queue which server voicemail.conf names."""
    mails = services.capabilities.find(MAIL)
    if mails is not None:
        mails.use_server(options.smtp_server, options.smtp_port, "voicemail.conf")


def read(services: Services, options: Options) -> VoicemailSetup:
    """Read prompts and templates. Raises ConfigError for what is missing or wrong."""
    if options.email_address and not is_address(options.email_address):
        raise ConfigError(*where(options, "email_address"), "email_address", f"{options.email_address!r} is no mail address")
    folder = configured(options.announce_path, services.conf_dir)
    greetings = PromptFolder(_NAME, folder, VOICEMAIL, options.default_announce)
    beep = folder / "beep.wav"
    for key, path in (("default_announce", greetings.default), ("announce_path", beep)):
        if not path.is_file():
            raise ConfigError(*where(options, key), key, f"there is no file {path}; `cordboard prompts` makes the samples")
        services.sessions.preload(str(path))
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
    rules = DispatchRules(
        _templates(services, options), options.rec_file_ext, round(options.min_record_time * 1000), round(options.silence_end * 1000),
        options.box_save_empty_msg, options.min_free_mb,
    )  # fmt: skip
    return VoicemailSetup(options, VoicemailSounds(greetings, further, beep), rules)


def _templates(services: Services, options: Options) -> dict[str, MailTemplate]:
    """All templates of the folder by name. Raises ConfigError that names file and line."""
    folder = configured(options.email_template_path, services.conf_dir)
    variables = {*VARIABLES, *options.mail_header_vars}
    found = {}
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            found[path.name.removesuffix(SUFFIX)] = read_template(path.read_text("utf-8"), variables)
        except (OSError, UnicodeDecodeError, TemplateError) as error:
            raise ConfigError(*where(options, "email_template_path"), "email_template_path", f"{path}: {error}") from error
    if DEFAULT not in found:
        hint = f"there is no file {folder / (DEFAULT + SUFFIX)}; a sample is in etc/mail"
        raise ConfigError(*where(options, "email_template_path"), "email_template_path", hint)
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
