# SPDX-License-Identifier: GPL-2.0-or-later
"""The 2009 presentation's announcement demo in real calls, with the database it names: prompts in order, and where digits lead.

The slide's text is loaded as it stands, `mysql://user:pwd@domain/db` included: MariaDB listens on a loopback address of its own,
at its usual port, and the server is told the address of `domain`. The slide needs no option; `longer` has `start_at_session` all the
same. Each prompt is a tone, so the order of tones is the order of prompts.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator

import pytest

from tests.support import tones
from tests.support.databases import MariaDb
from tests.support.hosts import known_hosts
from tests.support.rtp_peer import Peer, PeerGroup
from tests.support.server import ROOT, Server, wait_until
from tests.support.sipp import Sipp, SippResult, find_sipp

pytestmark = pytest.mark.peers

SLIDE = (ROOT / "tests/vectors/dsm/presentation_2009_mysql.dsm").read_text()
MORE = """
-- what the slide leaves out: the states behind its two keys
state PLAY_MSG enter { playFile(message); };
state MENU enter { playFile(menu.wav); };
transition "back" (PLAY_MSG, MENU) - keyPress(2) -> MENU;
"""
PROMPTS = ("hello", "no_messages", "you_have", "7", "20", "x3", "messages", "message", "menu", "goodbye")
HZ = {name: 400.0 + 150.0 * number for number, name in enumerate(PROMPTS)}
PROMPT_MS = 400
LONG_MS = {"7": 2000}
"""While it is said a key is pressed."""
MESSAGES = {"stefan.slide": 23, "stefan.longer": 23, "maria.mysql_demo": 7}
"""How many each called user has; what follows the dot is the diagram that his calls get."""


@pytest.fixture(scope="module")
def database() -> Iterator[MariaDb]:
    find_sipp()
    ip = f"127.{random.randint(1, 254)}.{random.randint(0, 255)}.{random.randint(2, 254)}"
    with MariaDb(ip, 3306, user="user", password="pwd", database="db") as running:
        assert isinstance(running, MariaDb)
        rows = ",".join(f"('{name}')" for name, count in MESSAGES.items() for _ in range(count))
        running.execute(
            "CREATE TABLE messages (id INT AUTO_INCREMENT PRIMARY KEY, userid VARCHAR(40))",
            f"INSERT INTO messages (userid) VALUES {rows}",
        )
        yield running


@pytest.fixture(scope="module")
def server(database: MariaDb, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    diagrams, bundles = folder / "diagrams", folder / "bundles"
    diagrams.mkdir()
    bundles.mkdir()
    (diagrams / "slide.dsm").write_text(SLIDE)
    (diagrams / "longer.dsm").write_text(SLIDE + MORE)
    (diagrams / "mysql_demo.dsm").write_text((ROOT / "etc/dsm/mysql_demo.dsm").read_text())
    (bundles / "slide.conf").write_text(f"diag_path={diagrams}/\nload_diags=slide\nregister_apps=slide\n")
    (bundles / "edition2009.conf").write_text(
        f"diag_path={diagrams}/\nload_diags=longer\nregister_apps=longer\nstart_at_session=yes\n"
    )
    files = {
        "app_mapping.conf": r"^sip:[^@]*\.([a-z_]+)@=>\1" + "\n",
        "dsm.conf": f"diag_path={diagrams}/\nload_diags=mysql_demo\nregister_apps=mysql_demo\nconf_dir={bundles}/\n"
        f"prompt_path={folder}/etc/\ndb_url={database.url()}\n",
    }
    with Server(folder, files, environment=known_hosts(folder, {"domain": database.ip}), start=False) as running:
        for name in PROMPTS:
            tones.write_wav(running.etc / f"{name}.wav", tones.tone(HZ[name], LONG_MS.get(name, PROMPT_MS)))
        running.start()
        yield running


class Caller:
    """A phone: SIP by sipp, its media here. Hears prompts by their tones."""

    def __init__(self, server: Server, group: PeerGroup, user: str) -> None:
        self.group, self.user, self.server = group, user, server
        self.peer: Peer = group.peer()
        self.result: SippResult | None = None
        sipp = Sipp("called_off", server.sip_port, user=user, media_port_base=self.peer.port)

        def wait() -> None:
            self.result = sipp.wait()

        self.thread = threading.Thread(target=wait, daemon=True)
        self.thread.start()
        while not self.peer.packets and self.thread.is_alive():
            group.run_ms(100)
        self.peer.remote = self.peer.packets[0].source

    @property
    def heard_ms(self) -> int:
        """How much audio has come."""
        return len(self.peer.heard()) // 8

    def prompts(self) -> list[str]:
        """What was heard so far, in order."""
        names = {hz: name for name, hz in HZ.items()}
        return [names[hz] for hz in tones.loudest(self.peer.heard(), list(HZ.values()), 50) if hz]

    def hears(self, *prompts: str) -> None:
        """Listen until the last of these has ended; exactly these must have been heard, in this order."""
        for _ in range(150):
            self.group.run_ms(100)
            if self.prompts()[-1:] == [prompts[-1]] or not self.thread.is_alive():
                break
        self.group.run_ms(LONG_MS.get(prompts[-1], PROMPT_MS) + 200)
        assert self.prompts() == list(prompts)
        self.peer.forget()

    def hung_up(self, id: str) -> None:
        """The call has stayed; an operator ends it."""
        assert self.thread.is_alive()
        self.server.json("core.hangup", id)
        self.ends()

    def ends(self) -> None:
        """The call is over, in order."""
        self.thread.join(60)
        assert self.result is not None and (self.result.successful, self.result.failed) == (1, 0), self.result


def call_of(server: Server, diagram: str) -> str:
    def active() -> list[str]:
        return [id for id in server.xml.listActive() if server.xml.di("monitoring", "getSingle", id, "dsm_diag") == [diagram]]

    (id,) = wait_until(active, f"a call in {diagram}")
    return str(id)


def state_of(server: Server, id: str) -> str:
    return str(server.xml.di("monitoring", "getSingle", id, "dsm_state")[0])


def comes_to(server: Server, id: str, state: str) -> None:
    wait_until(lambda: state_of(server, id) == state, state)


def test_somebody_has_messages(server: Server) -> None:
    """What is heard is the count of the real table; the slide's keys lead to states that the slide does not show: the call stays."""
    with PeerGroup() as group:
        caller = Caller(server, group, "stefan.slide")
        id = call_of(server, "slide")
        caller.hears("hello", "you_have", "20", "x3", "messages")
        for key in (1, 2):
            caller.peer.press(key)
        wait_until(lambda: "PLAY_MSG" in server.log and "MENU" in server.log, "the missing states are told")
        assert state_of(server, id) == "PLAY_MESSAGES"
        group.run_ms(500)
        assert caller.prompts() == []
        caller.hung_up(id)


def test_nobody_has_messages(server: Server) -> None:
    """`no_messages` is written without suffix on the slide. When all is played the server hangs up."""
    with PeerGroup() as group:
        caller = Caller(server, group, "nobody.slide")
        caller.hears("hello", "no_messages")
    caller.ends()


def test_digits_lead_on(server: Server) -> None:
    with PeerGroup() as group:
        caller = Caller(server, group, "stefan.longer")
        id = call_of(server, "longer")
        caller.hears("hello", "you_have", "20", "x3", "messages")
        caller.peer.press(3)
        group.run_ms(300)
        assert (state_of(server, id), caller.prompts()) == ("PLAY_MESSAGES", [])
        caller.peer.press(1)
        caller.hears("message")
        comes_to(server, id, "PLAY_MSG")
        caller.peer.press(2)
        caller.hears("menu")
        comes_to(server, id, "MENU")
        caller.hung_up(id)


def test_our_own_edition_of_it(server: Server) -> None:
    """etc/dsm/mysql_demo.dsm: a count of one word, said again at key 1 while it is still being said, and nothing after it."""
    with PeerGroup() as group:
        caller = Caller(server, group, "maria.mysql_demo")
        while "7" not in caller.prompts() and caller.thread.is_alive():
            group.run_ms(100)
        group.run_ms(LONG_MS["7"] // 2)
        before_ms = caller.heard_ms
        caller.peer.press(1)
        while caller.thread.is_alive():
            group.run_ms(100)
        assert list(dict.fromkeys(caller.prompts())) == ["you_have", "7"]
        assert caller.heard_ms > before_ms + LONG_MS["7"] - 200, "the whole word once more"
    caller.ends()


def test_our_own_edition_without_messages(server: Server) -> None:
    with PeerGroup() as group:
        caller = Caller(server, group, "nobody.mysql_demo")
        caller.hears("no_messages")
    caller.ends()


def test_nothing_went_wrong_in_the_server(server: Server) -> None:
    """Last in this file: what the calls above left in the log."""
    assert "Traceback" not in server.log and "pwd@" not in server.log
    wait_until(lambda: server.xml.calls() == 0, "calls() is 0")
