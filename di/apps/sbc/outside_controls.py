# SPDX-License-Identifier: GPL-2.0-or-later
"""A profile's controls that have a say in requests outside calls (SEMS: `route`): answer, refuse, or change where one goes.

Controls that have none are passed over (SEMS answers 500), and so are those that a header names: a request that a proxy lets through
need not be charged.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping

from di.apps.api import (
    ControlUnreachable,
    OutsideAsk,
    OutsideReceived,
    OutsideReply,
    PatternValues,
    Refused,
    RoutesOutside,
    fill_control,
)
from di.apps.sbc.changes import changed
from di.apps.sbc.keys import names
from di.apps.sbc.profile import LoadedProfile, Profile

log = logging.getLogger(__name__)
Routers = list[tuple[RoutesOutside, str, dict[str, str]]]


def routers_of(loaded: LoadedProfile, values: PatternValues, modules: Mapping[str, object]) -> Routers:
    """Those of a profile, in their order, with their values filled in."""
    found: Routers = []
    for name in names(loaded.profile.call_control):
        configured = loaded.profile.controls.get(name.strip())
        if configured is None:
            continue
        filled = fill_control(configured, values)
        module = modules.get(filled.pop("module", name))
        if isinstance(module, RoutesOutside):
            found.append((module, name, filled))
    return found


async def routed(routers: Routers, profile: Profile, request: OutsideReceived, trusted: bool) -> OutsideReply | Profile:
    """An answer, or the profile by which the request goes on. Raises Refused."""
    for module, name, values in routers:
        try:
            outcome = module.route(OutsideAsk(name, values, request, trusted))
            said = await outcome if inspect.isawaitable(outcome) else outcome
        except ControlUnreachable as error:
            log.error("sbc: %s from %s: control %s does not answer: %s: 503", request.method, request.source_ip, name, error)
            raise Refused(503, "Service Unavailable") from error
        if isinstance(said, OutsideReply):
            return said
        if problem := said.problem():
            log.error(
                "sbc: %s from %s: control %s wants what cannot be sent: %s: 500", request.method, request.source_ip, name, problem
            )
            raise Refused(500, "Server Internal Error")
        profile = changed(profile, said)
    return profile
