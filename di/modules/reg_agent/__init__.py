# SPDX-License-Identifier: GPL-2.0-or-later
"""`reg_agent`: keeps the accounts of its file registered, by `registrar_client` (spec applications.md §7)."""

from __future__ import annotations

from di.modules.reg_agent.options import Options
from di.modules.reg_agent.rounds import start
from di.server.plugin import Plugin

PLUGIN = Plugin("reg_agent", start=start, options=Options, config_required=True)
