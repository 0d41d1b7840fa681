# SPDX-License-Identifier: GPL-2.0-or-later
"""A record as one CSV line: our own names, and the items of SEMS's `cdr_format` (spec applications.md §23, cc_syslog_cdr). Pure.

`name` is a field of the record, `rtp.lost` one of its figures, `vars.x` or `$x` an attribute; `$ltag`, `$start_ts`, `$start_tm`,
`$duration`, `$duration_sec` and their kin are SEMS's. Times of `_ts` are seconds since 1970 with microseconds, of `_tm` local time.
"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Sequence

from di.stores.cdr.record import CallRecord, as_dict, names, time_s

SEMS_DEFAULT = ("$ltag", "$start_ts", "$connect_ts", "$end_ts")
OLD_NAMES: dict[str, Callable[[CallRecord], object]] = {
    "invite_code": lambda record: record.sip_code,
    "invite_reason": lambda record: record.sip_reason,
    "hangup_initiator": lambda record: record.hangup_by,
}
"""SEMS's names of what the record has under others."""
OLD_ITEMS = frozenset(
    (
        "ltag",
        *(f"{what}_{kind}" for what in ("start", "connect", "end") for kind in ("ts", "tm")),
        *(f"{what}duration{unit}" for what in ("", "bill_", "setup_") for unit in ("", "_sec")),
    )
)
"""SEMS's `$` items that are no attributes of the call."""


def _of_times(record: CallRecord) -> dict[str, str]:
    found = {"ltag": record.call}
    for name, text in (("start", record.start), ("connect", record.answer), ("end", record.end)):
        at_s = time_s(text)
        found[f"{name}_ts"] = f"{at_s:.6f}" if at_s else "0.000000"
        found[f"{name}_tm"] = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at_s)) if at_s else ""
    for name, ms in (
        ("duration", record.duration_ms),
        ("bill_duration", record.billable_ms),
        ("setup_duration", record.setup_ms),
    ):
        found[name], found[f"{name}_sec"] = f"{ms / 1000:.3f}", str(round(ms / 1000))
    return found


def check(columns: Sequence[str]) -> None:
    """Raises ValueError for a column that no record has."""
    known = {*names(), *OLD_NAMES}
    for column in columns:
        if column.startswith(("$", "vars.")) or column in known or column in _figures():
            continue
        raise ValueError(
            f"there is no {column!r}; right are {', '.join(names())}, rtp.lost, vars.NAME, and SEMS's $ltag, $start_ts, …"
        )


def _figures() -> frozenset[str]:
    return frozenset(f"rtp.{name}" for name in ("received", "sent", "lost", "late", "jitter_ms"))


def csv_line(record: CallRecord, columns: Sequence[str], quote_all: bool = True) -> str:
    """One line without its end. Line breaks inside values become blanks: a record is one line, whatever a caller writes in his name."""
    plain, times = as_dict(record), _of_times(record)
    values = [" ".join(str(_value(record, column, plain, times)).splitlines()) for column in columns]
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL, lineterminator="").writerow(values)
    return out.getvalue().encode("utf-8", "replace").decode("utf-8")


def _value(record: CallRecord, column: str, plain: dict[str, object], times: dict[str, str]) -> object:
    if column.startswith("$"):
        return times.get(column[1:], record.vars.get(column[1:], ""))
    if column.startswith("vars."):
        return record.vars.get(column[5:], "")
    if column in _figures():
        return getattr(record.rtp, column[4:])
    return OLD_NAMES[column](record) if column in OLD_NAMES else plain[column]
