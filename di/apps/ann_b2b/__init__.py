# SPDX-License-Identifier: GPL-2.0-or-later
"""Answers, plays a file, then connects the caller with whom he called (spec applications.md §19)."""

from __future__ import annotations

from di.apps.ann_b2b.app import start
from di.apps.ann_b2b.options import Options
from di.apps.api import Plugin

PLUGIN = Plugin("ann_b2b", start=start, options=Options, config_required=True)
