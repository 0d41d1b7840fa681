# SPDX-License-Identifier: GPL-2.0-or-later
"""What happened yesterday, from the call records (docs/cdr.md): a page with a plot of the day and tables, to be opened in a browser or mailed.

    python -m clients.examples.nightly_report cdr-2026-11-29.jsonl report.html

Reads the sink `jsonl`. A record that comes twice (each sink gets it at least once) counts once; a line that is no record is named and left out.
Needs pygal: `.venv/bin/pip install pygal`.
"""

from __future__ import annotations

import argparse
import html
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pygal

HOURS = [f"{hour:02d}" for hour in range(24)]
MOST_ROWS = 20


@dataclass
class Day:
    """Sums over the records. Times are UTC, as in the records."""

    by_hour: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    by_app: Counter[str] = field(default_factory=Counter)
    billable_ms: Counter[str] = field(default_factory=Counter)
    setup_ms: list[int] = field(default_factory=list)
    causes: Counter[str] = field(default_factory=Counter)
    calls: int = 0

    def add(self, record: dict[str, object]) -> None:
        """One record of version 1."""
        disposition = str(record["disposition"])
        self.calls += 1
        self.by_hour[str(record["start"])[11:13]][disposition] += 1
        self.by_app[str(record["app"])] += 1
        self.billable_ms[str(record["account"] or record["caller"])] += int(str(record["billable_ms"]))
        if disposition == "ANSWERED":
            self.setup_ms.append(int(str(record["setup_ms"])))
        else:
            self.causes[f"{record['sip_code']} {record['sip_reason']}".strip()] += 1

    @property
    def answered(self) -> int:
        """Calls that came about."""
        return len(self.setup_ms)


def records(lines: Iterable[str], name: str) -> Iterator[dict[str, object]]:
    """The legs that callers began, each once. What cannot be read is named on standard error."""
    seen: set[str] = set()
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
            known, leg = str(record["id"]), record["leg"]
        except (ValueError, KeyError, TypeError):
            print(f"{name}:{number}: no call record, left out", file=sys.stderr)
            continue
        if leg == "a" and known not in seen:
            yield record
        seen.add(known)


def plot(day: Day) -> str:
    """Calls by hour and outcome, as SVG."""
    chart = pygal.StackedBar(
        height=320, width=960, legend_at_bottom=True, js=[], disable_xml_declaration=True, x_title="hour (UTC)", y_title="calls"
    )
    chart.x_labels = HOURS
    for outcome in sorted({outcome for counts in day.by_hour.values() for outcome in counts}):
        chart.add(outcome.lower(), [day.by_hour[hour][outcome] if hour in day.by_hour else 0 for hour in HOURS])
    return str(chart.render(is_unicode=True))


def table(title: str, heads: tuple[str, str], rows: Iterable[tuple[str, str]]) -> str:
    """Two columns; everything in it may have come from a caller, and is text."""
    lines = "".join(f"<tr><td>{html.escape(one)}<td class=n>{html.escape(other)}" for one, other in rows)
    return f"<h2>{title}</h2><table><tr><th>{heads[0]}<th>{heads[1]}{lines}</table>"


def page(day: Day, title: str) -> str:
    """The report as HTML that needs nothing else."""
    setups = sorted(day.setup_ms) or [0]
    facts = [
        ("calls", str(day.calls)),
        ("answered", f"{day.answered} ({100 * day.answered / max(day.calls, 1):.0f} %)"),
        ("minutes to be paid", f"{sum(day.billable_ms.values()) / 60000:.1f}"),
        ("from the call to its answer, median / worst", f"{setups[len(setups) // 2]} / {setups[-1]} ms"),
    ]
    minutes = [(who, f"{ms / 60000:.1f}") for who, ms in day.billable_ms.most_common(MOST_ROWS) if ms]
    style = "body{font:16px system-ui;max-width:60em;margin:2em auto}td,th{padding:2px 12px;text-align:left}.n{text-align:right}"
    parts = (
        f"<!doctype html><meta charset=utf-8><title>{html.escape(title)}</title><style>{style}</style><h1>{html.escape(title)}</h1>",
        plot(day),
        table("In numbers", ("what", ""), facts),
        table("Minutes by account", ("account", "minutes"), minutes),
        table("By application", ("application", "calls"), [(app, str(count)) for app, count in day.by_app.most_common()]),
        table(
            "Why calls did not come about",
            ("last answer", "calls"),
            [(why, str(count)) for why, count in day.causes.most_common(MOST_ROWS)],
        ),
    )
    return "\n".join(parts)


def main() -> None:
    """Read records, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("records", type=Path)
    parser.add_argument("report", type=Path)
    options = parser.parse_args()
    day = Day()
    with options.records.open(errors="replace") as lines:
        for record in records(lines, str(options.records)):
            day.add(record)
    options.report.write_text(page(day, f"Calls of {options.records.stem}"), encoding="utf-8")
    print(f"{day.calls} calls, {day.answered} answered: {options.report}")


if __name__ == "__main__":
    main()
