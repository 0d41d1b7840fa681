# SPDX-License-Identifier: GPL-2.0-or-later
"""Scripts beside an application (cc_dsm): what they see of both legs, what they stop, what they change before the call begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from di.calls.application import Application
from di.calls.call_info import Target
from di.calls.events import Outcome
from di.calls.pair import Pair
from di.calls.session import Session
from di.dsm import PLUGIN as DSM
from di.dsm.hub.legs import LegCallbacks
from di.modules.call_control.options import Options, parse_names
from di.modules.call_control.start import start
from di.modules.cc_call_timer import CallTimer
from di.modules.cc_dsm import PLUGIN
from di.sip import records as sip
from media.control.play_items import PlayFile
from tests.support.playbook import Playbook

SEEN = """
import(mod_sbc);
import(mod_monitoring);
initial state BEGUN enter { monitoring.add(seen, start); if sbc.isALeg { monitoring.set(a_leg, yes) } };
state A;
transition "an invite" BEGUN - invite / { monitoring.add(seen, invite); monitoring.set(tenant, $tenant) } -> A;
transition "a reply" A - sipReply / { monitoring.add(seen, #sip_code) } -> A;
transition "of the other" A - B2B.otherReply / { monitoring.add(seen, #sip_code) } -> A;
transition "refused" A - bLegRefused / { monitoring.add(seen, #sip_reason) } -> A;
transition "a state" A - legStateChange / { sbc.getCallStatus($s); monitoring.add(seen, #SBCCallStatus); monitoring.set(status, $s) } -> A;
transition "key" A - key(#key == 5) / { monitoring.add(seen, five); set(#StopProcessing=true); setTimer(3, 2) } -> A;
transition "timer" A - timer(#id == 3) / { monitoring.add(seen, timer); set($word=hello); B2B.relayEvent(word) } -> A;
transition "from the other" A - B2Bevent / { monitoring.add(seen, #word) } -> A;
transition "stop it" A - event(#what == stop) / { sbc.stopCall(enough) } -> A;
transition "held" A - PutOnHold / { monitoring.add(seen, hold) } -> A;
transition "resumed" A - ResumeHeld / { monitoring.add(seen, resume) } -> A;
transition "sound" A - event(#what == play) / { playFile($sound); connectMedia() } -> A;
transition "silence" A - event(#what == over) / { disconnectMedia() } -> A;
transition "no room" A - event(#what == record) / { recordFile(/tmp/x.wav) } -> A;
transition "thrown" A - exception / { monitoring.add(seen, #type) } -> A;
"""
ROUTE = """
import(mod_sbc);
initial state A enter {
  sbc.profileSet(RURI, sip:bob@there.example);
  sbc.profileSet(append_headers, "P-A: 1");
  if test($no == 1) { sbc.profileSet(refuse_with, "486 Not Now") }
};
"""
HELD = """
import(mod_left);
import(mod_groups);
import(mod_monitoring);
initial state A enter { set($q=@local_tag); append($q, -q); registerEventQueue($q); groups.join(g); groups.getSize($n=g); monitoring.set(size, $n) };
"""
LEFT = """
from di.dsm.language.library import hook
from di.dsm.run.drivers import PAUSE

@hook("on_destroy")
async def left(run):
    await PAUSE
    run.session.hub.monitor("set", run.session.id, "left", run.vars["n"])
    if run.vars["fault"]:
        raise RuntimeError("no way back")
"""


class Connector(Application):
    """Calls somebody; keeps the keys that reach it."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.keys: list[int] = []
        self.timers: list[int] = []
        self.destroyed = False

    def on_invite(self, session: Session) -> Outcome:
        session.dialog.defer_answer()
        session.timers.set(3, 500)
        pair = Pair(session)
        pair.connect([Target("sip:b@there.example")])
        return None

    def on_other_reply(self, reply: object) -> Outcome:
        self.session.dialog.accept()
        return None

    def on_digit(self, event: int, duration_ms: int) -> Outcome:
        self.keys.append(event)
        return None

    def on_timer(self, id: int) -> Outcome:
        self.timers.append(id)
        return None

    def on_destroy(self) -> Outcome:
        self.destroyed = True
        return super().on_destroy()


def hub(folder: Path, **scripts: str) -> Playbook:
    for name, text in scripts.items():
        (folder / f"{name}.dsm").write_text(text)
    book = Playbook(conf_dir=folder).with_monitoring()
    book.services.applications.register("connector", Connector)
    book.load(DSM, f"diag_path={folder}/\nmod_path={folder}\nload_diags={','.join(scripts)}\nload_mods=mod_sbc,mod_monitoring\n")
    book.load(PLUGIN)
    return book


@pytest.fixture
def book(tmp_path: Path) -> Playbook:
    (tmp_path / "x.wav").write_bytes(b"RIFF")
    return hub(tmp_path, seen=SEEN, route=ROUTE)


@pytest.fixture
def holding(tmp_path: Path) -> Playbook:
    (tmp_path / "mod_left.py").write_text(LEFT)
    return hub(tmp_path, held=HELD)


def control(book: Playbook, **values: str) -> None:
    names = parse_names("cc")
    start(
        book.services,
        Options(call_control=names, values={"cc_module": "cc_dsm", **{f"cc_{key}": value for key, value in values.items()}}),
    )


def seen(book: Playbook, session: Session) -> list[str]:
    found = book.invoke("monitoring", "get", session.id)[0].get("seen", [])
    return found if isinstance(found, list) else [found]


def of(book: Playbook, session: Session, name: str) -> object:
    return book.invoke("monitoring", "get", session.id)[0].get(name)


def both(book: Playbook) -> tuple[Session, Session]:
    """A call whose two legs are up and connected."""
    call = book.offer("app-connector", headers=(("X-Tenant", "acme"),))
    first = book.session(call)
    assert first.pair is not None
    (second,) = first.pair.trying
    book.progress(second.call)
    book.confirm(second.call)
    book.confirm(call)
    return first, second


def press(book: Playbook, session: Session, keys: str) -> None:
    book.media.press(session.leg, keys)
    book.run()


def test_both_legs_have_a_script_that_sees_what_happens(book: Playbook) -> None:
    control(book, start_diag="seen", tenant="$H(X-Tenant)")
    first, second = both(book)
    assert isinstance(first.app, LegCallbacks) and isinstance(first.app, Connector), "the application is still what it was"
    assert of(book, first, "a_leg") == "yes" and of(book, second, "a_leg") is None
    assert of(book, first, "tenant") == of(book, second, "tenant") == "acme"
    assert seen(book, second) == ["start", "invite", "180", "Ringing", "200", "Connected"]
    assert seen(book, first)[:2] == ["start", "invite"] and "180" in seen(book, first) and seen(book, first)[-1] == "Connected"
    assert of(book, first, "status") == "Connected" and of(book, first, "dsm_state") == "A"


def test_what_a_script_stops_does_not_reach_the_application_and_timers_are_its_own(book: Playbook) -> None:
    control(book, start_diag="seen")
    first, second = both(book)
    app = first.app
    assert isinstance(app, Connector)
    press(book, first, "4")
    press(book, first, "5")
    book.run(3)
    assert app.keys == [4] and app.timers == [3]
    assert "five" in seen(book, first) and seen(book, first)[-1] == "timer"
    assert seen(book, second)[-1] == "hello"


def test_a_script_ends_both_legs_and_hears_of_holds(book: Playbook) -> None:
    control(book, start_diag="seen")
    first, second = both(book)
    for direction, word in ((False, "hold"), (True, "resume")):
        book.sessions.on_sip_event(sip.RequestReceived(first.call, 7, "INVITE", (), "", b"v=0", False))
        book.run()
        book.negotiate(first.call, send=True, receive=True) if direction else book.negotiate(first.call, send=False, receive=True)
        assert word in (seen(book, first)[-1], "hold" if not direction else "resume")
    first.post_event({"what": "stop"})
    book.run()
    assert len(book.sessions) == 0 and second.gone


def test_a_script_plays_while_the_relay_pauses(book: Playbook, tmp_path: Path) -> None:
    control(book, start_diag="seen", sound=str(tmp_path / "x.wav"))
    first, _ = both(book)
    pair = first.pair
    assert pair is not None and pair.bridged
    first.post_event({"what": "play"})
    book.run()
    assert not pair.bridged and "exception" not in seen(book, first)
    assert book.media.current(first.leg) == PlayFile(str(tmp_path / "x.wav"))
    first.post_event({"what": "over"})
    book.run()
    assert pair.bridged
    first.post_event({"what": "record"})
    book.run()
    assert seen(book, first)[-1] == "core"


def test_the_first_state_routes_the_call_and_may_refuse_it(book: Playbook) -> None:
    control(book, start_diag="route", no="$H(X-No)")
    book.offer("app-connector")
    (dial,) = [command for command in book.sip.commands if isinstance(command, sip.Dial)]
    assert dial.request_uri == "sip:bob@there.example" and "P-A: 1" in dial.headers
    refused = book.offer("app-connector", headers=(("X-No", "1"),))
    assert book.answers(refused) == [486]


async def over(book: Playbook, first: Session) -> None:
    """The call ends; a module may take its time."""
    book.bye(first)
    while book.waiting:
        await book.waiting.pop(0)
        book.run()
    assert not len(book.sessions)


async def test_what_the_modules_of_a_leg_hold_goes_back_at_its_end(holding: Playbook) -> None:
    book = holding
    control(book, start_diag="held", fault="")
    for _ in range(2):  # the second call finds nobody in the group
        first, second = both(book)
        assert (of(book, first, "size"), of(book, second, "size")) == ("1", "2")
        await over(book, first)
        assert (of(book, first, "left"), of(book, second, "left")) == ("1", "2")


async def test_a_module_that_fails_at_the_end_keeps_nothing_else_from_ending(
    holding: Playbook, caplog: pytest.LogCaptureFixture
) -> None:
    book = holding
    control(book, start_diag="held", fault="yes")
    first, second = both(book)
    app = first.app
    assert isinstance(app, Connector) and f"{first.id}-q" in book.services.queues
    await over(book, first)
    assert app.destroyed and f"{first.id}-q" not in book.services.queues
    for leg in (first, second):
        assert [line for line in caplog.messages if leg.id in line and "mod_left" in line and "no way back" in line]


@pytest.mark.parametrize("values", [{"start_diag": "nothing"}, {"start_diag": "seen", "app_bundle": "nothing"}])
def test_what_is_not_loaded_costs_the_call(book: Playbook, values: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    control(book, **values)
    assert book.answers(book.offer("app-connector")) == [500]
    assert "there are" in caplog.text


def test_a_leg_without_a_script_is_none(book: Playbook) -> None:
    first, second = both(book)
    assert not isinstance(first.app, LegCallbacks) and not isinstance(second.app, LegCallbacks)


def test_a_script_adds_a_control_to_its_call_by_di(book: Playbook, tmp_path: Path) -> None:
    """What docs/call-control.md says of scripts, in a call that a diagram runs."""
    control(book, start_diag="seen")
    book.services.control_modules["cc_call_timer"] = CallTimer(-1)
    (tmp_path / "pay.dsm").write_text(
        'initial state A; transition begin A - sessionStart / DI(control, add, @local_tag, "cc_call_timer;timer=4") -> A;'
    )
    assert book.invoke("dsm", "loadDSM", "pay")[0] == 200
    book.invoke("dsm", "registerApplication", "pay")
    session = book.up("app-pay")
    book.run(3.5)
    assert not session.gone
    book.run(1)
    assert session.gone
