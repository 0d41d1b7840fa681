# SPDX-License-Identifier: GPL-2.0-or-later
"""mod_sbc: loads so that scripts for both worlds can be read; there are no SBC legs here (spec dsm.md §9.3).

Event conditions never match, state conditions are false, actions for legs throw `param` – all as SEMS has it outside an SBC leg, so that
`if sbc.isALeg { … }` works in scripts for both; loading such an action warns. The actions that SEMS lets through without effect outside an
SBC leg fail at load, with a message.
"""

from __future__ import annotations

from di.dsm.language.errors import DsmError, DsmException
from di.dsm.language.event import Kind
from di.dsm.language.library import ConditionDefinition, Prepared, Raw, action, condition
from di.dsm.run.engine import Run

_EVENTS = (
    Kind.LEG_STATE_CHANGE, Kind.B_LEG_REFUSED, Kind.PUT_ON_HOLD, Kind.RESUME_HELD, Kind.CREATE_HOLD_REQUEST, Kind.HANDLE_HOLD_REPLY,
    Kind.RELAY_INIT, Kind.RELAY_INIT_UAC, Kind.RELAY_INIT_UAS, Kind.RELAY_FINALIZE, Kind.RELAY_ON_SIP_REQUEST, Kind.RELAY_ON_SIP_REPLY,
    Kind.RELAY_ON_B2B_REQUEST, Kind.RELAY_ON_B2B_REPLY,
)  # fmt: skip

EVENT_CONDITIONS = [
    *(ConditionDefinition(kind.value, kind) for kind in _EVENTS),
    ConditionDefinition("BLegRefused", Kind.B_LEG_REFUSED),
]

_LEG_ACTIONS = (
    "stopCall disconnect sendDisconnectEvent putOnHold resumeHeld getCallStatus getSBCCallStatus relayReliableEvent addCallee "
    "enableRelayDTMFReceiving addToMediaProcessor removeFromMediaProcessor streamsSetReceiving"
).split()


def _warn(parameters: str) -> object:
    return "there is no SBC in this server: the action throws `param` whenever it is reached"


@action(*(f"sbc.{name}" for name in _LEG_ACTIONS), prepare=_warn)
def only_in_a_leg(run: Run, raw: Raw) -> None:
    """Outside an SBC leg these throw."""
    raise DsmException("param", cause="this is no SBC call leg")


def _refuse(parameters: str) -> object:
    raise DsmError("there is no SBC in this server; the action cannot work")


@action(
    *(f"sbc.{name}" for name in ("profileSet", "clearExtLocalTag", "setExtLocalTag", "setLastReq", "testSDPConnectionAddress")),
    prepare=_refuse,
)
def unavailable(run: Run, nothing: Prepared) -> None:
    """Never reached: the script is refused when it is loaded."""


@condition(*(f"sbc.is{name}" for name in ("ALeg", "OnHold", "Disconnected", "NoReply", "Ringing", "Connected", "Disconnecting")))
def never(run: Run) -> bool:
    """False outside SBC legs."""
    return False
