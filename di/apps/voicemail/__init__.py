# SPDX-License-Identifier: GPL-2.0-or-later
"""Takes messages: greeting, beep, recording; kept as a mail, in a box, or both (spec applications.md §13, docs/voicemail.md)."""

from __future__ import annotations

from di.apps.api import Plugin
from di.apps.voicemail.options import Options
from di.apps.voicemail.start import start

PLUGIN = Plugin("voicemail", start=start, options=Options, config_required=True, brings=("mail",))
