# SPDX-License-Identifier: GPL-2.0-or-later
"""Tells phones of waiting messages: NOTIFY outside dialogs, after each change of a box (RFC 3842, spec applications.md §12)."""

from __future__ import annotations

from di.modules.mwi.options import Options
from di.modules.mwi.publisher import start
from di.server.plugin import Plugin

PLUGIN = Plugin("mwi", start=start, options=Options, requires=("msg_storage",), config_required=True)
