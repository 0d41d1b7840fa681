# SPDX-License-Identifier: GPL-2.0-or-later
"""Joins annrecorder's parts."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from di.apps.annrecorder.app import AnnrecorderCall
from di.apps.annrecorder.options import PROMPTS, Options
from di.apps.annrecorder.order import read_order
from di.apps.api import MESSAGES, Application, Closer, ConfigError, Messages, Refused, Services, Session, configured, where
from di.apps.prompts import VOICEMAIL, Asked, PromptFolder

log = logging.getLogger(__name__)
_NAME = "annrecorder"


@dataclass(frozen=True, slots=True)
class AnnrecorderSetup:
    """What one reading of the configuration comes to."""

    greetings: PromptFolder
    prompts: Mapping[str, PromptFolder]
    simple: bool


def start(services: Services, options: Options) -> Closer:
    """Register the application. Raises ConfigError without message storage or default greeting."""
    messages = services.capabilities.find(MESSAGES)
    if messages is None and not services.trial:
        raise ConfigError(*where(options, ""), "", "annrecorder needs msg_storage before it in load_plugins")
    now = {"now": read(services, options)}
    services.applications.register(_NAME, lambda session: _application(session, messages, now["now"]))

    def reload(new: Options) -> None:
        now["now"] = read(services, new)

    services.on_reload(_NAME, Options, reload)
    return lambda: services.applications.unregister(_NAME)


def _application(session: Session, messages: Messages | None, setup: AnnrecorderSetup) -> Application:
    """The logic of a new call. Raises Refused."""
    if messages is None:  # a trial, which has no calls
        raise Refused(500, "annrecorder: no message storage available")
    order = read_order(session.info, setup.simple)
    asked = Asked(order.owner.domain, order.owner.user, order.language)

    def find(name: str) -> Path | None:
        return setup.prompts[name].find(asked, session.id)

    return AnnrecorderCall(session, messages, order, find, setup.greetings.find(asked, session.id))


def read(services: Services, options: Options) -> AnnrecorderSetup:
    """Find the prompts. Raises ConfigError when the default greeting is missing; a prompt that is missing is an error in the log."""
    folder = configured(options.announce_path, services.conf_dir)
    greetings = PromptFolder(_NAME, folder, VOICEMAIL, options.default_announce)
    if not greetings.default.is_file():
        hint = f"there is no file {greetings.default}; name voicemail's default_announce"
        raise ConfigError(*where(options, "default_announce"), "default_announce", hint)
    prompts = {}
    for name in PROMPTS:
        path = configured(str(getattr(options, name)), services.conf_dir)
        if not path.is_file():
            log.error("annrecorder: prompt %s: there is no file %s; it is left out of what callers hear", name, path)
        else:
            services.sessions.preload(str(path))
        prompts[name] = _prompt(folder, path)
    return AnnrecorderSetup(greetings, prompts, options.simple_mode)


def _prompt(folder: Path, path: Path) -> PromptFolder:
    """A prompt that stands in the greetings' folder is looked for in the languages there, too: `<language>/annrecorder/welcome.wav`."""
    if not path.is_relative_to(folder):
        return PromptFolder(_NAME, path.parent, (), path.name)
    place = path.relative_to(folder)
    return PromptFolder(_NAME, folder, (f"{{language}}/{place.as_posix()}",), place)
