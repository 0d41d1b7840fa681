# SPDX-License-Identifier: GPL-2.0-or-later
"""What all calls and system DSMs of a server share, and what the parts of a call see of the call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from di.calls.application import Application
from di.calls.call_info import CallOut, Dialler
from di.calls.session import Session
from di.dsm.actions.calls import header_lines
from di.dsm.hub.hub_port import ServerHub
from di.dsm.hub.positions import Positions
from di.dsm.hub.script_files import ScriptFiles
from di.dsm.load.bundles import Bundle
from di.dsm.run.engine import Machine
from di.server.services import Services
from di.sip.credentials import Credential


class ScriptedCall(Protocol):
    """A call with a machine, as its playlist and its second leg see it."""

    session: Session
    host: ScriptHost
    bundle: Bundle
    machine: Machine


@dataclass(frozen=True, eq=False)
class ScriptHost:
    """One a server. `make_steered(session, first, diagram)`: a second leg with a diagram of the first one's collection."""

    services: Services
    hub: ServerHub
    files: ScriptFiles
    positions: Positions
    make_steered: Callable[[Session, ScriptedCall, str], Application]

    @property
    def rtp_timeout_ms(self) -> int:
        """Silence on RTP after which a call is told of it."""
        return self.services.core.dead_rtp_time * 1000

    def dial(self, fields: dict[str, str], variables: dict[str, str], call: str = "") -> str:
        """`dlg.dialout` of a call (its id), or of a system DSM; the new session's id, empty when it failed."""
        named = bool(fields["auth_user"] and fields["auth_pwd"])
        order = CallOut(
            application=fields["app"],
            request_uri=fields["r_uri"],
            from_header=fields["from"],
            to_header=fields["to"],
            user=fields["callee"],
            id=fields["ltag"],
            headers=tuple(header_lines(fields["hdrs"])),
            params=[dict(variables)],
            credential=Credential("", fields["auth_user"], fields["auth_pwd"]) if named else None,
            by=Dialler("dsm", call=call),
            interface=fields["outbound_interface"],
        )
        return self.services.sessions.dialout(order)
