# SPDX-License-Identifier: GPL-2.0-or-later
"""What becomes of controls' changes (`di.calls.call_changes`) where no application takes them: a call out changes itself, a first leg its targets."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Protocol

from di.calls.call_changes import CallChanges
from di.calls.call_info import CallInfo, DialPlan, Target
from di.kernel.errors import CallFailed, Refused
from di.sip.headers import parse_uri
from di.sip.locate import parse_places

log = logging.getLogger(__name__)
_CARRIED_OUT = frozenset(
    ("request_uri", "from_header", "to_header", "outbound_proxy", "force_outbound_proxy", "next_hop", "append_headers")
)


class ChangingChain(Protocol):
    """The chain of controls (`di.calls.admission.Admission`)."""

    def left_changes(self) -> CallChanges:
        """What no application has taken."""


class PlannedDialog(Protocol):
    """Its SIP side (`di.calls.dialog.Dialog`)."""

    @property
    def plan(self) -> DialPlan:
        """What will be sent."""

    @property
    def ending(self) -> bool:
        """Whether it is over or will be."""


class RedirectJudge(Protocol):
    """Who asks the dial control (`di.calls.host.SessionHost`)."""

    def admit_redirect(self, id: str, uri: str) -> None:
        """Raises CallFailed for where a call may not go."""


class ChangedCall(Protocol):
    """A call (`di.calls.session.Session`)."""

    id: str

    @property
    def admission(self) -> ChangingChain | None:
        """Its controls."""

    @property
    def dialog(self) -> PlannedDialog:
        """Its SIP side."""

    @property
    def info(self) -> CallInfo:
        """What is known of that."""

    @property
    def host(self) -> RedirectJudge:
        """The server."""


def change_call_out(session: ChangedCall) -> None:
    """Put what the chain has changed into a call that is about to be dialled. Raises Refused for where it may not go."""
    admission = session.admission
    if admission is None or session.dialog.ending:
        return
    changes = admission.left_changes()
    if not changes.names():
        return
    _say_rest(session, changes)
    info, plan = session.info, session.dialog.plan
    if changes.request_uri and changes.request_uri != info.request_uri:
        try:
            session.host.admit_redirect(session.id, changes.request_uri)
        except CallFailed as error:
            raise Refused(403, "Forbidden") from error
        info.request_uri = changes.request_uri
        info.user = parse_uri(changes.request_uri).user
    info.from_header = changes.from_header or info.from_header
    info.to_header = changes.to_header or info.to_header
    plan.headers = [*plan.headers, *changes.append_headers]
    plan.next_hop = changes.outbound_proxy or plan.next_hop
    if changes.next_hop:
        plan.places, plan.next_hop = parse_places(changes.next_hop), changes.outbound_proxy


def change_target(first: ChangedCall, target: Target) -> Target:
    """The target of a second leg, as the controls of the first leg want it."""
    admission = first.admission
    changes = admission.left_changes() if admission is not None else None
    if changes is None or not changes.names():
        return target
    _say_rest(first, changes, ("outbound_interface", "rtprelay_interface"))
    return replace(
        target,
        uri=changes.request_uri or target.uri,
        from_header=changes.from_header or target.from_header,
        to_header=changes.to_header or target.to_header or (f"<{target.uri}>" if changes.request_uri else ""),
        headers=(*target.headers, *changes.append_headers),
        next_hop=changes.outbound_proxy or target.next_hop,
        hops=changes.next_hop,
        interface=changes.outbound_interface or target.interface,
        media_interface=changes.rtprelay_interface or target.media_interface,
    )


def _say_rest(session: ChangedCall, changes: CallChanges, also: tuple[str, ...] = ()) -> None:
    rest = sorted(set(changes.names()) - _CARRIED_OUT - set(also))
    if rest:
        log.warning("call %s: a control changes %s, which only an sbc profile can: left as it is", session.id, ", ".join(rest))
