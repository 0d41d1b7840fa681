# SPDX-License-Identifier: GPL-2.0-or-later
"""The call record (CDR): one a leg, plain data of a fixed version. Pure.

Names in JSON, CSV and SQL are the fields' own (`from_` is written `from`). Times are UTC as RFC 3339 with microseconds, empty while
there is none; durations are milliseconds. A record's `id` is what a receiver knows repeats by: every way out delivers at least once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from random import Random

VERSION = 1
DISPOSITIONS = ("ANSWERED", "NO ANSWER", "BUSY", "CANCELLED", "FAILED", "INTERRUPTED")
HANGUP_BY = ("caller", "callee", "limit", "operator", "app", "media", "timeout", "system", "")
_BUSY = frozenset((486, 600))
_NO_ANSWER = frozenset((408, 480, 487))
_Q850 = re.compile(r"^\s*Q\.850\s*;.*?\bcause\s*=\s*(\d{1,3})", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class RtpFigures:
    """What the leg's media process counted. -1: not known (no media, or the process was gone)."""

    received: int = -1
    sent: int = -1
    lost: int = -1
    late: int = -1
    jitter_ms: float = -1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """One leg of a call. While it lasts `end` and `disposition` are empty."""

    version: int = VERSION
    id: str
    call: str
    """The session's id, as DI functions and the log name it."""
    linked: str
    """The first leg's `call`: all legs of one conversation have it in common."""
    leg: str = "a"
    other: str = ""
    """`call` of the leg that it was connected with."""
    node: str = ""
    direction: str = ""
    app: str = ""
    profile: str = ""
    account: str = ""
    charge_id: str = ""
    caller: str = ""
    """User parts of the URIs in From and of the Request-URI."""
    callee: str = ""
    from_: str = ""
    to: str = ""
    ruri: str = ""
    call_id: str = ""
    local_tag: str = ""
    remote_tag: str = ""
    source: str = ""
    """Address and port that the INVITE came from; empty for a call of ours."""
    start: str = ""
    progress: str = ""
    early_media: str = ""
    answer: str = ""
    end: str = ""
    setup_ms: int = 0
    duration_ms: int = 0
    billable_ms: int = 0
    """From answer to end, never more than `granted_ms` where there is a grant."""
    granted_ms: int = -1
    """What the controls allowed in all; -1: without limit."""
    disposition: str = ""
    sip_code: int = 0
    sip_reason: str = ""
    q850: int = 0
    hangup_by: str = ""
    hangup_cause: str = ""
    codec: str = ""
    rtp: RtpFigures = RtpFigures()
    room: str = ""
    vars: dict[str, str] = field(default_factory=dict)


def time_text(epoch_s: float) -> str:
    """A time as the record writes it; empty for 0."""
    if not epoch_s:
        return ""
    return datetime.fromtimestamp(epoch_s, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def time_s(text: str) -> float:
    """The reverse. Raises ValueError for what is no time."""
    return datetime.fromisoformat(text).timestamp() if text else 0.0


def names() -> tuple[str, ...]:
    """The record's names as written, in order."""
    return tuple(one.name.rstrip("_") for one in fields(CallRecord))


def as_dict(record: CallRecord) -> dict[str, object]:
    """The record as JSON has it."""
    plain: dict[str, object] = {one.name.rstrip("_"): getattr(record, one.name) for one in fields(CallRecord)}
    plain["rtp"] = {one.name: getattr(record.rtp, one.name) for one in fields(RtpFigures)}
    return plain


def to_json(record: CallRecord) -> str:
    """One line of JSON. Bytes that were no UTF-8 (surrogates, PEP 383) are written as U+FFFD: every reader can read it."""
    text = json.dumps(as_dict(record), ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace").decode("utf-8")


def from_json(text: str) -> CallRecord:
    """Read `to_json`'s line. Raises ValueError for what is none, or is of another version."""
    plain = json.loads(text)
    if not isinstance(plain, dict) or plain.get("version") != VERSION:
        raise ValueError(f"no call record of version {VERSION}")
    known = {one.name.rstrip("_"): one.name for one in fields(CallRecord)}
    values = {known[name]: value for name, value in plain.items() if name in known}
    try:
        return CallRecord(**{**values, "rtp": RtpFigures(**plain.get("rtp", {}))})
    except TypeError as error:
        raise ValueError(f"no call record: {error}") from error


def closed(record: CallRecord, end_s: float) -> CallRecord:
    """A record with its end and the durations that follow. A clock that was set back makes none of them negative."""
    start_s, answer_s = time_s(record.start), time_s(record.answer)
    billable_ms = _ms(end_s - answer_s) if answer_s else 0
    if record.granted_ms >= 0:
        billable_ms = min(billable_ms, record.granted_ms)
    return replace(
        record,
        end=time_text(end_s),
        setup_ms=_ms((answer_s or end_s) - start_s),
        duration_ms=_ms(end_s - start_s),
        billable_ms=billable_ms,
    )


def interrupted(record: CallRecord, seen_s: float) -> CallRecord:
    """What becomes of a record whose server died: it ends when it was last seen."""
    end_s = max(seen_s, time_s(record.start), time_s(record.answer))
    cause = "the server stopped without an end"
    return replace(closed(record, end_s), disposition="INTERRUPTED", hangup_by="system", hangup_cause=cause)


def disposition(answered: bool, code: int, by: str) -> str:
    """`code`, `by`: of the `CallEnded`."""
    if answered:
        return "ANSWERED"
    if by == "cancel":
        return "CANCELLED"
    if code in _BUSY:
        return "BUSY"
    return "NO ANSWER" if code in _NO_ANSWER or by == "timeout" else "FAILED"


def q850_of(headers: tuple[tuple[str, str], ...]) -> int:
    """The cause of Q.850 that a Reason header names (RFC 3326); 0: none."""
    for name, value in headers:
        if name.lower() == "reason":
            for part in value.split(","):
                found = _Q850.match(part)
                if found:
                    return int(found[1])
    return 0


def rtp_figures(counters: Mapping[str, float] | None) -> RtpFigures:
    """The figures of a leg's counters (`media.engine.statistics`)."""
    if counters is None:
        return RtpFigures()
    return RtpFigures(
        received=int(counters.get("packets_received", 0)),
        sent=int(counters.get("packets_sent", 0)),
        lost=int(counters.get("packets_lost", 0)),
        late=int(counters.get("packets_late", 0)),
        jitter_ms=round(counters.get("jitter_us", 0) / 1000, 3),
    )


def new_id(epoch_s: float, random: Random) -> str:
    """A UUID of version 7 (RFC 9562 §5.7): ids sort by time, so that a table's index grows at one end."""
    number = (int(epoch_s * 1000) & (1 << 48) - 1) << 80 | 0x7 << 76 | random.getrandbits(12) << 64 | 0b10 << 62
    text = f"{number | random.getrandbits(62):032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def _ms(seconds: float) -> int:
    return max(0, round(seconds * 1000))
