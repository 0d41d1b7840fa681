# SPDX-License-Identifier: GPL-2.0-or-later
"""SIGHUP: what can be read anew is, while every call goes on (docs/core.md says what). What is wrong stays as it was, and is said."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from di.kernel import logs
from di.kernel.errors import ConfigError
from di.server import checks, settings
from di.sip.records import SetSelection

if TYPE_CHECKING:
    from di.server.services import Services
    from di.server.settings import Settings

log = logging.getLogger(__name__)


async def reload(old: Settings, services: Services) -> None:
    """Read the configuration anew: log level, selection of applications, access, and what plug-ins take."""
    try:
        new = await asyncio.to_thread(settings.read, old.file, old.environ, old.overrides)
    except ConfigError as error:
        log.error("reload: %s; everything stays as it was", error)
        return
    logs.set_level(new.core.loglevel)
    services.access.read_again()
    services.sessions.toll.take(new.core)
    done = ["log level", "access", "dial control"]
    for loaded in new.plugins:
        name = loaded.plugin.name
        take = services.reloaders.get(name)
        if take is None:
            continue
        try:
            taking = take(loaded.options)
            if taking is not None:
                await taking
            done.append(name)
        except ConfigError as error:
            log.error("reload: %s; %s goes on with what it had", error, name)
    services.sessions.arrivals.selection = new.selection
    if services.applications.timers:
        services.sessions.sip.send(SetSelection(new.selection.setting, new.selection.lines()))
    done.append("selection of applications")
    for unknown in checks.applications(new, list(services.applications.names())):
        log.warning("%s", unknown)
    _tell_what_needs_a_restart(old, new, services)
    log.warning("reloaded: %s; no call was touched", ", ".join(done))


def _tell_what_needs_a_restart(old: Settings, new: Settings, services: Services) -> None:
    """What differs from the start and is not taken over."""
    for field in checks.needs_restart(old, new):
        log.warning("%s: %s has changed; that needs a restart", ":".join(map(str, new.source(field))), field)
    before = {loaded.plugin.name: loaded.options for loaded in old.plugins}
    for loaded in new.plugins:
        name = loaded.plugin.name
        if name not in services.reloaders and before.get(name, loaded.options) != loaded.options:
            log.warning("%s.conf has changed; that needs a restart", name)
