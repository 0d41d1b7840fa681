# SPDX-License-Identifier: GPL-2.0-or-later
"""Dial-in conference rooms with remote control: application and DI `webconference` (spec applications.md §1).

options.py     webconference.conf                 rooms.py      rooms and participants, pure
conference.py  what calls and functions share     feedback.py   opinions of callers, statistics file
app.py         one caller                         members.py    who is in the rooms now, as others steer them
interface.py   the DI functions                   start.py      joins them
"""

from __future__ import annotations

from di.apps.api import Plugin
from di.apps.webconference.options import Options
from di.apps.webconference.start import start

PLUGIN = Plugin("webconference", start=start, options=Options, config_required=True)
