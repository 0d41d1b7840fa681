# SPDX-License-Identifier: GPL-2.0-or-later
"""Control `cc_rest`: a web server says where a call goes (spec applications.md §23)."""

from __future__ import annotations

from di.modules.cc_rest.control import start
from di.modules.cc_rest.options import Options
from di.server.plugin import Plugin

PLUGIN = Plugin("cc_rest", start=start, options=Options)
