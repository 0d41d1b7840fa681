# SPDX-License-Identifier: GPL-2.0-or-later
"""The mail queue with a real SMTP server on real sockets: TLS, log-in, refusals, a server that is dead or breaks off, kill -9."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from di.kernel.clock import LoopClock
from di.modules.mail.options import Options
from di.modules.mail.outbox import Outbox
from di.modules.mail.submission import tls_context
from di.modules.mail.table import UNSENT, MailState
from di.stores.mailing import Mail, MailAttachment, Mailbox822
from tests.support.mail_server import BREAKS, PASSWORD, USER, MailServerPeer
from tests.support.sizes import size

pytestmark = pytest.mark.peers

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailServerPeer]:
    with MailServerPeer(tmp_path_factory.mktemp("smtp")) as running:
        yield running


@pytest.fixture
def server(peer: MailServerPeer) -> Iterator[MailServerPeer]:
    """The server as it is at first."""
    peer.mails.clear()
    yield peer
    peer.answer, peer.refused, peer.delay_s = "", {}, 0.0


def options(server: MailServerPeer, **more: Any) -> Options:
    values = {
        "smtp_server": "127.0.0.1", "smtp_port": server.port, "smtp_security": "starttls", "smtp_ca_file": str(server.ca_file),
        "smtp_user": USER, "smtp_password": PASSWORD, "from_address": "vm@here.example", "retry_first": 0.1, "retry_most": 0.4,
    }  # fmt: skip
    return Options(**{**values, **more})


@asynccontextmanager
async def outbox(server: MailServerPeer, folder: Path, **more: Any) -> AsyncIterator[Outbox]:
    made = options(server, **more)
    running = Outbox(made, folder, LoopClock(), tls_context(made.smtp_ca_file))
    await running.open()
    try:
        yield running
    finally:
        await running.close()


def mail(folder: Path, key: str = "k", *to: str) -> Mail:
    sound = folder / f"{key}.wav"
    sound.write_bytes(f"sound of {key}".encode() * 1000)
    boxes = tuple(Mailbox822(address) for address in to or ("anna@shop.example",))
    return Mail(key, boxes, f"Message {key}", "Listen.\n", attachments=(MailAttachment(sound, "message.wav"),))


async def until(condition: Callable[[], bool], what: str) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - the queue is looked at from outside
            await asyncio.sleep(0.02)
    assert condition(), what


async def accepted(queue: Outbox, count: int = 1) -> None:
    await until(lambda: queue.counts["accepted"] >= count, f"{count} mails accepted")


async def test_a_mail_arrives_by_tls_and_with_log_in(
    server: MailServerPeer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with outbox(server, tmp_path / "queue") as queue:
        letter = mail(tmp_path)
        assert (await queue.submit(letter)).ok
        letter.attachments[0].path.unlink()  # the queue has its own
        await accepted(queue)
        await until(lambda: not os.listdir(queue.files), "the attachment is removed once it is accepted")
        assert (await queue.submit(mail(tmp_path))).ok  # the same key: said to be queued, not sent again
        assert queue.counts == {"waiting": 0, "claimed": 0, "handing": 0, "accepted": 1, "given_up": 0}
    [received] = server.mails
    assert (received.sender, received.recipients, received.user, received.encrypted) == (
        "vm@here.example", ["anna@shop.example"], USER, True,
    )  # fmt: skip
    assert received.attachment() == b"sound of k" * 1000 and str(received.message["Subject"]) == "Message k"
    assert PASSWORD not in caplog.text


async def test_other_options_while_it_runs(server: MailServerPeer, tmp_path: Path) -> None:
    """The next mail goes to the new server at once, though the connection to the old one is still open."""
    with MailServerPeer(tmp_path, "none", login=False) as other:
        async with outbox(server, tmp_path / "queue") as queue:
            assert (await queue.submit(mail(tmp_path, "a"))).ok
            await accepted(queue)
            changed = options(
                other, smtp_security="none", smtp_user="", smtp_password="", from_address="new@here.example", max_waiting=1
            )
            queue.take(changed, tls_context(""))
            assert (await queue.submit(mail(tmp_path, "b"))).ok
            await accepted(queue, 2)
        assert [one.sender for one in other.mails] == ["new@here.example"] and len(server.mails) == 1


@pytest.mark.parametrize("security", ["tls", "none"])
async def test_other_ways_to_the_server(tmp_path: Path, security: str) -> None:
    with MailServerPeer(tmp_path, security, login=security == "tls") as server:
        more = {} if security == "tls" else {"smtp_user": "", "smtp_password": ""}
        async with outbox(server, tmp_path / "queue", smtp_security=security, **more) as queue:
            await queue.submit(mail(tmp_path))
            await accepted(queue)
        assert server.mails[0].encrypted is (security == "tls")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"smtp_password": "wr0ng-Pass"}, "535"),
        ({"smtp_ca_file": ""}, "certificate verify failed"),
        ({"smtp_security": "tls"}, "SSL"),
    ],
)  # fmt: skip
async def test_a_server_that_does_not_let_us_in_is_the_operators_affair(
    server: MailServerPeer, tmp_path: Path, caplog: pytest.LogCaptureFixture, wrong: dict[str, str], said: str
) -> None:
    async with outbox(server, tmp_path / "queue", **wrong) as queue:
        await queue.submit(mail(tmp_path))
        await until(lambda: said.lower() in queue.trouble.lower(), f"the trouble is known: {said}")
        [waiting] = await queue.listed((MailState.WAITING, MailState.CLAIMED), 9)
        assert waiting.failures == 0
        assert f"mail: 127.0.0.1:{server.port} takes nothing: " in caplog.text and "1 mails wait" in caplog.text
        assert "wr0ng" not in caplog.text + queue.trouble
        if said != "SSL":
            assert "see smtp_user, smtp_password, smtp_security and smtp_ca_file in mail.conf" in caplog.text
    assert server.mails == []


async def test_a_dead_server_is_tried_until_it_is_back(peer: MailServerPeer, server: MailServerPeer, tmp_path: Path) -> None:
    server.stop()
    try:
        async with outbox(server, tmp_path / "queue") as queue:
            for number in range(5):
                assert (await queue.submit(mail(tmp_path, f"k{number}"))).ok
            await until(lambda: queue.failed_total >= 3, "it was tried again")
            assert queue.counts["given_up"] == 0 and queue.trouble
        server.start()
        async with outbox(server, tmp_path / "queue") as queue:  # after a restart, too
            await accepted(queue, 5)
            assert queue.trouble == ""
    finally:
        if server._controller is None:
            server.start()
    assert sorted(server.ids().values()) == [1] * 5


async def test_a_mail_that_is_refused_for_now_and_one_for_good(
    server: MailServerPeer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with outbox(server, tmp_path / "queue") as queue:
        server.answer = "451 4.3.0 the disk is busy"
        await queue.submit(mail(tmp_path, "later"))
        await until(lambda: queue.failed_total >= 2, "it was tried again")
        server.answer = "554 5.7.1 we do not like you"
        await until(lambda: queue.counts["given_up"] == 1, "it is given up")
        [given_up] = await queue.listed((MailState.GIVEN_UP,), 9)
        assert given_up.error == "554 5.7.1 we do not like you"
        assert f"mail.retry({given_up.id}) sends it again" in caplog.text
        server.answer = ""
        assert await queue.retry(given_up.id) and not await queue.retry(99)
        await accepted(queue)
        assert not await queue.drop(given_up.id)
    assert [received.attachment() for received in server.mails] == [b"sound of later" * 1000]


async def test_a_mail_is_given_up_after_its_time(server: MailServerPeer, tmp_path: Path) -> None:
    server.answer = "451 4.3.0 never today"
    async with outbox(server, tmp_path / "queue", give_up_after=3) as queue:
        await queue.submit(mail(tmp_path))
        await until(lambda: queue.counts["given_up"] == 1, "it is given up")
        [given_up] = await queue.listed((MailState.GIVEN_UP,), 9)
        assert given_up.failures > 1 and os.listdir(queue.files)
        assert await queue.drop(given_up.id) and os.listdir(queue.files) == []


async def test_recipients_have_fates_of_their_own(
    server: MailServerPeer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.refused = {"gone@shop.example": "550 5.1.1 nobody", "full@shop.example": "452 4.2.2 full"}
    async with outbox(server, tmp_path / "queue") as queue:
        await queue.submit(mail(tmp_path, "k", "anna@shop.example", "gone@shop.example", "full@shop.example"))
        await until(lambda: queue.failed_total >= 2, "the full one was tried again")
        [waiting] = await queue.listed(UNSENT, 9)  # it may just be handed over once more
        assert waiting.recipients == ("full@shop.example",)
        del server.refused["full@shop.example"]
        await accepted(queue)
    assert [received.recipients for received in server.mails] == [["anna@shop.example"], ["full@shop.example"]]
    assert len(server.ids()) == 1 and "to gone@shop.example is refused" in caplog.text


@pytest.mark.parametrize("breaks", BREAKS)
async def test_an_answer_that_never_comes_is_a_doubt_that_is_said(
    server: MailServerPeer, tmp_path: Path, caplog: pytest.LogCaptureFixture, breaks: str
) -> None:
    """Nobody knows whether the server has it: it gets the mail again, as the same."""
    server.answer = breaks
    async with outbox(server, tmp_path / "queue") as queue:
        await queue.submit(mail(tmp_path))
        await until(lambda: queue.doubts_total == 1, "it is in doubt")
        server.answer = ""
        await accepted(queue)
    assert list(server.ids().values()) == ([1] if breaks == BREAKS[0] else [2])
    [message_id] = server.ids()
    assert f"it may have arrived; it is sent again as the same {message_id}" in caplog.text


async def test_one_server_for_many_at_once(server: MailServerPeer, tmp_path: Path) -> None:
    async with outbox(server, tmp_path / "queue", connections=4) as queue:
        taken = await asyncio.gather(*(queue.submit(mail(tmp_path, f"k{number}")) for number in range(50)))
        assert all(queued.ok for queued in taken)
        await accepted(queue, 50)
    assert sorted(server.ids().values()) == [1] * 50
    assert {received.attachment() for received in server.mails} == {f"sound of k{n}".encode() * 1000 for n in range(50)}


async def test_what_cannot_be_queued_is_said(server: MailServerPeer, tmp_path: Path) -> None:
    async with outbox(server, tmp_path / "queue", max_waiting=1) as queue:
        letter = mail(tmp_path)
        letter.attachments[0].path.unlink()
        assert "message.wav" not in (gone := await queue.submit(letter)).cause and "k.wav" in gone.cause and not gone.ok
        bad = await queue.submit(mail(tmp_path, "k", "no address"))
        assert not bad.ok and "'no address' is no mail address" in bad.cause
        server.delay_s = 3  # for so long it waits, on a busy machine, too
        await queue.submit(mail(tmp_path, "one"))
        full = await queue.submit(mail(tmp_path, "two"))
        assert not full.ok and "max_waiting in mail.conf" in full.cause


# -------------------------------------------------------------------------------------------------------------------- kill -9
PROGRAM = """
import asyncio, sys
from pathlib import Path
from tests.peers.test_mail_queue import mail
from di.kernel.clock import LoopClock
from di.modules.mail.options import Options
from di.modules.mail.outbox import Outbox
from di.modules.mail.submission import tls_context

async def main():
    port, ca, folder, first = sys.argv[1:]
    options = Options(smtp_server="127.0.0.1", smtp_port=int(port), smtp_security="starttls", smtp_ca_file=ca, smtp_user="voicemail",
                      smtp_password="s3cret-Pass", from_address="vm@here.example", retry_first=0.1)
    queue = Outbox(options, Path(folder), LoopClock(), tls_context(ca))
    await queue.open()
    number = int(first)
    while True:
        if (await queue.submit(mail(Path(folder), f"k{number}"))).ok:
            print(number, flush=True)
        number += 1
        await asyncio.sleep(0.01)

import logging
logging.basicConfig(stream=sys.stderr, format="%(message)s", level=logging.WARNING)
asyncio.run(main())
"""


@pytest.mark.parametrize("kills", [size(4, 200)])
async def test_kill_9_loses_no_mail_and_doubles_only_what_it_says(server: MailServerPeer, tmp_path: Path, kills: int) -> None:
    """A process queues mails, and is killed at random moments; what it said to be queued arrives."""
    chance, said, doubts, first = random.Random(), set(), set(), 0
    server.delay_s = 0.01
    folder = tmp_path / "queue"
    for _ in range(kills):
        program = [sys.executable, "-c", PROGRAM, str(server.port), str(server.ca_file), str(folder), str(first)]
        process = await asyncio.create_subprocess_exec(*program, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout is not None and process.stderr is not None
        line = await asyncio.wait_for(process.stdout.readline(), 60)
        assert line, (await process.stderr.read()).decode()
        await asyncio.sleep(chance.uniform(0, 0.3))
        process.send_signal(signal.SIGKILL)
        rest, errors = await process.communicate()
        said |= {int(number) for number in (line + rest).split(b"\n")[:-1]}
        doubts |= ids_in_doubt(errors.decode())
        first = max(said) + 2  # one may be queued and not said
    before = set(server.ids())
    with collected_logs() as lines:
        async with outbox(server, folder) as queue:
            await until(lambda: queue.waiting == 0 and not queue.counts["given_up"], "all that waits is sent")
    doubts |= ids_in_doubt("\n".join(lines))
    arrived: dict[int, set[bytes]] = {}
    for received in server.mails:
        number = int(str(received.message["Subject"]).removeprefix("Message k"))
        arrived.setdefault(number, set()).add(received.attachment())
    assert said <= set(arrived), f"lost: {said - set(arrived)}"
    assert all(sounds == {f"sound of k{number}".encode() * 1000} for number, sounds in arrived.items()), "corrupt"
    twice = {message_id for message_id, times in server.ids().items() if times > 1}
    assert twice <= doubts, "delivered twice without a word"
    assert len(server.ids()) == len(arrived) and before


def ids_in_doubt(log: str) -> set[str]:
    return {line.rpartition(" ")[2] for line in log.splitlines() if "it may have arrived" in line}


class collected_logs:
    """Lines of the queue's log."""

    def __enter__(self) -> list[str]:
        self.lines: list[str] = []
        self.handler = logging.Handler()
        self.handler.emit = lambda record: self.lines.append(record.getMessage())  # type: ignore[method-assign]
        logging.getLogger("di.modules.mail").addHandler(self.handler)
        return self.lines

    def __exit__(self, *_: object) -> None:
        logging.getLogger("di.modules.mail").removeHandler(self.handler)
