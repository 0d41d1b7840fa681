# SPDX-License-Identifier: GPL-2.0-or-later
"""Plays a file that is on disk in the very codec of the call, without transcoding, then hangs up (spec applications.md §20)."""

from __future__ import annotations

from di.apps.api import Plugin
from di.apps.precoded_announce.app import start
from di.apps.precoded_announce.options import Options

PLUGIN = Plugin("precoded_announce", start=start, options=Options, config_required=True)
