# SPDX-License-Identifier: GPL-2.0-or-later
"""`B2BPort` of a call: a second leg that the diagram of the first one steers (spec dsm.md §9.1).

Where SEMS re-INVITEs so that media flows end to end, both legs keep their media here and the media process bridges them: callers see the
same, and no SDP of one party reaches the other. A second leg is bare, unless `$b2b_diag` names a diagram for it (`di.dsm.hub.steered`).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

from di.calls.application import Application
from di.calls.events import EventPosted, Run
from di.calls.session import Session
from di.dsm.actions.calls import header_lines
from di.dsm.hub.call_dialog import block
from di.dsm.language.errors import DsmException
from di.dsm.language.event import Kind
from di.kernel.value import Value
from di.sip.credentials import Credential
from di.sip.records import CallConfirmed, CallProgressed
from media.control.records import PlayItem

if TYPE_CHECKING:
    from di.dsm.hub.call_machine import MachineCall

log = logging.getLogger(__name__)

LEG_APPLICATION = "dsm_b_leg"
"""Name under which the second legs dial; a call that comes in cannot have it."""
_OWN_HEADERS = frozenset(
    "via from to call-id cseq contact max-forwards content-length content-type content-disposition route record-route authorization "
    "proxy-authorization allow supported require proxy-require session-expires min-se user-agent expires date rack rseq accept allow-events "
    "v f t i m l c k x e".split()
)
"""Headers that belong to one dialog or hop, with their short forms: they are never copied to the second leg."""


class Leg(Protocol):
    """A B leg as its A leg sees it."""

    session: Session

    def detach(self) -> None:
        """The A leg has let go of it: it has nothing to tell any more."""


class SecondLeg:
    """What the A leg knows of its B leg."""

    def __init__(self, call: MachineCall) -> None:
        self.call = call
        self.leg: Leg | None = None
        self.diagram = ""
        self.headers: list[str] = []
        self.relayed = False
        self.early_relay = False
        self.relay_only = False
        self.known = False

    @property
    def id(self) -> str:
        """The B leg's session id."""
        return self.leg.session.id if self.leg is not None else ""

    def connect(self, party: str, uri: str, *, relayed: bool) -> None:
        """Call the B leg, ending one that is there. Raises DsmException when `$b2b_diag` is no diagram."""
        self.terminate()
        call, variables = self.call, self.call.machine.vars
        self.diagram = variables.get("b2b_diag", "")
        if self.diagram and self.diagram not in call.bundle.diagrams:
            raise DsmException("script", cause=f"$b2b_diag: there is no diagram {self.diagram!r}")
        self.known, self.relayed, self.relay_only = True, relayed, relayed
        params: list[Value] = [self]
        if variables.get("b2b_auth_user") and variables.get("b2b_auth_pwd"):
            params.append(Credential("", variables["b2b_auth_user"], variables["b2b_auth_pwd"]))
        id = call.server.services.sessions.dialout(
            user="", application=LEG_APPLICATION, request_uri=uri, to_header=party,
            from_header=variables.get("b2b_local_party") or call.session.info.from_header.split(";tag=")[0],
            headers="\r\n".join(self.headers), params=params,
        )  # fmt: skip
        if not id:
            call.session.run(lambda: call.from_b_leg(lambda: self.refused(503, "Service Unavailable")))

    def take_headers(self) -> None:
        """The B leg's INVITE begins with the headers of the A leg's, but for those of a dialog or hop."""
        if self.call.session.info.direction == "in":
            self.headers = [
                f"{name}: {value}" for name, value in self.call.session.info.headers if name.lower() not in _OWN_HEADERS
            ]

    def terminate(self) -> None:
        """End the B leg."""
        leg, self.leg = self.leg, None
        if leg is not None:
            leg.detach()
            leg.session.stop(487)
        self.unbridge()

    def unbridge(self) -> None:
        """The A leg has its playlist back."""
        media = self.call.call_media
        if media.bridged:
            media.bridged = False
            media.flush()
        self.relay_only = False

    def reinvite(self, own_sdp: bool, headers: tuple[str, ...]) -> None:
        """Offer again on the A leg."""
        self.unbridge()
        self.call.session.reinvite()

    def relay_early_media(self, on: bool) -> None:
        """Bridge from the first early media on."""
        self.early_relay = on

    def set_headers(self, text: str, *, append: bool) -> None:
        """Headers of the B leg's INVITE."""
        lines = list(header_lines(text))
        self.headers = [*self.headers, *lines] if append else lines

    def remove_header(self, name: str) -> None:
        """Take one out."""
        self.headers = [line for line in self.headers if line.partition(":")[0].strip().lower() != name.strip().lower()]

    def relay_event(self, params: dict[str, str]) -> None:
        """Application event to the B leg, whose diagram (if it has one) sees it as `B2Bevent`. Without a B leg it is lost."""
        if not self.known:
            raise DsmException("script", cause="this is no B2B call")
        if self.leg is not None:
            self.leg.session.post_event(params, "b2b")

    def set_relay_only(self, on: bool) -> None:
        """Whether requests in the dialog go through."""
        if not self.known:
            raise DsmException("script", cause="this is no B2B call")
        self.relay_only = on

    # ------------------------------------------------------------------------------------------------- news from the B leg
    def tell(self, what: str, *args: object) -> None:
        """Something happened to the B leg: run the method of that name as an event of the A leg."""
        self.call.session.post(Run(lambda: self.call.from_b_leg(lambda: getattr(self, what)(*args))))

    def progressed(self, code: int, reason: str) -> None:
        """A provisional reply."""
        session = self.call.session
        if self.relayed and not session.answered and 100 < code < 200:
            session.ringing(code, reason)
        self.call.b2b_event(Kind.B2B_OTHER_REPLY, code=str(code), reason=reason, hdrs="")

    def early(self) -> None:
        """The B leg plays early media."""
        if self.early_relay or self.relayed:
            self.bridge()

    def connected(self) -> None:
        """The B leg has answered."""
        self.relay_only = True
        if self.relayed and not self.call.session.answered:
            self.call.call_media.open()
            self.call.session.accept()
        self.bridge()
        self.call.b2b_event(Kind.B2B_OTHER_REPLY, code="200", reason="OK", hdrs="")

    def bridge(self) -> None:
        """The two hear each other."""
        leg, media = self.leg, self.call.call_media
        if leg is None or media.bridged:
            return
        media.open()
        media.flush()
        media.bridged = True
        self.call.session.set_audio(attached_input=True, attached_output=True)
        self.call.session.play(PlayItem("bridge", peer_leg=leg.session.leg))
        leg.session.play(PlayItem("bridge", peer_leg=self.call.session.leg))

    def refused(self, code: int, reason: str) -> None:
        """The B leg could not be reached; the A leg goes on, unless it only relays."""
        self.leg = None
        self.unbridge()
        if self.relayed and not self.call.session.answered:
            self.call.session.reject(code, reason)
        self.call.b2b_event(Kind.B2B_OTHER_REPLY, code=str(code), reason=reason, hdrs="")

    def hung_up(self, headers: tuple[tuple[str, str], ...]) -> None:
        """BYE on the B leg: relayed to the A leg, unless the script says `#processed`."""
        self.leg = None
        if not self.call.session.started and not self.call.session.answered:
            return
        self.call.b2b_event(Kind.B2B_OTHER_BYE, hdrs=block(headers))


class BLeg(Application):
    """The second call. Everything that happens to it is run as an event of the first one."""

    def __init__(self, session: Session, other: SecondLeg) -> None:
        super().__init__(session)
        self.other: SecondLeg | None = other
        session.near_leg = other.call.session.leg
        other.leg = self

    def detach(self) -> None:
        """The A leg goes on without this one."""
        self.other = None

    def _tell(self, what: str, *args: object) -> None:
        if self.other is not None:
            self.other.tell(what, *args)

    def on_ringing(self, progress: CallProgressed) -> None:
        self._tell("progressed", progress.code, progress.reason)

    def on_early_session_start(self) -> None:
        self._tell("early")

    def on_connected(self, confirmed: CallConfirmed) -> None:
        self._tell("connected")

    def on_failure(self, code: int, reason: str) -> None:
        self._tell("refused", code, reason)
        self.other = None

    def on_bye(self, headers: tuple[tuple[str, str], ...]) -> None:
        self._tell("hung_up", headers)
        self.other = None

    def on_remote_disappeared(self) -> None:
        self.on_bye(())

    def on_session_timeout(self) -> None:
        self.session.stop()
        self.on_bye(())

    def on_event(self, event: EventPosted) -> None:
        """A bare leg has no diagram that an event could be for."""
