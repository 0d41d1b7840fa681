# SPDX-License-Identifier: GPL-2.0-or-later
"""sbc.conf (spec applications.md §22.1)."""

from __future__ import annotations

from dataclasses import dataclass

from di.apps.api import REQUIRED, SessionTimerOptions, option
from di.apps.sbc.keys import names

METHODS = ("REGISTER", "MESSAGE", "PUBLISH", "INFO", "NOTIFY", "OPTIONS")
"""Of requests outside calls."""


def _methods(text: str) -> tuple[str, ...]:
    found = tuple(name.upper() for name in names(text))
    if odd := [name for name in found if name not in METHODS]:
        raise ValueError(f"{odd[0]} is none of {', '.join(METHODS)}")
    return found


def _module_names(text: str) -> tuple[str, ...]:
    return tuple(name.strip().removesuffix(".so") for name in text.split(";") if name.strip())


@dataclass(frozen=True)
class Options(SessionTimerOptions):
    """Profiles, and which one a request gets. The session timer keys are defaults of profiles."""

    profiles: tuple[str, ...] = option((), help="Profiles to be loaded: files NAME.sbcprofile.conf.", parse=names)
    profiles_path: str = option("", help="Where they are, with / at its end; empty: plugin_config_path.")
    active_profile: tuple[str, ...] = option(
        REQUIRED,
        help="Names of profiles, $(paramhdr), $(ruri.user) or patterns; the first that gives something is the profile of a request.",
        parse=names,
    )
    regex_maps: tuple[str, ...] = option((), help="Maps for $M: files NAME.conf with lines REGEX=>VALUE.", parse=names)
    load_cc_plugins: tuple[str, ...] = option(
        (), help="Call control modules that must be there; here they stand in load_plugins.", parse=_module_names
    )
    core_options_handling: bool = option(False, help="OPTIONS outside calls is answered here, not sent on.")
    out_of_dialog_threads: int = option(1, help="Accepted; requests outside calls need no threads.")
    contact_hiding_secret: str = option(
        "",
        help="Signs contacts that enable_contact_hiding hides, makes aliases of enable_reg_caching; empty: a new one at each start.",
        secret=True,
    )
    strangers: str = option(
        "refuse",
        help="Who comes from none of trusted_peers: refuse (403), or route by the profile like others. Not in SEMS.",
        choices=("refuse", "route"),
    )
    strangers_requests: tuple[str, ...] = option(
        ("REGISTER",),
        help="With strangers=route: methods of requests outside calls that others than trusted_peers may send through here. Not in SEMS.",
        parse=_methods,
    )
