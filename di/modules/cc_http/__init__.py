# SPDX-License-Identifier: GPL-2.0-or-later
"""Control `cc_http`: somebody's web service decides, by signed POSTs. `docs/call-control.md`. Not in SEMS."""

from __future__ import annotations

from di.modules.cc_http.control import start
from di.modules.cc_http.options import Options
from di.server.plugin import Plugin

PLUGIN = Plugin("cc_http", start=start, options=Options, config_required=True)
