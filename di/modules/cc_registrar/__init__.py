# SPDX-License-Identifier: GPL-2.0-or-later
"""Control `cc_registrar`: phones register here, and calls go to where they are, else 404 (spec applications.md §23)."""

from __future__ import annotations

from di.modules.cc_registrar.options import Options
from di.modules.cc_registrar.start import start
from di.server.plugin import Plugin

PLUGIN = Plugin("cc_registrar", start=start, options=Options)
