# SPDX-License-Identifier: GPL-2.0-or-later
"""Prepaid calls watched from outside: who is up, what that costs, and an end when the credit is gone.

    python -m clients.examples.prepaid_monitor credits.csv [--server http://127.0.0.1:8090] [--every 1]

credits.csv has a line `ACCOUNT,SECONDS` for each account; an account is the user of the caller's From. Whoever is not in it is sent away. The
server counts the seconds of calls that a control has let in; two lines in call_control.conf make it count all, two hours at most:

    call_control=watch
    watch_module=cc_call_timer
    watch_timer=7200

(`load_plugins=…;cc_call_timer;call_control`.) What a call has used is written back at once, so that a monitor that starts again goes on where
it was; a call that ends between two looks is charged up to the last one. For money, take a control in the server (docs/call-control.md): it
asks before the call, and ends it to the second.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import re
import time
from pathlib import Path
from xmlrpc.client import ServerProxy

_USER = re.compile(r"sips?:([^@;>]+)@")


class CreditFile:
    """Seconds by account, in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open(newline="") as file:
            self.seconds = {row[0]: int(row[1]) for row in csv.reader(file) if row and not row[0].startswith("#")}

    def save(self) -> None:
        """Write all of it aside, then in one step into its place."""
        aside = self.path.with_suffix(".new")
        with aside.open("w", newline="") as file:
            csv.writer(file).writerows(self.seconds.items())
            file.flush()
            os.fsync(file.fileno())
        aside.replace(self.path)


class Monitor:
    """Charges calls by what the server says of them."""

    def __init__(self, server: ServerProxy, credits: CreditFile) -> None:
        self._server = server
        self._credits = credits
        self._charged: dict[str, int] = {}
        self._accounts: dict[str, str] = {}

    def look(self) -> list[str]:
        """Charge what was used since the last look. Returns the calls that it has ended."""
        listed = self._server.di("control", "list")
        assert isinstance(listed, list)
        ended = []
        for one in listed:
            call, used_s = str(one["call"]), math.ceil(float(one["used_s"]))
            account = self._account(call)
            more_s = used_s - self._charged.get(call, 0)
            self._charged[call] = used_s
            if account in self._credits.seconds:
                self._credits.seconds[account] = max(0, self._credits.seconds[account] - more_s)
            if not self._credits.seconds.get(account):
                self._server.di("control", "end", call)
                ended.append(call)
        up = {str(one["call"]) for one in listed}
        for known in (self._charged, self._accounts):
            for call in known.keys() - up:
                del known[call]
        self._credits.save()
        return ended

    def _account(self, call: str) -> str:
        if call not in self._accounts:
            record = self._server.di("monitoring", "get", call)
            caller = str(record[0].get("from", "")) if isinstance(record, list) and record else ""
            found = _USER.search(caller)
            self._accounts[call] = found[1] if found else ""
        return self._accounts[call]


def main() -> None:
    """Watch until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("credits", type=Path)
    parser.add_argument("--server", default="http://127.0.0.1:8090")
    parser.add_argument("--every", type=float, default=1.0, metavar="SECONDS")
    options = parser.parse_args()
    monitor = Monitor(ServerProxy(options.server), CreditFile(options.credits))
    while True:
        for call in monitor.look():
            print(f"{call}: no credit is left, ended", flush=True)
        time.sleep(options.every)


if __name__ == "__main__":
    main()
