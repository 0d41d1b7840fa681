# SPDX-License-Identifier: GPL-2.0-or-later
"""Load generator: calls that are placed at a rate, press keys, play a file and hang up (spec applications.md §5).

options.py  callgen.conf · generator.py  when which call is due (pure) · app.py  one generated call · interface.py  DI `callgen` and `call_gen`
"""

from __future__ import annotations

from di.apps.api import Plugin
from di.apps.callgen.interface import start
from di.apps.callgen.options import Options

PLUGIN = Plugin("callgen", start=start, options=Options, config_required=True)
