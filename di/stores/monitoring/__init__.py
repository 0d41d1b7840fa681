# SPDX-License-Identifier: GPL-2.0-or-later
"""The monitoring store as a plug-in: attributes of every call by id, counters, rate samples, standing queries (spec monitoring.md).

store.py samples.py    records and samples, pure           interface.py           SEMS's DI functions
index.py watches.py    what makes look-ups cheap           hooks.py               how core and modules write
regex.py scan.py       listByRegex in linear time          standing_queries.py    bounded standing queries for gateways
"""

from __future__ import annotations

from di.server.plugin import Plugin
from di.stores.monitoring.options import Options
from di.stores.monitoring.start import start

PLUGIN = Plugin("monitoring", start=start, options=Options)
