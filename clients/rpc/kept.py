# SPDX-License-Identifier: GPL-2.0-or-later
"""A connection that is kept between calls: whether the server has closed it meanwhile.

That is looked for before a call is sent, and none is sent twice. A call that had no answer may have been carried out, and most calls do
not bear a second time: HTTP lets nobody repeat a POST by himself (RFC 9110 §9.2.2).
"""

from __future__ import annotations

import selectors
import socket


def has_gone(kept: socket.socket | None) -> bool:
    """Whether a connection on which nothing is awaited is at its end: then there is something to read, the end itself."""
    if kept is None:
        return False
    with selectors.DefaultSelector() as selector:
        selector.register(kept, selectors.EVENT_READ)
        return bool(selector.select(0))
