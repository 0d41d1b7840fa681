# SPDX-License-Identifier: GPL-2.0-or-later
"""mod_sbc: what scripts do in sbc legs, where the control cc_dsm runs them (spec dsm.md §9.3).

Elsewhere, as in SEMS, event conditions never match, state conditions are false and actions for legs throw `param`, so that
`if sbc.isALeg { … }` works in scripts for both. Actions that no leg here can carry out throw it everywhere, with a warning at load; those
that SEMS lets through without effect are refused at load.
"""

from __future__ import annotations

from di.dsm.language.errors import DsmError, DsmException
from di.dsm.language.event import Kind
from di.dsm.language.library import ConditionDefinition, Prepared, Raw, Res, Var, action, condition
from di.dsm.run.engine import Run
from di.dsm.run.ports import SbcLeg

_EVENTS = (
    Kind.LEG_STATE_CHANGE, Kind.B_LEG_REFUSED, Kind.PUT_ON_HOLD, Kind.RESUME_HELD, Kind.CREATE_HOLD_REQUEST, Kind.HANDLE_HOLD_REPLY,
    Kind.RELAY_INIT, Kind.RELAY_INIT_UAC, Kind.RELAY_INIT_UAS, Kind.RELAY_FINALIZE, Kind.RELAY_ON_SIP_REQUEST, Kind.RELAY_ON_SIP_REPLY,
    Kind.RELAY_ON_B2B_REQUEST, Kind.RELAY_ON_B2B_REPLY,
)  # fmt: skip

EVENT_CONDITIONS = [
    *(ConditionDefinition(kind.value, kind) for kind in _EVENTS),
    ConditionDefinition("BLegRefused", Kind.B_LEG_REFUSED),
]

_NOT_HERE = (
    "disconnect sendDisconnectEvent relayReliableEvent addCallee enableRelayDTMFReceiving addToMediaProcessor removeFromMediaProcessor "
    "streamsSetReceiving"
).split()


def _warn(parameters: str) -> object:
    return "no leg can do that here: the action throws `param` whenever it is reached"


@action(*(f"sbc.{name}" for name in _NOT_HERE), prepare=_warn)
def not_here(run: Run, raw: Raw) -> None:
    """These throw in every session."""
    raise DsmException("param", cause="no leg can do that here")


def _leg(run: Run) -> SbcLeg:
    """The leg. Raises DsmException("param") outside one."""
    if not isinstance(run.session, SbcLeg):
        raise DsmException("param", cause="this is no SBC call leg")
    return run.session


@action("sbc.stopCall")
def stop_call(run: Run, cause: Res = "") -> None:
    """End both legs."""
    _leg(run).stop_call(cause)


@action("sbc.putOnHold")
def put_on_hold(run: Run) -> None:
    """Hold the leg's peer."""
    _leg(run).hold(True)


@action("sbc.resumeHeld")
def resume_held(run: Run) -> None:
    """Let it go on."""
    _leg(run).hold(False)


@action("sbc.getCallStatus", "sbc.getSBCCallStatus")
def get_call_status(run: Run, target: Var) -> None:
    """The status word."""
    run.vars[target] = _leg(run).status


@action("sbc.profileSet")
def profile_set(run: Run, key: Res, value: Res = "") -> None:
    """Change the call's profile, in the first state; an unknown key, or a later state, is errno `arg`."""
    if _leg(run).profile_set(key, value):
        run.ok()
    else:
        run.fail("arg", f"{key} cannot be set, or the call has begun")


def _refuse(parameters: str) -> object:
    raise DsmError("no leg can do that here, and in SEMS it has no effect: the action cannot work")


@action(
    *(f"sbc.{name}" for name in ("clearExtLocalTag", "setExtLocalTag", "setLastReq", "testSDPConnectionAddress")),
    prepare=_refuse,
)
def unavailable(run: Run, nothing: Prepared) -> None:
    """Never reached: the script is refused when it is loaded."""


def _status(run: Run) -> str:
    return run.session.status if isinstance(run.session, SbcLeg) else ""


@condition("sbc.isALeg")
def is_a_leg(run: Run) -> bool:
    """Whether it is the caller's leg."""
    return isinstance(run.session, SbcLeg) and run.session.is_a_leg


@condition("sbc.isOnHold")
def is_on_hold(run: Run) -> bool:
    """Whether its peer holds it."""
    return isinstance(run.session, SbcLeg) and run.session.is_on_hold


@condition("sbc.isDisconnected")
def is_disconnected(run: Run) -> bool:
    """Whether its dialog is over."""
    return _status(run) == "Disconnected"


@condition("sbc.isNoReply")
def is_no_reply(run: Run) -> bool:
    """Whether nobody has answered yet."""
    return _status(run) == "NoReply"


@condition("sbc.isRinging")
def is_ringing(run: Run) -> bool:
    """Whether it rings."""
    return _status(run) == "Ringing"


@condition("sbc.isConnected")
def is_connected(run: Run) -> bool:
    """Whether it is up."""
    return _status(run) == "Connected"


@condition("sbc.isDisconnecting")
def is_disconnecting(run: Run) -> bool:
    """Whether its BYE is under way."""
    return _status(run) == "Disconnecting"
