# SPDX-License-Identifier: GPL-2.0-or-later
"""What can happen to a diagram (spec dsm.md §3.8). `Kind` members compare by identity; scripts never see their values."""

from __future__ import annotations

import enum
from dataclasses import dataclass

Params = dict[str, str]


class Kind(enum.Enum):
    """Event types, by the name that logs show."""

    START = "start"
    INVITE = "invite"
    SESSION_START = "sessionStart"
    EARLY_SESSION = "earlySession"
    RINGING = "ringing"
    FAILED = "failed"
    HANGUP = "hangup"
    BEFORE_DESTROY = "beforeDestroy"
    SIP_REQUEST = "sipRequest"
    SIP_REPLY = "sipReply"
    REMOTE_DISAPPEARED = "remoteDisappeared"
    SESSION_TIMEOUT = "sessionTimeout"
    RTP_TIMEOUT = "rtpTimeout"
    SYSTEM = "system"
    KEY = "key"
    TIMER = "timer"
    NO_AUDIO = "noAudio"
    SEPARATOR = "separator"
    EVENT = "event"
    B2B_EVENT = "B2Bevent"
    B2B_OTHER_REQUEST = "B2B.otherRequest"
    B2B_OTHER_REPLY = "B2B.otherReply"
    B2B_OTHER_BYE = "B2B.otherBye"
    JSON_RPC_REQUEST = "jsonRpcRequest"
    JSON_RPC_RESPONSE = "jsonRpcResponse"
    SUBSCRIPTION = "subscription"
    STARTUP = "startup"
    RELOAD = "reload"
    EXCEPTION = "exception"
    LEG_STATE_CHANGE = "legStateChange"
    B_LEG_REFUSED = "bLegRefused"
    PUT_ON_HOLD = "PutOnHold"
    RESUME_HELD = "ResumeHeld"
    CREATE_HOLD_REQUEST = "CreateHoldRequest"
    HANDLE_HOLD_REPLY = "HandleHoldReply"
    RELAY_INIT = "RelayInit"
    RELAY_INIT_UAC = "RelayInitUAC"
    RELAY_INIT_UAS = "RelayInitUAS"
    RELAY_FINALIZE = "RelayFinalize"
    RELAY_ON_SIP_REQUEST = "RelayOnSipRequest"
    RELAY_ON_SIP_REPLY = "RelayOnSipReply"
    RELAY_ON_B2B_REQUEST = "RelayOnB2BRequest"
    RELAY_ON_B2B_REPLY = "RelayOnB2BReply"


@dataclass(slots=True)
class Event:
    """One event on its way through a diagram. `params` None: it has no parameter map, and `set(#p=…)` does nothing."""

    kind: Kind
    params: Params | None = None

    @property
    def processed(self) -> bool:
        """Whether the script said `set(#processed=true)`."""
        return self.params is not None and self.params.get("processed") == "true"
