# SPDX-License-Identifier: GPL-2.0-or-later
"""What controls change of a call: how changes add up, which cannot be sent, which keys say them, and that calls are sent so."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from di.calls.application import Application
from di.calls.call_changes import FILTER_KINDS, NO_CHANGES, CallChanges, NameFilter
from di.calls.call_info import CallOut, Target
from di.calls.change_keys import KEYS, changes_of, filled, unknown
from di.calls.control import Grant
from di.calls.pair import Pair
from di.calls.patterns import PatternValues
from di.calls.session import Session
from di.kernel.errors import Refused
from di.sip import records as sip
from tests.support.playbook import Playbook


# -------------------------------------------------------------------------------------------------------------------- values
def test_later_changes_win_and_headers_add_up() -> None:
    first = CallChanges(request_uri="sip:a@b", next_hop="10.0.0.1", append_headers=("X: 1",))
    both = first.then(CallChanges(request_uri="sip:c@d", session_timer=False, append_headers=("Y: 2",)))
    assert both == CallChanges(request_uri="sip:c@d", next_hop="10.0.0.1", session_timer=False, append_headers=("X: 1", "Y: 2"))
    assert NO_CHANGES.names() == () and both.names() == ("request_uri", "next_hop", "session_timer", "append_headers")
    assert first.then(NO_CHANGES) == first == NO_CHANGES.then(first)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        (CallChanges(request_uri="sip:a@b"), ""),
        (CallChanges(from_header='"A" <sip:a@b>', next_hop="h:5061/tls,10.0.0.1", append_headers=("P-A: b",)), ""),
        (CallChanges(request_uri="bob"), "no SIP URI"),
        (CallChanges(request_uri="sip:a@b?Route=x"), "header fields"),
        (CallChanges(to_header="<sip:a@b>\r\nX: y"), "control character"),
        (CallChanges(next_hop="sip:a@b"), "right is host"),
        (CallChanges(append_headers=("Via: x",)), "the SIP stack writes it"),
        (CallChanges(append_headers=("X: y\r\nZ: 1",)), "control characters"),
        (CallChanges(outbound_proxy="<sip:a>"), "no SIP URI"),
    ],
)
def test_what_cannot_be_sent_is_said(changes: CallChanges, what: str) -> None:
    problem = changes.problem()
    assert what in problem if what else problem == ""


def test_filters() -> None:
    white, black = NameFilter("whitelist", ("x-a",)), NameFilter("blacklist", ("x-a",))
    assert white.passes("X-A") and not white.passes("X-B") and not black.passes("X-A") and black.passes("X-B")
    assert NameFilter("transparent", ("x-a",)).passes("X-A")


def test_keys_as_sems_has_them() -> None:
    values = {
        "RURI": "sip:bob@there", "From": "<sip:x@y>", "To": "<sip:z@y>", "Call-ID": "7", "outbound_proxy": "sip:p", "force_outbound_proxy": "yes",
        "next_hop": "10.0.0.1", "sst_enabled": "no", "sst_aleg_enabled": "yes", "append_headers": r"P-A: 1\r\nP-B: 2|P-C: 3",
        "rtprelay_enabled": "yes", "rtprelay_interface": "b", "aleg_rtprelay_interface": "a", "outbound_interface": "c",
        "headerfilter": "whitelist", "header_list": "P-A|P-B", "messagefilter": "blacklist", "message_list": "INFO|Message",
    }  # fmt: skip
    assert changes_of(values) == CallChanges(
        "sip:bob@there", "<sip:x@y>", "<sip:z@y>", "7", "sip:p", True, "10.0.0.1", "c", False, True, True, "b", "a",
        NameFilter("whitelist", ("p-a", "p-b")), NameFilter("blacklist", ("info", "message")), ("P-A: 1", "P-B: 2", "P-C: 3"),
    )  # fmt: skip
    assert unknown({**values, "ruli": "x"}) == ["ruli"]
    for wrong in ({"sst_enabled": "maybe"}, {"header_filter": "grey"}, {"header_list": "X"}):
        with pytest.raises(ValueError, match=r"right is|needs"):
            changes_of(wrong)


@given(st.dictionaries(st.sampled_from(sorted(KEYS)), st.text(max_size=40)))
def test_no_value_reaches_into_what_is_sent(values: dict[str, str]) -> None:
    """Any texts: a ValueError, a problem that is said, or changes without a control character."""
    try:
        changes = changes_of(values)
    except ValueError:
        return
    if changes.problem():
        return
    texts = [getattr(changes, name) for name in changes.names()]
    assert not any(ord(letter) < 32 for text in texts if isinstance(text, str) for letter in text)
    assert not any(letter in line for line in changes.append_headers for letter in "\r\n\0")
    assert changes.header_filter is None or changes.header_filter.kind in FILTER_KINDS


# --------------------------------------------------------------------------------------------------------------------- calls
class Router:
    """A control that changes calls."""

    name = "router"

    def __init__(self, changes: CallChanges) -> None:
        self.changes = changes

    def admit(self, call: Session) -> Grant:
        return Grant(changes=self.changes)

    def answered(self, call: Session) -> None: ...

    def renew(self, call: Session, used_s: float) -> Grant:
        raise Refused(402, "no")

    def ended(self, call: Session, end: sip.CallEnded, used_s: float) -> None: ...


ELSEWHERE = CallChanges(request_uri="sip:bob@there.example", from_header="<sip:us@here>", append_headers=("P-A: 1",))


def book_of(changes: CallChanges) -> Playbook:
    book = Playbook()
    book.services.applications.register("plain", Application)
    book.sessions.control.controls.append(Router(changes))
    return book


def dialled(book: Playbook) -> sip.Dial:
    (found,) = [command for command in book.sip.commands if isinstance(command, sip.Dial)]
    return found


def test_a_call_out_goes_where_a_control_says() -> None:
    book = book_of(ELSEWHERE.then(CallChanges(next_hop="10.0.0.9:5070/tcp", outbound_proxy="sip:proxy")))
    assert book.sessions.dialout(CallOut("plain", "sip:x@y", "<sip:a@b>", "<sip:x@y>", headers=("X-Own: 1",)))
    book.run()
    sent = dialled(book)
    assert (sent.request_uri, sent.from_uri, sent.headers) == ("sip:bob@there.example", "<sip:us@here>", ("X-Own: 1", "P-A: 1"))
    (session,) = book.sessions
    assert session.dialog.plan.places[0].port == 5070 and sent.next_hop == "sip:proxy"


def test_a_control_cannot_send_a_call_where_the_dial_control_does_not_let_it() -> None:
    book = book_of(ELSEWHERE)
    book.sessions.toll.refusal = lambda uri, by, now_ns, replacing=0: ("denied", "not there") if "bob" in uri else ("", "")  # type: ignore[method-assign]
    book.sessions.dialout(CallOut("plain", "sip:x@y", "<sip:a@b>", "<sip:x@y>"))
    book.run()
    assert not [command for command in book.sip.commands if isinstance(command, sip.Dial)] and len(book.sessions) == 0


def test_second_legs_are_called_where_the_controls_of_the_first_say_unless_the_application_takes_it() -> None:
    for taken in (False, True):
        book = book_of(NO_CHANGES)
        first = book.up("app-plain")
        admission = first.admission
        assert admission is not None
        admission.insert([Router(ELSEWHERE)])
        admission.run()
        if taken:
            assert admission.take_changes() == ELSEWHERE
        Pair(first).connect([Target("sip:x@y")])
        book.run()
        sent = dialled(book)
        if taken:
            assert sent.request_uri == "sip:x@y" and "P-A: 1" not in sent.headers
        else:
            assert (sent.request_uri, sent.to_uri, sent.from_uri) == ("sip:bob@there.example", "<sip:x@y>", "<sip:us@here>")
            assert "P-A: 1" in sent.headers


def test_a_second_leg_leaves_from_the_interface_that_a_control_names(caplog: pytest.LogCaptureFixture) -> None:
    book = book_of(CallChanges(outbound_interface="nowhere", header_filter=NameFilter("whitelist")))
    first = book.up("app-plain")
    Pair(first).connect([Target("sip:x@y")])
    book.run()
    assert (
        "there is no interface 'nowhere'" in caplog.text and "changes header_filter, which only an sbc profile can" in caplog.text
    )


def test_what_cannot_be_sent_refuses_the_call() -> None:
    book = book_of(CallChanges(append_headers=("Via: x",)))
    assert book.answers(book.offer("app-plain")) == [500]


def test_what_a_caller_says_begins_no_line_of_a_controls_headers() -> None:
    values = PatternValues(
        request_uri="sip:b%7CX-Evil%3A1@h",
        from_header='"a\\r\\nX-Evil: 2 | X-Evil: 3" <sip:c%0D%0AX-Evil%3A4@h>',
        headers=(("X-Asked", "1|X-Evil: 5"),),
    )
    text = "X-To: $rU\\r\\nX-Name: $fn|X-From: $fU|X-Asked: $H(X-Asked)"
    changes = changes_of(filled({"append_headers": text, "Append_Headers": text, "from": "$f"}, values))
    assert [line.partition(":")[0] for line in changes.append_headers] == ["X-To", "X-Name", "X-From", "X-Asked"]
    assert changes.append_headers[0] == "X-To: b%7CX-Evil:1" and not changes.problem()
