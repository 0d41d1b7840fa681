# SPDX-License-Identifier: GPL-2.0-or-later
"""Answers, plays a file, then transfers the caller to somebody else by REFER (spec applications.md §18)."""

from __future__ import annotations

from di.apps.announce_transfer.app import start
from di.apps.announce_transfer.options import Options
from di.apps.api import Plugin

PLUGIN = Plugin("announce_transfer", start=start, options=Options, config_required=True)
