# SPDX-License-Identifier: GPL-2.0-or-later
"""Control `cc_prepaid`: calls cost seconds of an account's credit (spec applications.md §23)."""

from __future__ import annotations

from di.modules.cc_prepaid.options import Options
from di.modules.cc_prepaid.start import start
from di.server.plugin import Plugin

PLUGIN = Plugin("cc_prepaid", start=start, options=Options)
