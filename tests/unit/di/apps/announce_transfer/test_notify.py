# SPDX-License-Identifier: GPL-2.0-or-later
"""Each NOTIFY gets its answer, whatever is in it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from di.apps.announce_transfer.notify import read_notify
from di.sip.records import RequestReceived


def notify(
    event: str = "refer", kind: str = "message/sipfrag;version=2.0", body: bytes = b"SIP/2.0 200 OK\r\n"
) -> RequestReceived:
    return RequestReceived(1, 7, "NOTIFY", (("Event", event),) if event else (), kind, body, True)


@pytest.mark.parametrize(
    ("request_", "code", "status"),
    [
        (notify(), 200, 200),
        (notify("Refer;id=93809824"), 200, 200),
        (notify(body=b"SIP/2.0 100 Trying"), 200, 100),
        (notify(body=b"SIP/2.0 603 Decline\r\nServer: x\r\n"), 200, 603),
        (notify(body=b"SIP/2.0 486\r\n"), 200, 486),
        (notify("message-summary"), 481, 0),
        (notify(""), 481, 0),
        (notify(kind="text/plain"), 415, 0),
        (notify(kind="Message/SIPfrag"), 200, 200),
        (notify(body=b""), 400, 0),
        (notify(body=b"SIP/2.0 2"), 400, 0),
        (notify(body=b"SIP/2.0 999 What"), 400, 0),
        (notify(body=b"INVITE sip:x SIP/2.0"), 400, 0),
    ],
)
def test_answers(request_: RequestReceived, code: int, status: int) -> None:
    news = read_notify(request_)
    assert (news.code, news.status, news.over) == (code, status, status >= 200)


@given(st.text(), st.text(), st.binary())
def test_any_notify(event: str, kind: str, body: bytes) -> None:
    assert read_notify(notify(event, kind, body)).code in (200, 400, 415, 481)


@given(st.binary())
def test_any_fragment(body: bytes) -> None:
    news = read_notify(notify(body=body))
    assert news.code in (200, 400) and (news.status >= 100) is (news.code == 200)
