# SPDX-License-Identifier: GPL-2.0-or-later
"""DI `uac_auth`: whether a request's credentials are right (spec core.md §10.2). Challenges to us the SIP process answers by itself."""

from __future__ import annotations

from di.modules.uac_auth.interface import Options, start
from di.server.plugin import Plugin

PLUGIN = Plugin("uac_auth", start=start, options=Options)
