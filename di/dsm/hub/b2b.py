# SPDX-License-Identifier: GPL-2.0-or-later
"""`B2BPort` of a call: scripts' second legs over `di.calls.pair` (spec dsm.md §9.1).

The second leg is a bare call, or, with `$b2b_diag` (beyond SEMS), one with a diagram of its own (`di.dsm.hub.steered`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from di.calls.application import Factory
from di.calls.call_info import Target
from di.calls.pair import Pair, PairOptions
from di.calls.second_leg import SecondLeg
from di.dsm.actions.calls import header_lines
from di.dsm.language.errors import DsmException
from di.sip.credentials import Credential
from di.sip.headers import end_to_end

if TYPE_CHECKING:
    from di.calls.session import Session
    from di.dsm.hub.script_host import ScriptedCall

LEG_APPLICATION = "dsm_b_leg"
"""Name under which second legs are logged."""


class CallB2B:
    """What a script's call knows of its second leg."""

    def __init__(self, call: ScriptedCall) -> None:
        self.call = call
        self.headers: list[str] = []
        self.relayed = False
        self.known = False
        self._early_relay = False
        if call.session.dialog.incoming:
            self.headers = list(end_to_end(call.session.info.headers))

    @property
    def pair(self) -> Pair | None:
        """The pair that the call is part of."""
        return self.call.session.pair

    @property
    def other(self) -> Session | None:
        """The other leg, also while it is being called."""
        pair = self.pair
        if pair is None:
            return None
        return pair.other(self.call.session) or next(iter(pair.trying), None)

    @property
    def id(self) -> str:
        """The other leg's session id, empty without one."""
        return self.other.id if self.other is not None else ""

    def connect(self, party: str, uri: str, *, relayed: bool) -> None:
        """Call the B leg, ending one that is there. Raises DsmException when `$b2b_diag` is no diagram."""
        self.terminate()
        call, variables = self.call, self.call.machine.vars
        diagram = variables.get("b2b_diag", "")
        if diagram and diagram not in call.bundle.diagrams:
            raise DsmException("script", cause=f"$b2b_diag: there is no diagram {diagram!r}")
        self.known, self.relayed = True, relayed
        user, password = variables.get("b2b_auth_user", ""), variables.get("b2b_auth_pwd", "")
        target = Target(
            uri,
            to_header=party,
            from_header=variables.get("b2b_local_party", ""),
            headers=tuple(self.headers),
            credential=Credential("", user, password) if user and password else None,
            interface=variables.get("b2b_outbound_interface", ""),
            media_interface=variables.get("b2b_media_interface", ""),
        )
        options = PairOptions(relay_invite=relayed, early_media=self._early_relay, application=LEG_APPLICATION)
        Pair(call.session, options).connect([target], self._factory(diagram))

    def _factory(self, diagram: str) -> Factory:
        make = self.call.host.make_steered
        return (lambda session: make(session, self.call, diagram)) if diagram else SecondLeg

    def terminate(self) -> None:
        """End the B leg."""
        if self.pair is not None:
            self.pair.end_other(self.call.session)

    def reinvite(self, own_sdp: bool, headers: tuple[str, ...]) -> None:
        """Offer again on this leg, whose audio is its playlist's from now on; without `own_sdp` the peer makes the offer."""
        if self.pair is not None:
            self.pair.unbridge()
        self.call.session.dialog.offer(headers=headers, sdp=own_sdp)

    def relay_early_media(self, on: bool) -> None:
        """Bridge from the first early media on."""
        self._early_relay = on
        if self.pair is not None:
            self.pair.options.early_media = on

    def set_headers(self, text: str, *, append: bool) -> None:
        """Headers of the B leg's INVITE."""
        lines = list(header_lines(text))
        self.headers = [*self.headers, *lines] if append else lines

    def remove_header(self, name: str) -> None:
        """Take one out."""
        self.headers = [line for line in self.headers if line.partition(":")[0].strip().lower() != name.strip().lower()]

    def relay_event(self, params: dict[str, str]) -> None:
        """Application event to the other leg, whose diagram (if it has one) sees it as `B2Bevent`. Without a leg it is lost."""
        self._need_known()
        if self.other is not None:
            self.other.post_event(params, "b2b")

    def set_relay_only(self, on: bool) -> None:
        """Whether requests in the dialog go through."""
        self._need_known()
        if self.pair is not None:
            self.pair.options.relaying = on

    def _need_known(self) -> None:
        if not self.known:
            raise DsmException("script", cause="this is no B2B call")
