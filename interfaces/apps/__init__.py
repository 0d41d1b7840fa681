# SPDX-License-Identifier: GPL-2.0-or-later
"""Applications in Python, each in processes of its own beside the server. `docs/python-apps.md`."""

from __future__ import annotations

from di.server.plugin import Plugin
from interfaces.apps.options import Options
from interfaces.apps.start import start

PLUGIN = Plugin("apps", start=start, options=Options, config_required=True)
