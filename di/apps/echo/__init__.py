# SPDX-License-Identifier: GPL-2.0-or-later
"""Plays the caller's voice back; `*` changes the playout buffer (spec core.md §10.4)."""

from __future__ import annotations

from di.apps.api import Plugin
from di.apps.echo.app import Options, start

PLUGIN = Plugin("echo", start=start, options=Options)
