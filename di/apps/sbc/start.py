# SPDX-License-Identifier: GPL-2.0-or-later
"""Start and stop: profiles and maps are read, the application, the functions and requests outside calls are taken."""

from __future__ import annotations

import asyncio
import logging
import secrets
from pathlib import Path

from di.apps.api import CONTROL_MAKER, Closer, ConfigError, ControlMaker, Services, Session, where
from di.apps.sbc.app import SbcCall
from di.apps.sbc.book import ProfileBook, common_timer, profile_path
from di.apps.sbc.choice import literal
from di.apps.sbc.desk import SbcDesk
from di.apps.sbc.identity import unknown_interface
from di.apps.sbc.interface import SbcInterface
from di.apps.sbc.options import Options
from di.apps.sbc.outside import OutsideRelay
from di.apps.sbc.profile import LoadedProfile, Profile, load_profile
from di.apps.sbc.reach import SbcReach
from di.apps.sbc.regex_maps import RegexMap, RegexMaps, parse_map, read_map
from di.apps.sbc.rule_checks import rules_problem
from di.apps.sbc.timers import check_timers

log = logging.getLogger(__name__)


def start(services: Services, options: Options) -> Closer:
    """Register application and DI module. Raises ConfigError, with the place, for whatever cannot be had."""
    maker = services.capabilities.find(CONTROL_MAKER)
    book = ProfileBook(options.active_profile, lambda profiles: _check(profiles, maker, options, services))
    loaded = read_profiles(options, services.conf_dir)
    book.put(loaded)
    maps = RegexMaps()
    maps.put(read_maps(options, services.conf_dir))
    reach = SbcReach(services, _hiding_secret(options, loaded))
    desk = SbcDesk(options, book, maps, maker, services.control_modules, services.sessions.interfaces, reach)
    missing = desk.missing_modules(options.load_cc_plugins)
    if missing:
        hint = f"{', '.join(missing)}: put it before sbc in load_plugins of sems.conf"
        raise ConfigError(*where(options, "load_cc_plugins"), "load_cc_plugins", hint)
    timer = common_timer(loaded, desk.timer)
    if timer is not None:
        services.applications.timers["sbc"] = timer

    async def reload(new: Options) -> None:
        profiles = await asyncio.to_thread(read_profiles, new, services.conf_dir)
        parsed = await asyncio.to_thread(read_maps, new, services.conf_dir)
        if common_timer(profiles, new.session_timer()) != timer:
            hint = "the A leg's session interval is that of the start: start again for another one"
            raise ConfigError(*where(new, "session_expires"), "session_expires", hint)
        if new.contact_hiding_secret != options.contact_hiding_secret:
            hint = "is that of the start: start again for another one"
            raise ConfigError(*where(new, "contact_hiding_secret"), "contact_hiding_secret", hint)
        book.put(profiles)
        maps.put(parsed)
        book.active, desk.options = new.active_profile, new

    def call(session: Session) -> SbcCall:
        return SbcCall(session, desk)

    services.applications.register("sbc", call)
    services.registry.register("sbc", SbcInterface(services, desk))
    give_back = OutsideRelay(services, desk).serve()
    services.on_reload("sbc", Options, reload)

    def close() -> None:
        for undo in give_back:
            undo()
        services.registry.unregister("sbc")
        services.applications.unregister("sbc")

    return close


def _hiding_secret(options: Options, profiles: list[LoadedProfile]) -> bytes:
    """What hidden contacts are signed with, and aliases of phones made with: nobody else may make one, for it says where a request goes."""
    hides = next((one.name for one in profiles if _changes_contacts(one.profile)), "")
    if hides and not options.contact_hiding_secret:
        log.warning(
            "%s: profile %s hides or remembers contacts without a contact_hiding_secret: after a restart phones must register again",
            ":".join(map(str, where(options, "contact_hiding_secret"))), hides,
        )  # fmt: skip
    return options.contact_hiding_secret.encode("utf-8", "surrogateescape") or secrets.token_bytes(32)


def _changes_contacts(profile: Profile) -> bool:
    return any(value not in ("", "no") for value in (profile.enable_contact_hiding, profile.enable_reg_caching))


def read_profiles(options: Options, conf_dir: Path) -> list[LoadedProfile]:
    """The profiles that are named. Raises ConfigError, also for a name in active_profile that is none of them."""
    loaded = [load_profile(name, profile_path(options.profiles_path, conf_dir, name)) for name in options.profiles]
    for name in literal(options.active_profile):
        if name not in options.profiles:
            known = ", ".join(options.profiles) or "none"
            raise ConfigError(
                *where(options, "active_profile"), "active_profile", f"profile {name!r} is not in profiles ({known})"
            )
    return loaded


def read_maps(options: Options, conf_dir: Path) -> dict[str, RegexMap]:
    """The maps that are named. Raises ConfigError."""
    paths = {name: conf_dir / f"{name}.conf" for name in options.regex_maps}
    return {name: parse_map(read_map(path), str(path)) for name, path in paths.items()}


def _check(profiles: list[LoadedProfile], maker: ControlMaker | None, options: Options, services: Services) -> None:
    """What profiles need of the server and of each other. Raises ConfigError."""
    for one in profiles:
        if unknown := unknown_interface(one.profile, services.sessions.interfaces):
            raise ConfigError(str(one.path), 0, *unknown)
        if wrong := check_timers(one.profile):
            raise ConfigError(str(one.path), 0, "session timer", wrong)
        key, wrong = rules_problem(one.profile, services)
        if wrong:
            raise ConfigError(str(one.path), 0, key, wrong)
        for name, values in one.profile.controls.items():
            if maker is None:
                why = "the module call_control is not loaded: put it before sbc in load_plugins"
                raise ConfigError(str(one.path), 0, f"{name}_module", why)
            try:
                maker.make(name, values)
            except ValueError as error:
                raise ConfigError(str(one.path), 0, f"{name}_{getattr(error, 'key', 'module')}", str(error)) from error
    common_timer(profiles, options.session_timer())
