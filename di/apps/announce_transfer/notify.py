# SPDX-License-Identifier: GPL-2.0-or-later
"""What a NOTIFY says of a transfer (RFC 3515 §2.4.5), and how it is answered (spec applications.md §18). Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from di.apps.api import RequestReceived, first_header

_STATUS = re.compile(rb"SIP/2\.0 ([1-6][0-9]{2})(?: [^\r\n]*)?(?:\r?\n|$)")


@dataclass(frozen=True, slots=True)
class TransferNews:
    """`code` and `reason` of our reply; `status`: the transfer's, 0 while nothing is known."""

    code: int
    reason: str
    status: int = 0

    @property
    def over(self) -> bool:
        """Whether the transfer has succeeded or failed."""
        return self.status >= 200


def read_notify(request: RequestReceived) -> TransferNews:
    """Any NOTIFY gives an answer."""
    event = (first_header(request.headers, "Event") or first_header(request.headers, "o") or "").partition(";")[0].strip().lower()
    if event != "refer":
        return TransferNews(481, "Subscription does not exist")
    if request.content_type.partition(";")[0].strip().lower() != "message/sipfrag":
        return TransferNews(415, "Unsupported Media Type")
    status = _STATUS.match(request.body)
    if status is None:
        return TransferNews(400, "Bad Request")
    return TransferNews(200, "OK", int(status[1]))
