# SPDX-License-Identifier: GPL-2.0-or-later
"""What CGRateS is told of a call, and what its answers mean. Pure.

    {"Tenant": …, "ID": …, "Event": {"OriginID": …, "Account": …, "Usage": "60s", …}, "APIOpts": {}, "InitSession": true}

A session's name is SHA-1 of OriginID and OriginHost (CGRID), so both stay the same for a call. `ID` is a step's: CGRateS answers a
repeat of it from its cache.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from di.calls.control import Grant
from di.calls.control_modules import ControlUnreachable
from di.kernel.errors import Refused
from di.modules.cc_cgrates.options import Options
from di.modules.cc_cgrates.wire import Json

_OWN = frozenset(("uuid", "tenant", "subject", "destination", "category", "request_type"))
"""Values of a configuration with a place of their own; every other goes into the event as it is called."""
_REFUSALS = (
    ("INSUFFICIENT_CREDIT", Refused(402, "Insufficient Credit")),
    ("MAX_USAGE_EXCEEDED", Refused(402, "Insufficient Credit")),
    ("UNAUTHORIZED_DESTINATION", Refused(403, "Unauthorized Destination")),
    ("ACCOUNT_NOT_FOUND", Refused(403, "Unknown Account")),
    ("ACCOUNT_DISABLED", Refused(403, "Account Disabled")),
    ("RESOURCE_UNAVAILABLE", Refused(503, "Resource Unavailable")),
    ("RESOURCE_UNAUTHORIZED", Refused(503, "Resource Unavailable")),
)
"""Texts of errors that say no; every other one says that CGRateS itself is in trouble."""
_ASK_BEFORE_S = 3.0
"""Longer than a control may think by default (`deadline_ms` of call_control.conf)."""
_LONGEST_S = 86_400.0 * 365


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What of a call goes into its events. Times are wall clock."""

    origin_id: str
    caller: str
    called: str
    setup_s: float
    call_id: str
    source: str


def cgrid(origin_id: str, origin_host: str) -> str:
    """CGRateS's own name of the session."""
    return hashlib.sha1(f"{origin_id}{origin_host}".encode(), usedforsecurity=False).hexdigest()


def base_event(facts: CallFacts, values: Mapping[str, str], options: Options, origin_host: str) -> dict[str, Json]:
    """What every event of a call says."""
    account = values["uuid"]
    event: dict[str, Json] = {name: value for name, value in values.items() if name not in _OWN and value}
    event.update(
        ToR="*voice",
        RequestType=values.get("request_type") or options.request_type,
        OriginID=facts.origin_id,
        OriginHost=origin_host,
        Source="cordboard",
        Tenant=values.get("tenant") or options.tenant,
        Category=values.get("category") or "call",
        Account=account,
        Subject=values.get("subject") or account,
        Destination=values.get("destination") or facts.called,
        SetupTime=time_text(facts.setup_s),
        Caller=facts.caller,
        CallID=facts.call_id,
        SourceIP=facts.source,
    )
    return event


def time_text(epoch_s: float) -> str:
    """A time as CGRateS reads it (RFC 3339, UTC)."""
    return datetime.fromtimestamp(epoch_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def usage_text(seconds: float) -> str:
    """A duration as Go reads it."""
    return f"{seconds:.3f}s"


def argument(
    event: Mapping[str, Json], step: str, options: Options, flags: tuple[str, ...] = (), **more: Json
) -> dict[str, Json]:
    """The one parameter of a method. `step`: names it among the call's; `more`: further members of the event."""
    opts: dict[str, Json] = {}
    if not options.slice and options.debit_interval:
        opts["*sessionsDebitInterval"] = f"{options.debit_interval}s"
    id = f"{event['OriginID']}/{step}"
    found: dict[str, Json] = {"Tenant": event["Tenant"], "ID": id, "Event": {**event, **more}, "APIOpts": opts}
    return {**found, **dict.fromkeys(flags, True)}


def max_usage_s(result: Json) -> float | None:
    """How long the call may last, in seconds; None: without limit. Raises ControlUnreachable for what is no answer.

    Whole numbers are nanoseconds (time.Duration); a float is seconds, as the methods …WithDigest answer. Absent and -1: no limit.
    """
    if not isinstance(result, dict):
        raise ControlUnreachable(f"the answer is {str(result)[:60]!r}, no object with MaxUsage")
    usage = result.get("MaxUsage")
    if usage is None or usage == -1:
        return None
    if isinstance(usage, bool) or not isinstance(usage, (int, float)):
        raise ControlUnreachable(f"MaxUsage is {str(usage)[:60]!r}, no number")
    seconds = usage / 1e9 if isinstance(usage, int) else usage
    if not math.isfinite(seconds) or not 0 <= seconds <= _LONGEST_S:
        raise ControlUnreachable(f"MaxUsage is {seconds} s; right are 0 to {_LONGEST_S:.0f} s")
    return seconds


def read_error(text: str) -> Exception:
    """What an error means: `Refused`, or `ControlUnreachable` for trouble that is not the caller's."""
    for name, refused in _REFUSALS:
        if name in text:
            return refused
    return ControlUnreachable("".join(letter if letter.isprintable() else "?" for letter in text[:200]))


def grant(seconds: float | None, event: Mapping[str, Json], options: Options) -> Grant:
    """What an answer grants. Raises Refused for nothing. With slices the next one is asked for beforehand."""
    if seconds is not None and seconds <= 0:
        raise Refused(402, "Insufficient Credit")
    account = event["Account"]
    charge_id = cgrid(str(event["OriginID"]), str(event["OriginHost"]))
    asks = options.slice and seconds is not None
    return Grant(
        seconds,
        ask_before_s=min(max(_ASK_BEFORE_S, options.warn), seconds / 2) if asks and seconds else 0.0,
        final=not asks,
        warn_s=options.warn,
        warn_path=options.warn_file,
        account=str(account),
        charge_id=charge_id,
    )
