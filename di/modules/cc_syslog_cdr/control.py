# SPDX-License-Identifier: GPL-2.0-or-later
"""Marks the records of its calls with its values, and writes a line for each record that is so marked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from di.calls.control import Grant
from di.calls.control_modules import ControlAsk
from di.stores.cdr.book import CALL_RECORDS
from di.stores.cdr.record import CallRecord, names
from di.stores.cdr.sinks import lines
from di.stores.cdr.sinks.syslog import Syslog

if TYPE_CHECKING:
    from di.modules.cc_syslog_cdr.options import Options
    from di.server.plugin import Closer
    from di.server.services import Services
    from di.sip.records import CallEnded
    from di.stores.cdr.spool import DueRecord

NAME = "cc_syslog_cdr"
_MARK = "cdr:"
"""What stands before the names of its values in a record's `vars`."""


class SyslogCdr:
    """Values: what the line shall have under their names."""

    mandatory: tuple[str, ...] = ()

    def authorize(self, ask: ControlAsk) -> Grant:
        """Mark the call."""
        return Grant(vars=((_MARK, ask.instance), *((f"{_MARK}{name}", value) for name, value in ask.values.items())))

    def answered(self, ask: ControlAsk) -> None:
        """The record knows."""

    def renew(self, ask: ControlAsk, used_s: float) -> Grant:
        """There is no limit of time."""
        return Grant()

    def ended(self, ask: ControlAsk, end: CallEnded, used_s: float) -> None:
        """The record knows."""


def is_marked(record: CallRecord) -> bool:
    """Whether the control stood in its call's chain."""
    return _MARK in record.vars


def line(record: CallRecord, items: Sequence[str], quote: bool) -> str:
    """The line of a record. A plain name is a configured value, else a field of the record; one that is neither is empty."""
    of_record = {*names(), *lines.OLD_NAMES}
    values = [name.removeprefix(_MARK) for name in sorted(record.vars) if name.startswith(_MARK) and name != _MARK]
    columns = [
        item if item.startswith("$") or (item not in values and item in of_record) else f"vars.{_MARK}{item}"
        for item in (items or (*lines.SEMS_DEFAULT, *values))
    ]
    return lines.csv_line(record, columns, quote)


def start(services: Services, options: Options) -> Closer:
    """Let configurations name it, and write what records say."""
    modules = services.control_modules
    modules[NAME] = SyslogCdr()
    book = services.capabilities.find(CALL_RECORDS)
    if book is not None:  # else the configuration is only tried out

        def text(entry: DueRecord) -> str:
            return options.cdr_prefix + line(entry.record, options.cdr_format, options.quoting_enabled)

        attributes = tuple(item[1:].partition(".")[0] for item in options.cdr_format if item.startswith("$"))
        book.add_sink(
            Syslog(options.syslog_address, text, options.loglevel, NAME),
            is_marked,
            tuple(name for name in attributes if name not in lines.OLD_ITEMS),
        )

    def close() -> None:
        del modules[NAME]

    return close
