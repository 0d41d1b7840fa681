# SPDX-License-Identifier: GPL-2.0-or-later
"""DI `di_dial`: place calls for an application, with credentials or by a dial-out pin (spec applications.md §3)."""

from __future__ import annotations

from di.modules.di_dial.interface import start
from di.modules.di_dial.options import Options
from di.server.plugin import Plugin

PLUGIN = Plugin("di_dial", start=start, options=Options)
