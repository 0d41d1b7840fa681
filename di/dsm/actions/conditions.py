# SPDX-License-Identifier: GPL-2.0-or-later
"""The conditions that need no import: event types with an expression (spec dsm.md §4.2)."""

from __future__ import annotations

from di.dsm.language.event import Kind
from di.dsm.language.library import ConditionDefinition, Raw, condition
from di.dsm.run.engine import Run

EVENT_CONDITIONS = [
    ConditionDefinition(name, kind)
    for names, kind in (
        ("test", None),
        ("key keyTest", Kind.KEY),
        ("timer timerTest", Kind.TIMER),
        ("noAudio noAudioTest", Kind.NO_AUDIO),
        ("separator separatorTest", Kind.SEPARATOR),
        ("hangup", Kind.HANGUP),
        ("event eventTest", Kind.EVENT),
        ("invite", Kind.INVITE),
        ("sessionStart", Kind.SESSION_START),
        ("early earlySession", Kind.EARLY_SESSION),
        ("ringing", Kind.RINGING),
        ("failed", Kind.FAILED),
        ("beforeDestroy", Kind.BEFORE_DESTROY),
        ("B2Bevent", Kind.B2B_EVENT),
        ("B2B.otherRequest", Kind.B2B_OTHER_REQUEST),
        ("B2B.otherReply", Kind.B2B_OTHER_REPLY),
        ("B2B.otherBye", Kind.B2B_OTHER_BYE),
        ("sipRequest", Kind.SIP_REQUEST),
        ("sipReply", Kind.SIP_REPLY),
        ("remoteDisappeared", Kind.REMOTE_DISAPPEARED),
        ("sessionTimeout", Kind.SESSION_TIMEOUT),
        ("rtpTimeout", Kind.RTP_TIMEOUT),
        ("jsonRpcRequest", Kind.JSON_RPC_REQUEST),
        ("jsonRpcResponse", Kind.JSON_RPC_RESPONSE),
        ("subscription", Kind.SUBSCRIPTION),
        ("start", Kind.START),
        ("startup", Kind.STARTUP),
        ("reload", Kind.RELOAD),
        ("system", Kind.SYSTEM),
    )
    for name in names.split()
]


@condition("keyPress", kind=Kind.KEY)
def key_press(run: Run, key: Raw) -> bool:
    """The key equals the text, which is not resolved."""
    return run.params is not None and run.params.get("key", "") == key
