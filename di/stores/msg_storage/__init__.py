# SPDX-License-Identifier: GPL-2.0-or-later
"""Keeps messages (voicemail, greetings) on disk, safely, and serves them by DI and to applications (spec applications.md §11)."""

from __future__ import annotations

from di.server.plugin import Plugin
from di.stores.msg_storage.options import Options
from di.stores.msg_storage.start import start

PLUGIN = Plugin("msg_storage", start=start, options=Options)
