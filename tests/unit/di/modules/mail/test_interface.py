# SPDX-License-Identifier: GPL-2.0-or-later
"""DI `mail` over a queue whose server is dead: what is listed, retried, dropped. With a server: tests/peers/test_mail_queue.py."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from di.kernel.clock import LoopClock
from di.kernel.errors import CallFailed
from di.modules.mail.interface import MailInterface
from di.modules.mail.options import Options
from di.modules.mail.outbox import Outbox
from di.modules.mail.submission import tls_context
from di.stores.mailing import Mail, MailAttachment, Mailbox822
from tests.support.ports import free_port


@pytest_asyncio.fixture
async def queue(tmp_path: Path) -> AsyncIterator[Outbox]:
    options = Options(smtp_server="127.0.0.1", smtp_port=free_port(), smtp_security="none", retry_first=300.0)
    outbox = Outbox(options, tmp_path / "queue", LoopClock(), tls_context(""))
    await outbox.open()
    yield outbox
    await outbox.close()


async def test_a_mail_is_listed_and_dropped(queue: Outbox, tmp_path: Path) -> None:
    interface = MailInterface(queue)
    sound = tmp_path / "m.wav"
    sound.write_bytes(b"sound")
    mail = Mail("k", (Mailbox822("anna@shop.example"),), "Hello", "Text", attachments=(MailAttachment(sound, "m.wav"),))
    assert (await queue.submit(mail)).ok
    while not queue.trouble:
        await queue.database.run(lambda connection: None)  # a turn of the loop, and of the queue's thread
    while not (found := await interface.list_mails("waiting")):
        pass
    [shown] = found
    assert isinstance(shown, dict) and isinstance(shown["id"], int)
    assert (shown["to"], shown["subject"], shown["state"], shown["attachments"]) == (["anna@shop.example"], "Hello", "waiting", 1)
    assert interface.status()["trouble"] == queue.trouble and interface.status()["waiting"] == 1
    assert await interface.retry(shown["id"] + 1) == [404, "no mail of that number waits or was given up"]
    assert await interface.drop(shown["id"]) == [200, "OK"]
    assert await interface.drop(shown["id"]) == [404, "no mail of that number waits or was given up"]
    assert await interface.list_mails() == [] and os.listdir(queue.files) == []


async def test_another_word_for_a_state_is_an_error_that_names_them(queue: Outbox) -> None:
    with pytest.raises(CallFailed, match="'lost' is no state; there are: waiting, claimed, handing, accepted, given_up"):
        await MailInterface(queue).list_mails("lost")
