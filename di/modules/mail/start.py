# SPDX-License-Identifier: GPL-2.0-or-later
"""Joins the mail queue's parts."""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from di.kernel.errors import ConfigError
from di.kernel.options import keep_sources, where
from di.kernel.paths import configured
from di.kernel.sqlite_thread import DatabaseFailed
from di.modules.mail.interface import MailInterface
from di.modules.mail.options import Options, check
from di.modules.mail.outbox import Outbox
from di.modules.mail.submission import tls_context
from di.server.plugin import Closer
from di.server.services import Services
from di.stores.mailing import MAIL

log = logging.getLogger(__name__)


async def start(services: Services, options: Options) -> Closer:
    """Open the queue, provide MAIL, register the functions. Raises ConfigError."""
    options, tls = _checked(services, options)
    folder = configured(options.queue_dir, services.conf_dir)
    outbox = Outbox(options, folder, services.clock, tls)
    if services.trial:
        _try_folder(options, folder)
    else:
        try:
            await outbox.open()
        except (OSError, DatabaseFailed) as error:
            raise _no_folder(options, folder, error) from error
    withdraw = services.capabilities.provide(MAIL, outbox)
    services.registry.register("mail", MailInterface(outbox))
    services.metric_sources.append(lambda: _metrics(outbox, services.clock.epoch_s()))

    def reload(new: Options) -> None:
        new, tls = _checked(services, new)
        for key in ("queue_dir", "connections"):
            if getattr(new, key) != getattr(options, key):
                log.warning("%s:%d: %s has changed; that needs a restart", *where(new, key), key)
        outbox.take(new, tls)

    services.on_reload("mail", Options, reload)

    async def close() -> None:
        withdraw()
        services.registry.unregister("mail")
        if not services.trial:
            await outbox.close()

    return close


def _checked(services: Services, options: Options) -> tuple[Options, ssl.SSLContext]:
    """The options with whole paths, and whom connections trust. Raises ConfigError."""
    check(options)
    if options.smtp_ca_file:
        ca_file = str(configured(options.smtp_ca_file, services.conf_dir))
        options = keep_sources(replace(options, smtp_ca_file=ca_file), options)
    try:
        return options, tls_context(options.smtp_ca_file)
    except (OSError, ssl.SSLError) as error:
        hint = f"{options.smtp_ca_file} cannot be read as certificates (PEM): {error}"
        raise ConfigError(*where(options, "smtp_ca_file"), "smtp_ca_file", hint) from error


def _try_folder(options: Options, folder: Path) -> None:
    """Whether the folder can be written, or made."""
    place = next(place for place in (folder, *folder.parents) if place.exists())
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise _no_folder(
            options, folder, PermissionError(13, "Permission denied" if place.is_dir() else "Not a folder", str(place))
        )


def _no_folder(options: Options, folder: Path, error: Exception) -> ConfigError:
    hint = f"the queue's folder {folder} cannot be used: {error}; name one that this server's user can write"
    return ConfigError(*where(options, "queue_dir"), "queue_dir", hint)


def _metrics(outbox: Outbox, now_s: float) -> Iterator[Metric]:
    queue = GaugeMetricFamily("cordboard_mail_queue", "Mails by state.", labels=["state"])
    for state, count in outbox.counts.items():
        queue.add_metric([state], count)
    yield queue
    age_s = now_s - outbox.oldest_s if outbox.oldest_s is not None else 0.0
    yield GaugeMetricFamily("cordboard_mail_oldest_seconds", "How long the oldest mail has waited.", value=max(age_s, 0.0))
    yield GaugeMetricFamily("cordboard_mail_server_trouble", "1 while the mail server takes nothing.", value=bool(outbox.trouble))
    yield CounterMetricFamily("cordboard_mail_accepted", "Mails that the server accepted.", value=outbox.accepted_total)
    yield CounterMetricFamily("cordboard_mail_failures", "Attempts that failed.", value=outbox.failed_total)
    yield CounterMetricFamily("cordboard_mail_doubts", "Answers of the server that never came.", value=outbox.doubts_total)
    yield CounterMetricFamily("cordboard_mail_given_up", "Mails that were given up.", value=outbox.given_up_total)
