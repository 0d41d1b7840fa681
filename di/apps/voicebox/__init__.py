# SPDX-License-Identifier: GPL-2.0-or-later
"""Lets a user hear his messages by keys (spec applications.md §14)."""

from __future__ import annotations

from di.apps.api import Plugin
from di.apps.voicebox.options import Options
from di.apps.voicebox.start import start

PLUGIN = Plugin("voicebox", start=start, options=Options, requires=("msg_storage",), config_required=True)
