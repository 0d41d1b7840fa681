# SPDX-License-Identifier: GPL-2.0-or-later
"""Lets a user record the greeting that voicemail plays to his callers (spec applications.md §15, docs/annrecorder.md)."""

from __future__ import annotations

from di.apps.annrecorder.options import Options
from di.apps.annrecorder.start import start
from di.apps.api import Plugin

PLUGIN = Plugin("annrecorder", start=start, options=Options, config_required=True)
