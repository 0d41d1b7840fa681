# SPDX-License-Identifier: GPL-2.0-or-later
"""Sends mails of other modules by SMTP submission, from a queue on disk that survives restarts (docs/mail.md)."""

from __future__ import annotations

from di.modules.mail.options import Options
from di.modules.mail.start import start
from di.server.plugin import Plugin

PLUGIN = Plugin("mail", start=start, options=Options, config_required=True)
