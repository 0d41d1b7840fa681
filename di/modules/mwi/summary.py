# SPDX-License-Identifier: GPL-2.0-or-later
"""The NOTIFY that tells of a box (RFC 3842 §3.5, §5.2; spec applications.md §12). Pure."""

from __future__ import annotations

from urllib.parse import quote

from di.calls.outside import OutsideRequest
from di.modules.mwi.options import Options
from di.sip.credentials import Credential
from di.stores.messages import BoxOwner

_IN_USER = "%&=+$,;/-_.!~*'()"
CONTENT_TYPE = "application/simple-message-summary"


def account(owner: BoxOwner) -> str:
    """The URI of a box. What a user part may not hold is escaped (RFC 3261 §25.1); what is escaped already stays."""
    return f"sip:{quote(owner.user, safe=_IN_USER, errors='surrogateescape')}@{owner.domain}"


def body(owner: BoxOwner, new: int, read: int) -> bytes:
    """A message summary. The numbers stand twice, as SEMS writes them; RFC 3842 has urgent ones in the brackets."""
    counts = f"{new}/{read}"
    return (
        f"Messages-Waiting: {'yes' if new else 'no'}\r\nMessage-Account: {account(owner)}\r\nVoice-Message: {counts} ({counts})\r\n"
    ).encode("utf-8", "surrogateescape")


def notify(owner: BoxOwner, new: int, read: int, options: Options) -> OutsideRequest:
    """The request for a box with so many new messages, and so many that were heard."""
    credential = Credential(options.auth_realm, options.auth_user, options.auth_password) if options.auth_user else None
    return OutsideRequest(
        "NOTIFY",
        account(owner),
        f"<sip:mwi-publisher@{options.presence_server.partition(';')[0]}>",
        f"<{account(owner)}>",
        ("Event: message-summary", "Subscription-State: active"),
        CONTENT_TYPE,
        body(owner, new, read),
        f"sip:{options.presence_server}" if options.use_route else "",
        credential,
    )
