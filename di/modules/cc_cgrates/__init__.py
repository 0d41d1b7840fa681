# SPDX-License-Identifier: GPL-2.0-or-later
"""Control `cc_cgrates`: CGRateS, an open charging system, by bidirectional JSON-RPC over TCP. `docs/call-control.md`. Not in SEMS."""

from __future__ import annotations

from di.modules.cc_cgrates.options import Options
from di.modules.cc_cgrates.start import start
from di.server.plugin import Plugin

PLUGIN = Plugin("cc_cgrates", start=start, options=Options)
