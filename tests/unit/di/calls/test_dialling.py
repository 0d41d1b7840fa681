# SPDX-License-Identifier: GPL-2.0-or-later
"""Which family of addresses the audio of a dialled call gets; on whose behalf calls and their second legs are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from di.calls.application import Application
from di.calls.call_info import Target
from di.calls.dialling import over_ipv6
from di.calls.pair import Pair
from di.kernel.errors import CallFailed
from di.kernel.registry import INTERNAL, Caller
from di.kernel.server_options import CallerLimit, CoreOptions
from di.sip import records as sip
from tests.support.playbook import Playbook


@pytest.mark.parametrize(
    ("host", "media_ips", "expected"),
    [
        ("[::1]", ("127.0.0.1", "::1"), True),
        ("[::1]", ("127.0.0.1", ""), False),
        ("10.0.0.1", ("::1", "127.0.0.1"), False),
        ("10.0.0.1", ("::1", ""), True),
        ("phone.example", ("::1", "127.0.0.1"), True),
        ("phone.example", ("127.0.0.1", "::1"), False),
        ("phone.example", ("", ""), False),
    ],
)
def test_the_family_of_a_dialled_calls_audio(host: str, media_ips: tuple[str, ...], expected: bool) -> None:
    assert over_ipv6(host, media_ips) is expected


def test_second_legs_are_on_behalf_of_whom_their_first_leg_is(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    book = Playbook(replace(CoreOptions(), dialout_each_caller=CallerLimit(calls=2)))
    book.services.applications.register("plain", Application)

    def dialout(caller: Caller) -> str:
        arguments = ["plain", "u", "sip:a@there.example", "sip:me@here.example"]
        return str(book.services.registry.invoke("core", "dialout", arguments, caller))

    desk = Caller("desk", "xmlrpc2di", "127.0.0.1")
    first = book.sessions.find(dialout(desk))
    assert first is not None and first.on_behalf == "desk"
    book.run()
    book.confirm(first.call)
    pair = Pair(first)
    pair.connect([Target("sip:b@there.example"), Target("sip:c@there.example")])
    book.run()
    assert [session.on_behalf for session in pair.trying] == ["desk"], "the third call of two is refused"
    assert "way=pair caller=desk" in caplog.text and "caller desk may have 2 calls out at once" in caplog.text
    with pytest.raises(CallFailed):
        dialout(desk)
    inside = book.sessions.find(dialout(INTERNAL))
    assert inside is not None and inside.on_behalf == ""
    assert book.invoke("core", "dialout_status")["of_callers"] == {"desk": 2}
    book.bye(first)
    assert book.invoke("core", "dialout_status") == {"calls": 1, "of_callers": {}, "placed": 3, "refused": {"calls": 2}}


def test_whether_one_could_dial_is_asked_without_dialling() -> None:
    book = Playbook(replace(CoreOptions(), dialout_deny=("^900",)))
    assert book.invoke("core", "dialout_check", "sip:100@h") == {"allowed": True, "cause": "", "why": ""}
    denied = book.invoke("core", "dialout_check", "sip:9-0-0@h;user=phone")
    assert (denied["allowed"], denied["cause"]) == (False, "destination")
    assert book.invoke("core", "dialout_check", "nonsense")["cause"] == "malformed"
    assert not book.invoke("core", "dialout_status")["refused"] and not [c for c in book.sip.commands if isinstance(c, sip.Dial)]


def test_what_is_refused_before_it_is_a_call_is_counted_too(caplog: pytest.LogCaptureFixture) -> None:
    book = Playbook()
    with pytest.raises(CallFailed):
        book.invoke("core", "dialout", "x", "u", "sip:a@h?Route=%3Csip:evil%3E", "sip:me@h")
    book.invoke("core", "set_shutdownmode", True)
    with pytest.raises(CallFailed):
        book.invoke("core", "dialout", "x", "u", "sip:a@h", "sip:me@h")
    assert book.invoke("core", "dialout_status")["refused"] == {"malformed": 1, "gate": 1}
    assert caplog.text.count("audit dialout") == 2
