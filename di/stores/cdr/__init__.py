# SPDX-License-Identifier: GPL-2.0-or-later
"""Call records (CDR) that are not lost: a spool on the disk, and ways out of it. `docs/cdr.md`."""

from __future__ import annotations

from di.server.plugin import Plugin
from di.stores.cdr.options import Options
from di.stores.cdr.start import start

PLUGIN = Plugin("cdr", start=start, options=Options)
