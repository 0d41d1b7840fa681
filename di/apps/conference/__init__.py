# SPDX-License-Identifier: GPL-2.0-or-later
"""Conference whose room is the called user, with dial-out by keypad (spec applications.md §2). It has no DI functions.

options.py  conference.conf · settings.py  what one caller's headers change · app.py  the call
"""

from __future__ import annotations

from di.apps.api import Plugin
from di.apps.conference.app import start
from di.apps.conference.options import Options

PLUGIN = Plugin("conference", start=start, options=Options, config_required=True)
