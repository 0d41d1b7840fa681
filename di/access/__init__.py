# SPDX-License-Identifier: GPL-2.0-or-later
"""Who may call what, over every way in: `rules` decides (pure), `file` keeps credentials, `access` puts both to work, `log` writes down
who changed what. The command `cordboard token` is `di.server.token_cli`.
"""

from di.access.access import Access, is_loopback

__all__ = ["Access", "is_loopback"]
