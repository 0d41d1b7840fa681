# SPDX-License-Identifier: GPL-2.0-or-later
"""announcement, early_announce, announce_transfer and ann_b2b in real calls: which audio, by tones; SIP as a phone sees it.

One server has them all: announcement plays files, early_announce asks a real MariaDB by SEMS's keys, ann_b2b a SQLite file.
"""

from __future__ import annotations

import re
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack
from io import BytesIO

import numpy as np
import pytest
import soundfile

from di.apps.announcing.database import SCHEMA
from tests.support import tones
from tests.support.databases import MariaDb
from tests.support.kamailio import Kamailio
from tests.support.phone import Phone
from tests.support.rtp_peer import PeerGroup
from tests.support.server import ROOT, Server, wait_until
from tests.support.stalls import calm

pytestmark = pytest.mark.peers

PLUGINS = "monitoring;announcement;early_announce;announce_transfer;ann_b2b;xmlrpc2di;web"
MAPPING = "^sip:(early|onward)=>early_announce\n^sip:transfer=>announce_transfer\n^sip:b2b=>ann_b2b\n^sip:=>announcement\n"
FILES_HZ = {
    "tones/gone.wav": 500, "tones/127.0.0.1/gone.wav": 600, "tones/de/gone.wav": 700, "tones/shop.example/gone.wav": 800,
    "tones/shop.example/de/gone.wav": 900, "tones/default.wav": 1000, "tones/de/default.wav": 1100, "tones/music.mp3": 1200,
    "tones/17.wav": 1300,
}  # fmt: skip
ROWS_HZ = {
    ("default_audio", "en"): 1400, ("default_audio", "de"): 1500, ("domain_audio", "shop.example", "de"): 1600,
    ("domain_audio", "shop.example", "en"): 1700, ("user_audio", "shop.example", "anna"): 1800,
}  # fmt: skip
ALL_HZ = sorted(float(hz) for hz in {*FILES_HZ.values(), *ROWS_HZ.values()})
CALLEE_HZ, CALLER_HZ = 2000.0, 2200.0
LENGTH_MS = 400
TIMEOUT_S = 5
"""A caller must have rung and given up within it, on a busy machine, too."""


def audio(hz: int, form: str = "WAV") -> bytes:
    out = BytesIO()
    out.name = f"x.{form.lower()}"
    soundfile.write(out, tones.tone(hz, LENGTH_MS), 8000, format=form)
    return out.getvalue()


def fill(database: MariaDb) -> None:
    """SEMS's tables, with SEMS's types."""
    common = (
        "id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, application VARCHAR(32), message VARCHAR(32), audio MEDIUMBLOB, "
    )
    database.execute(
        f"CREATE TABLE default_audio ({common} language CHAR(2)) DEFAULT CHARSET=latin1",
        f"CREATE TABLE domain_audio ({common} domain VARCHAR(128), language CHAR(2)) DEFAULT CHARSET=latin1",
        f"CREATE TABLE user_audio ({common} domain VARCHAR(128), userid VARCHAR(64)) DEFAULT CHARSET=latin1",
        *(
            f"INSERT INTO {table} (application, message, audio, {columns[table]}) "
            f"VALUES ('early_announce', 'greeting_msg', X'{audio(hz).hex()}', {', '.join(repr(value) for value in values)})"
            for (table, *values), hz in ROWS_HZ.items()
        ),
    )

    database.execute(
        "CREATE DATABASE own", "USE own", *filter(str.strip, SCHEMA.split(";"))
    )  # the tables that SQLite has are MariaDB's, too


columns = {"default_audio": "language", "domain_audio": "domain, language", "user_audio": "domain, userid"}


@pytest.fixture(scope="module")
def database() -> Iterator[MariaDb]:
    with MariaDb() as running:
        fill(running)
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, database: MariaDb) -> Iterator[Server]:
    files = {
        "app_mapping.conf": MAPPING,
        "announcement.conf": "announce_path=tones/\n",
        "early_announce.conf": (
            f'use_mysql=yes\nmysql_server=127.0.0.1:{database.port}\nmysql_user={database.user}\nmysql_passwd="{database.password}"\n'
            f"mysql_db={database.database}\nannounce_path=tones/\ndefault_announce=none.wav\ncontinue_b2b=app-param\n"
            f"database_cache_time=0\ndatabase_timeout={TIMEOUT_S}\n"
        ),
        "announce_transfer.conf": "announce_path=tones/\n",
        "ann_b2b.conf": "database=sqlite:audio.db\nannounce_path=tones/\n",
    }
    running = Server(tmp_path_factory.mktemp("server"), files, plugins=PLUGINS, start=False, spoken=True)
    for name, hz in FILES_HZ.items():
        path = running.etc / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(audio(hz, path.suffix[1:].upper()))
    with running:
        running.start()
        yield running


@pytest.fixture
def group() -> Iterator[PeerGroup]:
    with PeerGroup() as peers:
        yield peers


def heard_hz(phone: Phone, group: PeerGroup, *more_hz: float) -> set[float]:
    """What a phone hears from its first note to the end of the audio."""
    all_heard([phone], group, *more_hz)
    return notes(phone, *more_hz)


def notes(phone: Phone, *more_hz: float) -> set[float]:
    return tones.heard(phone.peer.heard(), [*ALL_HZ, *more_hz], threshold=2000.0)


def all_heard(phones: list[Phone], group: PeerGroup, *more_hz: float) -> None:
    """Let all talk until each has heard something, then for as long as the audio lasts."""
    for _ in range(150):
        group.run_ms(100)
        if all(notes(phone, *more_hz) for phone in phones):
            break
    group.run_ms(LENGTH_MS)


# --------------------------------------------------------------------------------------------------------------- announcement
FILE_CASES = (
    ("gone", "", "tones/127.0.0.1/gone.wav"),
    ("gone", "dom=shop.example", "tones/shop.example/gone.wav"),
    ("gone", "dom=shop.example;lng=de;", "tones/shop.example/de/gone.wav"),
    ("gone", "dom=other.example;lng=de-AT", "tones/de/gone.wav"),
    ("gone", "dom=other.example", "tones/gone.wav"),
    ("x", "usr=gone;dom=other.example;uid=17;lng=", "tones/17.wav"),
    ("nobody", "lng=de", "tones/de/default.wav"),
    ("nobody", "lng=../de", "tones/default.wav"),
    ("music", "", "tones/music.mp3"),
)


def test_the_audio_of_a_user_a_domain_a_language(server: Server, group: PeerGroup) -> None:
    """All at once, each in a call of its own; then BYE."""
    with ExitStack() as calls:
        phones = [calls.enter_context(Phone(server.sip_port, group.peer())) for _ in FILE_CASES]
        for phone, (user, params, _) in zip(phones, FILE_CASES, strict=True):
            phone.headers = (f"P-App-Param: {params}",) if params else ()
            assert phone.call(user).code == 200
        all_heard(phones, group)
        for phone, (user, params, file) in zip(phones, FILE_CASES, strict=True):
            assert notes(phone) == {float(FILES_HZ[file])}, (user, params)
            phone.hung_up()


def test_a_caller_hears_words(tmp_path_factory: pytest.TempPathFactory, server: Server, group: PeerGroup) -> None:
    """The prompt that set-up has spoken: the very samples, at the level of speech."""
    (server.etc / "tones" / "said.wav").write_bytes((ROOT / "etc/prompts/8000/de/wrong_pin_bye.wav").read_bytes())
    said, rate_hz = soundfile.read(server.etc / "tones" / "said.wav", dtype="int16")
    assert rate_hz == 8000
    with Phone(server.sip_port, group.peer()) as phone:
        assert phone.call("said").code == 200
        for _ in range(100):
            group.run_ms(200)
            if len(phone.peer.heard()) >= min(10_400, len(said)):
                break
        heard = phone.peer.heard().astype(np.float64)
        part = said[1600:9600].astype(np.float64)
        places = np.correlate(heard, part, "valid") / (np.linalg.norm(part) * np.linalg.norm(heard[: len(part)]) + 1)
        best = int(np.argmax(places))
        found = heard[best : best + len(part)]
        assert np.corrcoef(found, part)[0, 1] > 0.99, "G.711 costs no more"
        phone.bye()


# ------------------------------------------------------------------------------------------------------------- early_announce
ROW_CASES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("", ("default_audio", "en")),
    ("Language=de", ("default_audio", "de")),
    ("lng=de-AT;dom=shop.example", ("domain_audio", "shop.example", "de")),
    ("lng=fr;dom=Shop.Example", ("domain_audio", "shop.example", "en")),
    ("usr=anna;dom=shop.example", ("user_audio", "shop.example", "anna")),
    ("usr=an'na;dom=shop.example' OR 1=1 -- ", ("default_audio", "en")),
)


def test_before_the_answer_from_a_database(server: Server, group: PeerGroup) -> None:
    """183, the row's audio, then the final reply that the proxy has named. The callers send RTP, as phones do."""
    with ExitStack() as calls:
        phones = [calls.enter_context(Phone(server.sip_port, group.peer(CALLER_HZ))) for _ in ROW_CASES]
        for phone, (params, _) in zip(phones, ROW_CASES, strict=True):
            phone.headers = (f'P-App-Param: Final-Reply-Code=480;Final-Reply-Reason="Not at home";{params}',)
            phone.ring("early")
            phone.progress(183)
        all_heard(phones, group)
        for phone, (params, row) in zip(phones, ROW_CASES, strict=True):
            assert notes(phone) == {float(ROWS_HZ[row])}, params  # type: ignore[index]
            final = phone.wait(lambda m: m.code >= 300)
            assert (final.code, final.reason) == (480, "Not at home")


def test_a_caller_who_sends_nothing_but_prack_hears_it_all(server: Server, group: PeerGroup) -> None:
    """What is played between the fifth packet and the PRACK is lost to him: a machine that stands still makes that more."""

    def measure() -> None:
        with Phone(server.sip_port, group.peer()) as phone:
            phone.headers = ("Supported: 100rel",)
            phone.ring("early")
            provisional = phone.progress(183)
            assert phone.acknowledge(provisional).code == 200
            assert phone.answered() == 404
            group.run_ms(20)  # what has come is read
            assert len(phone.peer.packets) >= LENGTH_MS // 20 - 1

    calm(measure)


def test_a_caller_who_gives_up(server: Server, group: PeerGroup) -> None:
    with Phone(server.sip_port, group.peer(CALLER_HZ)) as phone:
        phone.ring("early")
        phone.progress(183)
        group.run_ms(200)
        phone.cancel()
        assert phone.answered() == 487
        wait_until(lambda: server.xml.calls() == 0, "the call's end")


def test_what_is_no_audio_is_one_line_and_404(server: Server, group: PeerGroup, database: MariaDb) -> None:
    database.execute(
        "INSERT INTO user_audio (application, message, audio, domain, userid) VALUES ('early_announce', 'greeting_msg', 'MZ', 'a.b', 'exe')"
    )
    with Phone(server.sip_port, group.peer(CALLER_HZ)) as phone:
        phone.headers = ("P-App-Param: usr=exe;dom=a.b",)
        assert phone.call("early").code == 404
    assert "user 'exe', domain 'a.b', languages en cannot be played: 2 bytes that are no WAV" in server.log


def test_the_call_goes_on_to_whom_it_was_for(server: Server, group: PeerGroup) -> None:
    """Its answer is the callee's, and the two hear each other."""
    caller_peer, callee_peer = group.peer(CALLER_HZ), group.peer(CALLEE_HZ)
    with Phone(server.sip_port, caller_peer) as caller, Phone(server.sip_port, callee_peer) as callee:
        lead_to(server, "early_announce", hop_of(callee))
        caller.headers = ("P-App-Param: B2B=yes",)
        caller.ring("onward")
        caller.progress(183)
        assert heard_hz(caller, group) == {float(ROWS_HZ["default_audio", "en"])}
        callee.called()
        assert caller.answered() == 200
        hear_each_other(group, caller, callee)
        caller.bye()
        callee.hung_up()


# ---------------------------------------------------------------------------------------------------------- announce_transfer
def test_transfer(server: Server, group: PeerGroup) -> None:
    with Phone(server.sip_port, group.peer(CALLER_HZ)) as phone:
        phone.headers = ("P-Refer-To: <sip:ben@there.example;transport=tcp>", "P-App-Name: ignored")
        assert phone.call("transfer").code == 200
        assert heard_hz(phone, group) == {1000.0}
        refer = phone.wait(lambda m: m.method == "REFER")
        assert refer.header("Refer-To") == "<sip:ben@there.example;transport=tcp>"
        phone.respond(refer, 202, "Accepted")
        lines = ("Event: refer", "Subscription-State: active")
        assert phone.request("NOTIFY", lines, "message/sipfrag", "SIP/2.0 100 Trying\r\n").code == 200
        assert phone.request("NOTIFY", ("Event: dialog", lines[1]), "message/sipfrag", "SIP/2.0 200 OK\r\n").code == 481
        assert phone.request("NOTIFY", lines, "text/plain", "SIP/2.0 200 OK\r\n").code == 415
        assert phone.request("NOTIFY", lines, "message/sipfrag", "SIP/").code == 400
        assert phone.request("NOTIFY", lines, "message/sipfrag;version=2.0", "SIP/2.0 200 OK\r\n").code == 200
        phone.hung_up()


def test_a_transfer_that_is_refused(server: Server, group: PeerGroup) -> None:
    with Phone(server.sip_port, group.peer(CALLER_HZ)) as phone:
        assert phone.call("transfer").code == 200
        group.run_ms(LENGTH_MS + 200)
        phone.respond(phone.wait(lambda m: m.method == "REFER"), 603, "Decline")
        phone.hung_up()
    assert "the caller refuses REFER to sip:transfer@127.0.0.1" in server.log


# -------------------------------------------------------------------------------------------------------------------- ann_b2b
def lead_to(server: Server, application: str, hop: str) -> None:
    """Let an application's calls go on by way of `hop`."""
    path = server.etc / f"{application}.conf"
    lines = [line for line in path.read_text().splitlines() if not line.startswith("next_hop")]
    path.write_text("\n".join([*lines, f'next_hop="{hop}"', ""]))
    before = server.log.count("reloaded: ")
    server.process.send_signal(signal.SIGHUP)  # type: ignore[union-attr]
    wait_until(lambda: server.log.count("reloaded: ") > before, "the configuration to be read anew")


def hop_of(phone: Phone) -> str:
    return f"sip:127.0.0.1:{phone.uri.rpartition(':')[2]};lr"


def hear_each_other(group: PeerGroup, caller: Phone, callee: Phone) -> None:
    group.hear({caller.peer: {CALLEE_HZ}, callee.peer: {CALLER_HZ}}, [CALLER_HZ, CALLEE_HZ, *ALL_HZ])


def test_announced_then_connected(server: Server, group: PeerGroup) -> None:
    """The audio comes out of the SQLite file that the server has made itself."""
    with sqlite3.connect(server.etc / "audio.db") as connection:
        row = ("ann_b2b", "greeting_msg", "en", audio(1900, "FLAC"))
        connection.execute("INSERT OR REPLACE INTO default_audio VALUES (?, ?, ?, ?)", row)
    caller_peer, callee_peer = group.peer(CALLER_HZ), group.peer(CALLEE_HZ)
    with Phone(server.sip_port, caller_peer) as caller, Phone(server.sip_port, callee_peer) as callee:
        lead_to(server, "ann_b2b", hop_of(callee))
        caller.headers = ("Subject: hello", "P-App-Param: lng=en")
        assert caller.call("b2b").code == 200
        assert heard_hz(caller, group, 1900.0) == {1900.0}
        callee.called()
        hear_each_other(group, caller, callee)
        callee.bye()
        caller.hung_up()


def test_a_callee_who_is_busy(server: Server, group: PeerGroup) -> None:
    with Phone(server.sip_port, group.peer(CALLER_HZ)) as caller, Phone(server.sip_port, group.peer()) as callee:
        lead_to(server, "ann_b2b", hop_of(callee))
        assert caller.call("b2b").code == 200
        group.run_ms(LENGTH_MS + 200)
        invite = callee.wait(lambda m: m.method == "INVITE")
        assert invite.request_uri.startswith("sip:b2b@127.0.0.1") and "X-Announced" in dict(invite.headers)
        callee.respond(invite, 486, "Busy Here")
        caller.hung_up()


def test_a_call_that_would_call_us_again(server: Server, group: PeerGroup) -> None:
    with Phone(server.sip_port, group.peer()) as phone:
        phone.headers = (f"X-Announced: sip:b2b@127.0.0.1:{server.sip_port}",)
        assert phone.call("b2b").code == 482


# ---------------------------------------------------------------------------------- the routes of the pages, in a real Kamailio
def route_of(page: str, **instead: str) -> str:
    """The first route of a page in docs/, for this test's ports."""
    blocks = re.findall(r"```\n(.*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL)
    text = next(block for block in blocks if "append_hf" in block)
    text = re.sub(r"^request_route {\n    …\n(.*)^}\n", r"\1", text, flags=re.DOTALL | re.MULTILINE)
    for old, new in {"route(RELAY)": "t_relay()", **instead}.items():
        assert old in text, f"docs/{page} has no {old}"
        text = text.replace(old, new)
    return text


def test_the_routes_of_the_pages(server: Server, group: PeerGroup) -> None:
    """For users whom nobody knows: the audio through the proxy, in the proxy's language, and what is to follow it."""
    media = {"127.0.0.1:5080": f"127.0.0.1:{server.sip_port}"}
    pages = {"unknown": "announcement.md", "early": "early_announce.md", "transfer": "announce_transfer.md"}
    routes = "\n".join(
        f'if (is_method("INVITE") && $rU == "{user}") {{\n{route_of(page, **media)}\nexit;\n}}' for user, page in pages.items()
    )
    with Kamailio({"nobody": "secret"}, routes=routes) as proxy:
        with Phone(proxy.port, group.peer(CALLER_HZ)) as phone:
            phone.ring("early")
            phone.progress(183)
            assert heard_hz(phone, group) == {float(ROWS_HZ["default_audio", "de"])}
            assert (phone.answered(), phone.reason) == (404, "Not Found")
        with Phone(proxy.port, group.peer(CALLER_HZ)) as phone:
            phone.ring("unknown")
            phone.server_port = server.sip_port  # the proxy stays out of the dialog
            assert phone.answered() == 200
            assert heard_hz(phone, group) == {float(FILES_HZ["tones/de/default.wav"])}
            phone.hung_up()
        with Phone(proxy.port, group.peer(CALLER_HZ)) as phone:
            phone.ring("transfer")
            phone.server_port = server.sip_port
            assert phone.answered() == 200
            group.run_ms(LENGTH_MS + 200)
            refer = phone.wait(lambda m: m.method == "REFER")
            assert refer.header("Refer-To") == "<sip:hotline@127.0.0.1>"
            phone.respond(refer, 603, "Decline")
            phone.hung_up()


def test_the_route_of_ann_b2b(server: Server, group: PeerGroup) -> None:
    """From outside to the announcement, from there through the same proxy to whom it was for."""
    caller_peer, callee_peer = group.peer(CALLER_HZ), group.peer(CALLEE_HZ)
    with Phone(server.sip_port, callee_peer) as callee:
        found = f'$du = "{callee.uri.replace("phone@", "")}";'
        text = route_of("ann_b2b.md", **{"5080": str(server.sip_port), 'lookup("location");': found})
        with Kamailio({"nobody": "secret"}, routes=text) as proxy, Phone(proxy.port, caller_peer) as caller:
            lead_to(server, "ann_b2b", f"sip:127.0.0.1:{proxy.port};lr")
            caller.ring("b2b")
            caller.server_port = server.sip_port  # the proxy stays out of the dialog
            assert caller.answered() == 200
            group.run_ms(LENGTH_MS + 200)
            callee.server_port = proxy.port
            callee.called()
            callee.server_port = server.sip_port
            hear_each_other(group, caller, callee)
            caller.bye()
            callee.hung_up()


# ------------------------------------------------------------------------------------------------- the database goes: the last
def test_zz_a_database_that_dies(server: Server, group: PeerGroup, database: MariaDb) -> None:
    """What it has said before is played on; who was never asked for gets 500. One line each says why."""
    with Phone(server.sip_port, group.peer(CALLER_HZ)) as phone:
        phone.ring("early")
        phone.progress(183)
        group.run_ms(LENGTH_MS + 200)
        assert phone.answered() == 404
    database.kill()
    try:
        with Phone(server.sip_port, group.peer(CALLER_HZ)) as phone:
            phone.ring("early")
            phone.progress(183)
            assert heard_hz(phone, group) == {float(ROWS_HZ["default_audio", "en"])}
            assert phone.answered() == 404
        assert server.log.count("what it said before is played: database") == 1
        with Phone(server.sip_port, group.peer(CALLER_HZ)) as phone:
            phone.headers = ("P-App-Param: usr=new;dom=new.example",)
            assert phone.call("early").code == 500
        assert server.log.count("early_announce: no audio, for the database cannot be asked") == 1
    finally:
        database.start()  # the next test needs it, too
    wait_until(lambda: answered_from_the_database(server), "the database to be asked again")


def test_zzz_a_database_that_says_nothing(server: Server, group: PeerGroup, database: MariaDb) -> None:
    """A caller who gives up meanwhile is let go, one who waits gets his answer after database_timeout; other applications notice nothing."""
    assert database.process is not None
    database.process.send_signal(signal.SIGSTOP)
    try:
        with Phone(server.sip_port, group.peer()) as one, Phone(server.sip_port, group.peer()) as two:
            one.headers, two.headers = ("P-App-Param: usr=one;dom=x.example",), ("P-App-Param: usr=two;dom=x.example",)
            one.ring("early")
            two.ring("early")
            wait_until(lambda: server.xml.calls() == 2, "two calls that wait")
            one.cancel()
            with Phone(server.sip_port, group.peer()) as other:
                assert other.call("nobody").code == 200, "files need no database"
                other.bye()
            assert one.answered() == 487
            assert two.answered() == 500
    finally:
        database.process.send_signal(signal.SIGCONT)
    wait_until(lambda: server.xml.calls() == 0, "the end of all calls")
    assert f"no answer in {TIMEOUT_S} s" in server.log and "Traceback" not in server.log


def answered_from_the_database(server: Server) -> bool:
    with PeerGroup() as group, Phone(server.sip_port, group.peer(CALLER_HZ)) as phone:
        phone.headers = ("P-App-Param: usr=again;dom=new.example",)
        phone.ring("early")
        first = phone.wait(lambda m: m.code > 100)
        if first.code == 183:
            phone.cancel()
            phone.answered()
        return first.code == 183
