# SPDX-License-Identifier: GPL-2.0-or-later
"""Control `cc_syslog_cdr`: a CSV line in syslog at the end of each call that it stands in the chain of (spec applications.md §23).

The line is a way out of the call records (`di.stores.cdr`), which are loaded with it: it comes also after a crash, at least once.
"""

from __future__ import annotations

from di.modules.cc_syslog_cdr.control import start
from di.modules.cc_syslog_cdr.options import Options
from di.server.plugin import Plugin

PLUGIN = Plugin("cc_syslog_cdr", start=start, options=Options, brings=("cdr",))
