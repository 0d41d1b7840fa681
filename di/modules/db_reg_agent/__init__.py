# SPDX-License-Identifier: GPL-2.0-or-later
"""`db_reg_agent`: keeps the accounts of a database registered, and their state in it (spec applications.md §8).

options.py    db_reg_agent.conf            rows.py     rows of the database as accounts, and back as statements; pure
writer.py     statements to the database   agent.py    accounts, registrations and rows joined; the DI functions
"""

from __future__ import annotations

from di.modules.db_reg_agent.agent import start
from di.modules.db_reg_agent.options import Options
from di.server.plugin import Plugin

PLUGIN = Plugin("db_reg_agent", start=start, options=Options, config_required=True)
