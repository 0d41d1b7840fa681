# SPDX-License-Identifier: GPL-2.0-or-later
"""What CGRateS calls on us, in each of its three names: `AgentV1.…`, `SessionSv1.…` (OpenSIPS 3), `SMGClientV1.…` (OpenSIPS 2). Pure.

DisconnectSession      end the call: its credit is used up, or an operator of CGRateS says so
WarnDisconnect         the balance is low: the caller hears `warn_file`
AlterSession           ask again what the session may use
GetActiveSessionIDs    which sessions are up: CGRateS ends those that it has and we have not
Ping                   "Pong"
DisconnectPeer         is for Diameter: NOT_IMPLEMENTED, as its other agents say
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from di.modules.cc_cgrates.wire import Json, PeerAsked

NOT_IMPLEMENTED = "NOT_IMPLEMENTED"
NOT_FOUND = "NOT_FOUND"


class LiveSessions(Protocol):
    """The calls that CGRateS may speak of. Each answers whether there was such a one."""

    def disconnect(self, origin_id: str, why: str) -> bool:
        """End it."""

    def warn(self, origin_id: str) -> bool | None:
        """Let the caller hear it. None: there is no sound to be heard."""

    def ask_again(self, origin_id: str) -> bool:
        """Ask what it may use."""

    def active(self) -> Iterable[tuple[str, str]]:
        """OriginHost and OriginID of each."""


def serve(asked: PeerAsked, sessions: LiveSessions) -> tuple[Json, str]:
    """Result and error."""
    verb = asked.method.rpartition(".")[2]
    first = asked.params[0] if isinstance(asked.params, list) and asked.params else None
    argument: dict[str, Json] = first if isinstance(first, dict) else {}
    if verb == "Ping":
        return "Pong", ""
    if verb == "GetActiveSessionIDs":
        return [{"OriginHost": host, "OriginID": id} for host, id in sessions.active()], ""
    if verb in ("DisconnectSession", "WarnDisconnect", "AlterSession"):
        return _of_a_session(verb, argument, sessions)
    return None, NOT_IMPLEMENTED


def _of_a_session(verb: str, argument: dict[str, Json], sessions: LiveSessions) -> tuple[Json, str]:
    event = argument.get("Event", argument.get("EventStart", argument))
    if not isinstance(event, dict) or not isinstance(origin_id := event.get("OriginID"), str):
        return None, "MANDATORY_IE_MISSING: [OriginID]"
    if verb == "DisconnectSession":
        why = argument.get("Reason") or event.get("DisconnectCause") or "disconnected"
        return _done(sessions.disconnect(origin_id, str(why)))
    if verb == "WarnDisconnect":
        heard = sessions.warn(origin_id)
        return (None, NOT_IMPLEMENTED) if heard is None else _done(heard)
    return _done(sessions.ask_again(origin_id))


def _done(there_was: bool) -> tuple[Json, str]:
    return ("OK", "") if there_was else (None, NOT_FOUND)
