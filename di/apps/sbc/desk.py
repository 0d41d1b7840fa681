# SPDX-License-Identifier: GPL-2.0-or-later
"""What all calls and requests of the sbc share: profiles, maps, who may come, who is asked."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NoReturn

from di.apps.api import (
    Control,
    ControlMaker,
    NetInterfaces,
    PatternValues,
    Refused,
    Seldom,
    SessionTimer,
    fill_control,
    fill_pattern,
    parse_uri,
)
from di.apps.sbc.book import NoProfile, ProfileBook
from di.apps.sbc.keys import names
from di.apps.sbc.options import Options
from di.apps.sbc.profile import LoadedProfile
from di.apps.sbc.reach import SbcReach
from di.apps.sbc.regex_maps import RegexMaps

log = logging.getLogger(__name__)


class SbcDesk:
    """`timer`: session interval of sbc.conf. `maker`: of controls; None without the module call_control. `modules`: call control's."""

    def __init__(
        self,
        options: Options,
        book: ProfileBook,
        maps: RegexMaps,
        maker: ControlMaker | None,
        modules: Mapping[str, object],
        interfaces: NetInterfaces,
        reach: SbcReach,
    ) -> None:
        self.options, self.book, self.maps, self.interfaces = options, book, maps, interfaces
        one = interfaces.all[0]
        self.local = one.public_ip or one.sip_ip, one.sip_port
        self.timer: SessionTimer | None = options.session_timer()
        self._maker, self._modules = maker, modules
        self._strangers = Seldom()
        self.reach = reach

    def missing_modules(self, wanted: tuple[str, ...]) -> list[str]:
        """Call control modules of these that are not there."""
        return [name for name in wanted if name not in self._modules]

    def complete(self, values: PatternValues, interface: int = 0) -> PatternValues:
        """With our own address, at the interface where a request came in, and the regex maps."""
        one = self.interfaces.all[interface if interface < len(self.interfaces) else 0]
        local, named = (one.sip_ip, one.sip_port), (interface, one.name)
        return replace(values, local=local, public_ip=one.public_ip, interface=named, maps=self.maps.all())

    def is_here(self, uri: str) -> bool:
        """Whether a URI names this server itself, and nobody at it."""
        parts = parse_uri(uri)
        here = {(ip.strip("[]"), one.sip_port) for one in self.interfaces.all for ip in (one.sip_ip, one.public_ip) if one.sip_ip}
        return not parts.user and (parts.host.strip("[]"), parts.port or 5060) in here

    def check_source(self, trusted: bool, source_ip: str, request_uri: str) -> None:
        """Whether a request may come in. Raises Refused(403), with a line in the log; in a flood of them not with each."""
        if not trusted and self.options.strangers == "refuse":
            self.refuse_stranger(source_ip, request_uri, "strangers=route in sbc.conf lets all in")

    def check_method(self, trusted: bool, method: str, source_ip: str, request_uri: str) -> None:
        """Whether a request outside calls may come in; OPTIONS for this server itself may. Raises Refused(403)."""
        if trusted or method in self.options.strangers_requests or (method == "OPTIONS" and self.is_here(request_uri)):
            return
        self.refuse_stranger(source_ip, request_uri, f"{method} must stand in strangers_requests of sbc.conf")

    def refuse_stranger(self, source_ip: str, request_uri: str, hint: str) -> NoReturn:
        """Raises Refused(403), with a line in the log; in a flood of them not with each."""
        more = self._strangers.line(self.reach.now_s() * 1_000_000_000)
        if more is not None:
            log.warning(
                "sbc: %s wants to reach %s and is refused: it is none of trusted_peers in sems.conf; %s%s",
                source_ip, request_uri, hint, more,
            )  # fmt: skip
        raise Refused(403, "Forbidden")

    def profile_of(self, values: PatternValues) -> LoadedProfile:
        """The profile of a request. Raises Refused(500), with a line in the log."""
        try:
            return self.book.of(values)
        except NoProfile as no:
            wanted = f"profile {no.name!r} is not loaded" if no.name else "no entry of active_profile gives a name"
            log.error("sbc: %s %s: %s: 500", values.method, values.request_uri, wanted)
            raise

    # ------------------------------------------------------------------------------------------------------------ controls
    def controls_of(self, loaded: LoadedProfile, values: PatternValues) -> list[Control]:
        """Who is asked about a call, by call_control. Raises Refused(500) for what cannot be asked, with a line in the log."""
        found: list[Control] = []
        try:
            for entry in names(loaded.profile.call_control):
                found.extend(self._controls(fill_pattern(entry, values) if "$" in entry else entry, loaded, values))
        except ValueError as error:
            log.error("sbc: profile %s: call_control: %s: 500", loaded.name, error)
            raise Refused(500, "Server Internal Error") from error
        return found

    def _controls(self, text: str, loaded: LoadedProfile, values: PatternValues) -> Sequence[Control]:
        if not text.strip():
            return ()
        if self._maker is None:
            raise ValueError("the module call_control is not loaded")
        configured = loaded.profile.controls.get(text.strip())
        if configured is None:
            return self._maker.make_all(text)  # of a header: `module;key=value`, meant as it stands
        return [self._maker.make(text.strip(), fill_control(configured, values), filled=True)]
