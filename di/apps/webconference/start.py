# SPDX-License-Identifier: GPL-2.0-or-later
"""Joins application and DI functions by what they share."""

from __future__ import annotations

from di.apps.api import Closer, Services
from di.apps.webconference.app import WebconferenceCall
from di.apps.webconference.conference import Conference
from di.apps.webconference.interface import Webconference
from di.apps.webconference.members import Members
from di.apps.webconference.options import Options


def start(services: Services, options: Options) -> Closer:
    """Register application and DI interface. Raises ConfigError."""
    conference = Conference(services, options)
    members = Members(conference)
    services.applications.register("webconference", lambda session: WebconferenceCall(session, conference))
    services.registry.register("webconference", Webconference(conference, members))
    services.on_reload("webconference", Options, conference.read_prompts)
    conference.preload()
    if options.support_rooms_timeout:
        members.watch_timeouts()

    def close() -> None:
        services.applications.unregister("webconference")
        services.registry.unregister("webconference")
        members.close()
        conference.close()

    return close
