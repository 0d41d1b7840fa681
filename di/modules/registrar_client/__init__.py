# SPDX-License-Identifier: GPL-2.0-or-later
"""DI `registrar_client`: register accounts at other servers and keep them registered (spec applications.md §6)."""

from __future__ import annotations

from di.modules.registrar_client.interface import start
from di.modules.registrar_client.options import Options
from di.server.plugin import Plugin

PLUGIN = Plugin("registrar_client", start=start, options=Options)
