# SPDX-License-Identifier: GPL-2.0-or-later
"""A call whose diagram subscribes at a real notifier (sipp): every event, its parameters, its body; refreshed, ended, refused."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.server import Server, wait_until
from tests.support.sipp import Sipp, SippResult, find_sipp

pytestmark = pytest.mark.peers

PARAMETERS = "#(status) #(code) #(reason) #(has_body)"
SCRIPT = f"""
import(mod_subscription); import(mod_monitoring); import(mod_xml);
initial state A;
state DONE;
transition "go" A - sessionStart / {{
 set($s.user=300); sets($s.domain="127.0.0.1:@(user)"); set($s.from_user=200); set($s.pwd=secret); set($s.event=reg); set($s.id=7);
 set($s.accept=application/reginfo+xml); set($s.expires=600);
 subscription.create(s);
 monitoring.log(handle, $s.handle); monitoring.log(errno, $errno);
}} -> A;
transition "body" A - subscription(#has_body == true) / {{
 sets($line={PARAMETERS}); monitoring.logAdd(news, $line); monitoring.log(expires, #expires); monitoring.log(handle_of_event, #handle);
 xml.parseSIPMsgBody(SipSubscriptionBody, doc); xml.evalXPath("//contact[@state='active']", doc);
 xml.XPathResultCount($n=doc.xpath); monitoring.log(contacts, $n);
}} -> A;
transition "over" A - subscription(#status == terminated) / {{
 sets($line={PARAMETERS} #(retry_after)); monitoring.logAdd(news, $line);
 xml.parseSIPMsgBody(SipSubscriptionBody, doc); monitoring.log(no_body, $errno);
 subscription.refresh($s.handle); monitoring.log(late, $errno);
}} -> DONE;
transition "failed" A - subscription(#status == failed) / {{ sets($line={PARAMETERS}); monitoring.logAdd(news, $line); }} -> DONE;
transition "news" A - subscription / {{ sets($line={PARAMETERS}); monitoring.logAdd(news, $line); }} -> A;
transition "end it" A - event(#do == remove) / {{ subscription.remove($s.handle); }} -> A;
transition "refresh" A - event(#do == refresh) / {{ subscription.refresh($s.handle, 90); monitoring.log(refreshed, $errno); }} -> A;
transition "gone" (A, DONE) - hangup / stop(false) -> DONE;
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The called user is the port at which the notifier is."""
    find_sipp()
    files = {
        "app_mapping.conf": "^sip:=>sub\n",
        "dsm.conf": "diag_path=dsm/\nload_diags=sub\nregister_apps=sub\n",
        "dsm/sub.dsm": SCRIPT,
    }
    with Server(tmp_path_factory.mktemp("server"), files, plugins="monitoring;dsm;xmlrpc2di;web") as running:
        yield running


@contextmanager
def call(server: Server, notifier: Sipp) -> Iterator[str]:
    """A call that stays until it is hung up, which happens at the end at last; its id."""
    user = str(notifier.local_port)
    with Sipp("called_off", server.sip_port, user=user) as caller:

        def up() -> list[str]:
            return [id for id in server.xml.listActive() if f"sip:{user}@" in str(record(server, id).get("ruri", ""))]

        (id,) = wait_until(up, "the call is there")
        wait_until(lambda: caller.answered == 1, "it is up: who is hung up on before that gets a final reply and no BYE")
        yield str(id)
        if id in server.xml.listActive():
            server.json("core.hangup", id)
        assert caller.wait().successful == 1


def record(server: Server, id: str) -> dict[str, object]:
    found: dict[str, object] = server.xml.di("monitoring", "get", id)[0]
    return found


def test_subscription_in_a_call(server: Server) -> None:
    results: list[SippResult] = []
    with Sipp("notifier", replace={"EXPIRES": "6"}) as notifier, call(server, notifier) as id:
        waiting = threading.Thread(target=lambda: results.append(notifier.wait()), daemon=True)
        waiting.start()
        wait_until(lambda: len(record(server, id).get("news", [])) == 3, "pending, active, active after the refresh")  # type: ignore[arg-type]
        assert server.xml.postDSMEvent(id, [["do", "remove"]]) == [200, "OK"]
        wait_until(lambda: record(server, id)["dsm_state"] == "DONE", "it is over")
        waiting.join(60)
        found = record(server, id)
    assert found["news"] == ["pending 0  false", "active 0  true", "active 0  false", "terminated 0 noresource false 30"]
    assert found["handle"] and found["handle"] == found["handle_of_event"]
    assert (found["errno"], found["contacts"], found["no_body"], found["late"]) == ("", "2", "arg", "general")
    assert 0 < int(str(found["expires"])) <= 6
    (result,) = results
    assert (result.successful, result.failed) == (1, 0), result.errors
    first, refresh, last = (line for line in result.log.splitlines() if line)
    assert first == "SUBSCRIBE auth=[$valid] event= reg;id=7 accept= application/reginfo+xml expires= 600".replace(
        "[$valid]", "true"
    )
    assert refresh.startswith("REFRESH SUBSCRIBE sip:notifier@127.0.0.1:") and refresh.endswith("expires= 600")
    assert last == "LAST expires= 0"


@pytest.mark.parametrize(("code", "why"), [("404", "No"), ("489", "No"), ("401", "No"), ("423", "No")])
def test_subscription_refused(server: Server, code: str, why: str) -> None:
    with Sipp("notifier_refuses", replace={"CODE": code}) as notifier, call(server, notifier) as id:
        wait_until(lambda: record(server, id)["dsm_state"] == "DONE", "it is over")
        assert record(server, id)["news"] == [f"failed {code} {why} false"]


def test_call_takes_its_subscription_with_it(server: Server) -> None:
    results: list[SippResult] = []
    with Sipp("notifier", replace={"EXPIRES": "6"}) as notifier, call(server, notifier) as id:
        waiting = threading.Thread(target=lambda: results.append(notifier.wait()), daemon=True)
        waiting.start()
        wait_until(lambda: len(record(server, id).get("news", [])) == 3, "active after the refresh")  # type: ignore[arg-type]
        assert server.xml.di("core", "hangup", id)
        waiting.join(60)
    assert [(result.successful, result.failed) for result in results] == [(1, 0)], results[0].errors
    assert results[0].log.splitlines()[-1] == "LAST expires= 0"
