# SPDX-License-Identifier: GPL-2.0-or-later
"""Control `cc_prepaid_xmlrpc`: credit that a server elsewhere keeps, asked by XML-RPC (spec applications.md §23)."""

from __future__ import annotations

from di.modules.cc_prepaid_xmlrpc.control import Options, start
from di.server.plugin import Plugin

PLUGIN = Plugin("cc_prepaid_xmlrpc", start=start, options=Options)
