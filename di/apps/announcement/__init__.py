# SPDX-License-Identifier: GPL-2.0-or-later
"""Plays a file that the called user and domain choose, then hangs up (spec applications.md §16)."""

from __future__ import annotations

from di.apps.announcement.app import start
from di.apps.announcement.options import Options
from di.apps.api import Plugin

PLUGIN = Plugin("announcement", start=start, options=Options, config_required=True)
