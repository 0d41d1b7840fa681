# SPDX-License-Identifier: GPL-2.0-or-later
"""What scripts for SEMS's `ivr` see of a call (spec core.md §11): its dialog, requests, replies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clients.app.call import Call
    from clients.app.results import Request


class IvrSipDialog:
    """What is known of the call's dialog."""

    def __init__(self, call: Call) -> None:
        uri = call.request_uri.partition(":")[2]
        self.user, self.domain = call.user, uri.partition("@")[2].partition(";")[0] or uri
        self.callid, self.local_tag = call.call_id, call.id
        self.remote_uri, self.local_uri = call.caller, call.request_uri
        self.remote_party, self.local_party = call.caller, call.callee
        self.remote_tag = call.caller.partition("tag=")[2].partition(";")[0]
        self.route = self.outbound_proxy = self.status_str = ""
        self.cseq = self.status = 0


class IvrSipRequest:
    """A request."""

    def __init__(self, call: Call, request: Request) -> None:
        dialog = IvrSipDialog(call)
        self.method, self.hdrs = request.method, header_block(request.headers)
        self.body = request.body.decode("utf-8", "replace")
        self.r_uri, self.user, self.domain, self.callid = call.request_uri, dialog.user, dialog.domain, dialog.callid
        self.from_uri, self.to, self.from_tag, self.to_tag = call.caller, call.callee, dialog.remote_tag, dialog.local_tag
        self.route, self.cseq, self.token = "", 0, request.token
        setattr(self, "from", call.caller)


class IvrSipReply:
    """A reply."""

    def __init__(self, call: Call, code: int, reason: str, headers: Sequence[tuple[str, str]]) -> None:
        dialog = IvrSipDialog(call)
        found = {name.lower(): value for name, value in headers}
        self.code, self.reason, self.hdrs = code, reason, header_block(headers)
        self.contact, self.route = found.get("contact", ""), found.get("record-route", "")
        self.from_tag, self.to_tag = dialog.local_tag, dialog.remote_tag
        number = found.get("cseq", "0").split()[0]
        self.cseq = int(number) if number.isdecimal() else 0


def header_block(headers: Sequence[tuple[str, str]]) -> str:
    """Headers as SEMS's text of lines."""
    return "".join(f"{name}: {value}\r\n" for name, value in headers)
