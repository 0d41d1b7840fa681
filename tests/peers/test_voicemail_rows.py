# SPDX-License-Identifier: GPL-2.0-or-later
"""Voicemail whose greetings and mail templates are rows of a real MariaDB, by SEMS's keys: heard at the phone, read at the mail server."""

from __future__ import annotations

import io
import signal
from collections.abc import Iterator

import pytest
import soundfile

from di.apps.announcing.database import SCHEMA
from tests.support import tones
from tests.support.databases import MariaDb
from tests.support.mail_server import MailServerPeer
from tests.support.rtp_peer import PeerGroup
from tests.support.server import Server, wait_until
from tests.support.voicemail import (
    BEEP_HZ,
    DE_HZ,
    GREETING_HZ,
    NEW_GREETING_HZ,
    PLUGINS,
    STORED_HZ,
    VOICEMAIL,
    Caller,
    assert_is,
    configuration,
    melody,
    param,
    sound_of,
    write_prompts,
)

pytestmark = pytest.mark.peers

TEMPLATE = "subject: Row for %user% from %sender%\r\nto: %email%\r\nfrom: vm@shop.example\r\n\r\nOut of the database.\r\n"
WRONG = "subject: %nobody%\nto: %email%\nfrom: vm@shop.example\n\nText.\n"


def wave(frequency_hz: float) -> str:
    out = io.BytesIO()
    soundfile.write(out, tones.tone(frequency_hz, 300), 8000, format="WAV")
    return out.getvalue().hex()


@pytest.fixture(scope="module")
def database() -> Iterator[MariaDb]:
    with MariaDb() as running:
        running.execute(
            *filter(str.strip, SCHEMA.split(";")),
            f"INSERT INTO user_audio VALUES ('voicemail', 'greeting_msg', '3', '17', X'{wave(NEW_GREETING_HZ)}')",
            f"INSERT INTO default_template VALUES ('voicemail', 'email_tmpl', 'en', '{TEMPLATE}')",
        )
        yield running


@pytest.fixture(scope="module")
def mail_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailServerPeer]:
    with MailServerPeer(tmp_path_factory.mktemp("smtp")) as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, mail_server: MailServerPeer, database: MariaDb) -> Iterator[Server]:
    keys = (
        f'mysql_server=127.0.0.1:{database.port}\nmysql_user={database.user}\nmysql_passwd="{database.password}"\n'
        f"mysql_db={database.database}\ndatabase_cache_time=0\nemail_template_path=nowhere/\n"
    )
    text = VOICEMAIL.replace("email_template_path=mail/\n", "").replace("try_personal_greeting=yes", "") + keys
    running = Server(tmp_path_factory.mktemp("server"), configuration(mail_server, text), "loglevel=2", PLUGINS, start=False)
    write_prompts(running.etc)
    with running:
        running.start()
        yield running
    assert "Traceback" not in running.log and database.password not in running.log, running.log


def test_the_row_greets_and_the_rows_template_is_mailed(server: Server, mail_server: MailServerPeer) -> None:
    with PeerGroup() as group:
        caller = Caller(server, group, param("voicemail", snd="sip:rows@there.example"))
        caller.hear_beep()
        caller.say(melody())
        caller.hear(STORED_HZ)
        caller.hung_up()
        assert caller.heard() == [NEW_GREETING_HZ, BEEP_HZ, STORED_HZ]

    def found() -> list[object]:
        return [mail for mail in mail_server.mails if mail.message["Subject"] == "Row for anna from sip:rows@there.example"]

    wait_until(found, "the mail by the row's template")
    [mail] = mail_server.mails
    body = mail.message.get_body()
    assert body is not None and body.get_content().strip() == "Out of the database." and mail.recipients == ["anna@shop.example"]
    assert_is(sound_of(mail.attachment()), melody())


def test_who_has_no_row_is_greeted_by_a_file(server: Server) -> None:
    with PeerGroup() as group:
        caller = Caller(server, group, param("ann", uid="18", lng="de"))
        caller.hung_up()
        assert caller.heard() == [DE_HZ]


def test_zz_a_wrong_row_and_a_dead_database(server: Server, database: MariaDb) -> None:
    """A reload with a wrong template keeps what was; greetings come out of the files while the database is away."""
    database.execute(f"INSERT INTO domain_template VALUES ('voicemail', 'email_tmpl', 'shop', 'de', '{WRONG}')")
    assert server.process is not None
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "row for domain shop, language de" in server.log and "nobody" in server.log, "the wrong row is named")
    database.kill()
    with PeerGroup() as group:
        caller = Caller(server, group, param("ann", uid="19"))
        caller.hung_up()
        assert caller.heard() == [GREETING_HZ]
    wait_until(lambda: "greeted out of the files, for the database cannot be asked" in server.log, "and that is said")
