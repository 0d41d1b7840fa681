# SPDX-License-Identifier: GPL-2.0-or-later
"""Back-to-back user agent by profiles (spec applications.md §22). `docs/sbc.md`."""

from __future__ import annotations

from di.apps.api import Plugin
from di.apps.sbc.options import Options
from di.apps.sbc.start import start

PLUGIN = Plugin("sbc", start=start, options=Options, config_required=True)
