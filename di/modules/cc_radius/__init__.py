# SPDX-License-Identifier: GPL-2.0-or-later
"""Control `cc_radius`: RADIUS servers decide (RFC 2865), are told (RFC 2866, 2869) and may end calls (RFC 5176). `docs/call-control.md`."""

from __future__ import annotations

from di.modules.cc_radius.options import Options
from di.modules.cc_radius.start import start
from di.server.plugin import Plugin

PLUGIN = Plugin("cc_radius", start=start, options=Options, config_required=True)
