# SPDX-License-Identifier: GPL-2.0-or-later
"""Configured controls of calls: who may call, how long, who is told of the end. `docs/call-control.md`."""

from __future__ import annotations

from di.modules.call_control.options import Options
from di.modules.call_control.start import start
from di.server.plugin import Plugin

PLUGIN = Plugin("call_control", start=start, options=Options, config_required=True)
