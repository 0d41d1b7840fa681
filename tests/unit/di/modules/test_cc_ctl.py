# SPDX-License-Identifier: GPL-2.0-or-later
"""Controls that a header names, and `ctl`: what it makes of a call, whose word counts, what a mistake costs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from di.calls.application import Application
from di.calls.call_changes import NO_CHANGES, NameFilter
from di.calls.control import Grant
from di.calls.control_modules import CONTROL_MAKER
from di.kernel.server_options import CoreOptions
from di.modules.call_control.inline import parse
from di.modules.call_control.options import Options, parse_names
from di.modules.call_control.start import start
from di.modules.cc_call_timer import CallTimer
from di.modules.cc_ctl import PLUGIN
from tests.support.playbook import Playbook


# -------------------------------------------------------------------------------------------------------------- reading
def test_a_text_names_controls_and_their_values() -> None:
    text = 'ctl;RURI=sip:a@b;append_headers="P-A: 1, 2; x|P-B: \\"q\\""; To="<sip:x@y>" , cc_pcalls ; uuid=7,balance'
    assert parse(text) == [
        ("ctl", {"RURI": "sip:a@b", "append_headers": 'P-A: 1, 2; x|P-B: "q"', "To": "<sip:x@y>"}), ("cc_pcalls", {"uuid": "7"}), ("balance", {}),
    ]  # fmt: skip
    assert parse("") == parse(" , ,") == []


@pytest.mark.parametrize("text", ["1x", "a;b", 'a;b="c', "a b", "a;=1", "a;b c=1", "a" * 20_000, "$x"])
def test_a_text_that_names_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse(text)


@given(st.text(max_size=80) | st.text(alphabet='ab;=,"\\ ', max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = parse(text)
    except ValueError:
        return
    assert all(name and name.isascii() for name, _ in found)


@given(
    st.lists(
        st.tuples(st.sampled_from(["ctl", "cc_x"]), st.dictionaries(st.sampled_from(["a", "b-c"]), st.text(max_size=20))),
        max_size=4,
    )
)
def test_what_is_written_with_quotes_is_read_back(controls: list[tuple[str, dict[str, str]]]) -> None:
    def quoted(value: str) -> str:
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'

    text = ",".join(";".join([name, *(f"{key}={quoted(value)}" for key, value in values.items())]) for name, values in controls)
    assert parse(text) == controls


def test_names_of_a_configuration() -> None:
    assert parse_names("a, $H(P-Call-Control),$M($fU=>x,y) ") == ("a", "$H(P-Call-Control)", "$M($fU=>x,y)")
    for wrong in ("a,a", "a_b", "", "H(x)"):
        with pytest.raises(ValueError):
            parse_names(wrong)


# ---------------------------------------------------------------------------------------------------------------- in calls
@pytest.fixture
def book() -> Playbook:
    book = Playbook().with_monitoring()
    book.services.applications.register("plain", Application)
    book.load(PLUGIN)
    book.services.control_modules["cc_call_timer"] = CallTimer(-1)
    start(book.services, Options(call_control=("$H(X-Control)",), values={"short_module": "cc_call_timer", "short_timer": "3"}))
    return book


def changes(book: Playbook, text: str):  # type: ignore[no-untyped-def]
    session = book.up("app-plain", headers=(("X-Control", text),))
    assert session.admission is not None
    return session.admission.take_changes()


def test_a_trusted_peers_header_changes_the_call(book: Playbook) -> None:
    found = changes(book, 'ctl;RURI=sip:bob@there;headerfilter=whitelist;header_list="P-A|P-B",ctl;append_headers="P-C: 1"')
    assert (found.request_uri, found.append_headers) == ("sip:bob@there", ("P-C: 1",))
    assert found.header_filter == NameFilter("whitelist", ("p-a", "p-b"))


def test_a_header_may_name_controls_of_the_configuration_and_their_time_counts(book: Playbook) -> None:
    book.up("app-plain", headers=(("X-Control", "short"),))
    book.up("app-plain", headers=(("X-Control", "ctl;next_hop=10.0.0.1, cc_call_timer;timer=8"),))
    book.up("app-plain")
    book.run(2.9)
    assert len(book.sessions) == 3
    book.run(1)
    assert len(book.sessions) == 2
    book.run(5)
    assert len(book.sessions) == 1


def test_a_patterns_text_in_a_value_is_no_pattern(book: Playbook) -> None:
    """Values from a header stand as they are: who writes one does not read other headers by it."""
    assert changes(book, 'ctl;append_headers="P-X: $H(X-Control)"').append_headers == ("P-X: $H(X-Control)",)


def test_a_strangers_header_does_not_count(caplog: pytest.LogCaptureFixture) -> None:
    book = Playbook(CoreOptions(trusted_peers=()))
    book.services.applications.register("plain", Application)
    book.load(PLUGIN)
    start(book.services, Options(call_control=("$H(X-Control)",), values={}))
    assert changes(book, "ctl;RURI=sip:bob@there") == NO_CHANGES
    assert "none of trusted_peers" in caplog.text


@pytest.mark.parametrize(
    "text", ["ctl;RURI=bob", "nothing;a=b", "ctl;sst_enabled=perhaps", 'ctl;To="', "ctl;append_headers=Via: x"]
)
def test_a_mistake_costs_the_call(book: Playbook, text: str) -> None:
    assert book.answers(book.offer("app-plain", headers=(("X-Control", text),))) == [500]


# ----------------------------------------------------------------------------------------------------------- from outside
def test_controls_are_added_to_a_call_that_is_up(book: Playbook) -> None:
    session = book.up("app-plain")
    book.run(100)
    assert book.invoke("control", "add", session.id, "cc_call_timer;timer=5") == [202, "Accepted"]
    book.run(4.5)
    (listed,) = book.invoke("control", "list")
    assert 0 < listed["left_s"] <= 0.6 and len(book.sessions) == 1
    book.run(1)
    assert len(book.sessions) == 0
    assert book.invoke("control", "add", session.id, "short") == [404, "call does not exist"]
    assert book.invoke("control", "add", "x", "")[0] == book.invoke("control", "add", "x", "cc_no;a=b")[0] == 400


def test_one_that_refuses_ends_the_call_it_is_added_to(book: Playbook) -> None:
    session = book.up("app-plain")
    assert book.invoke("control", "add", session.id, "cc_call_timer;timer=0") == [202, "Accepted"]
    assert len(book.sessions) == 0


def test_an_added_control_is_told_of_its_own_time(book: Playbook) -> None:
    told: list[float] = []

    class Meter:
        mandatory = ()

        def authorize(self, ask: object) -> Grant:
            return Grant()

        def answered(self, ask: object) -> None:
            told.append(-1)

        def renew(self, ask: object, used_s: float) -> Grant:
            return Grant()

        def ended(self, ask: object, end: object, used_s: float) -> None:
            told.append(used_s)

    book.services.control_modules["meter"] = Meter()  # type: ignore[assignment]
    session = book.up("app-plain")
    book.run(60)
    maker = book.services.capabilities.find(CONTROL_MAKER)
    assert maker is not None and session.admission is not None
    session.admission.add([maker.make("m", {"module": "meter"})])
    book.run(7)
    book.bye(session)
    assert told[0] == -1 and told[1] == pytest.approx(7, abs=0.1)


def test_the_store_says_who_pays_and_why_a_call_was_cut(book: Playbook) -> None:
    session = book.up("app-plain", headers=(("X-Control", "short"),))
    found = book.invoke("monitoring", "get", session.id)[0]
    assert found["granted_s"] == 3.0 and found["account"] == ""
    book.run(4)
    assert book.invoke("monitoring", "get", session.id)[0]["limit_cause"] == "short: 402 Payment Required"


def test_the_store_says_why_a_call_was_refused(book: Playbook) -> None:
    told: list[dict[str, object]] = []
    book.sessions.end_lines.listeners.append(lambda over: told.append(dict(over.session.attributes)))
    book.offer("app-plain", headers=(("X-Control", "cc_call_timer;timer=0"),))
    assert told[0]["limit_cause"] == "cc_call_timer: 503 Service Unavailable"
