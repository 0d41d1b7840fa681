# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls back whoever has called, asks for a number and connects him (spec applications.md §9).

options.py  callback.conf · waiting.py  who is to be called back when (pure) · app.py  the calls
"""

from __future__ import annotations

from di.apps.api import Plugin
from di.apps.callback.app import start
from di.apps.callback.options import Options

PLUGIN = Plugin("callback", start=start, options=Options, config_required=True)
