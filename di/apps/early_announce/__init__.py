# SPDX-License-Identifier: GPL-2.0-or-later
"""Plays a file before the call is answered, then refuses the call, or connects it (spec applications.md §17)."""

from __future__ import annotations

from di.apps.api import Plugin
from di.apps.early_announce.app import start
from di.apps.early_announce.options import Options

PLUGIN = Plugin("early_announce", start=start, options=Options, config_required=True)
