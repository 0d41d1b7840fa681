# SPDX-License-Identifier: GPL-2.0-or-later
"""Control `cc_bl_redis`: who stands in a black list of a Redis server may not call (spec applications.md §23)."""

from __future__ import annotations

from di.modules.cc_bl_redis.control import start
from di.modules.cc_bl_redis.options import Options
from di.server.plugin import Plugin

PLUGIN = Plugin("cc_bl_redis", start=start, options=Options)
