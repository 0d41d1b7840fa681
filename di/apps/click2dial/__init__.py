# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls one party, announces, and connects it with another (spec applications.md §10); begun by `di_dial.dial_auth_b2b`."""

from __future__ import annotations

from di.apps.api import Plugin
from di.apps.click2dial.app import start
from di.apps.click2dial.options import Options

PLUGIN = Plugin("click2dial", start=start, options=Options, config_required=True)
