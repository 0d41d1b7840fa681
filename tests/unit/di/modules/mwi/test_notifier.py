# SPDX-License-Identifier: GPL-2.0-or-later
"""Subscribers of boxes without a network: told at once, after changes, once at a time, at the end; who takes nothing is forgotten."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from di.sip.outside_records import OutsideReceived, OutsideReplied, ReplyOutside, SendOutside
from tests.support.boxes import MemoryMessages
from tests.unit.di.modules.mwi.test_publisher import ANN, Desk
from tests.unit.di.modules.mwi.test_subscriptions import inside, subscribe

QUIET = "presence_server=\n"


class SubscribedDesk(Desk):
    """A module that tells subscribers only."""

    def __init__(self, folder: Path, conf: str = "", messages: MemoryMessages | None = None) -> None:
        super().__init__(folder, f"{QUIET}subscribers=192.0.2.0/24\n{conf}", messages)

    async def ask(self, request: OutsideReceived) -> ReplyOutside:
        self.book.sessions.on_sip_event(request)
        await self.settle(0.01)
        return [command for command in self.book.sip.commands if isinstance(command, ReplyOutside)][-1]

    def told(self) -> list[tuple[str, str]]:
        """State and counts of each NOTIFY."""
        found = []
        for one in self.requests():
            counts = re.search(rb"Voice-Message: (\S+)", one.body)
            state = next(line for line in one.headers if line.startswith("Subscription-State")).partition(": ")[2]
            found.append((state, counts[1].decode() if counts else ""))
        return found

    async def taken(self, code: int = 200) -> SendOutside:
        """Answer the last NOTIFY."""
        last = self.requests()[-1]
        self.book.sessions.on_sip_event(OutsideReplied(last.token, code, "Reply", cseq=last.cseq))
        await self.settle(0.01)
        return last


async def test_told_at_once_and_after_changes(tmp_path: Path) -> None:
    desk = SubscribedDesk(tmp_path)
    desk.messages.put(ANN, "1.wav")
    answer = await desk.ask(subscribe(("Expires", "600")))
    assert answer.code == 200 and "Expires: 600" in answer.headers
    assert desk.told() == [("active;expires=600", "1/0")]
    first = await desk.taken()
    assert (first.request_uri, first.to_uri, first.from_uri, first.from_tag, first.call_id, first.cseq) == (
        "sip:ann@192.0.2.4:5060", "<sip:ann@shop.example>;tag=a", "<sip:ann@shop.example>", "ours", "c1", 1,
    )  # fmt: skip
    for name in ("2.wav", "3.wav"):
        await desk.messages.store(ANN, name, tmp_path / "r")
    await desk.settle()
    assert desk.told()[1:] == [("active;expires=600", "3/0")], "one for both"
    await desk.messages.mark_read(ANN, "1.wav")
    await desk.settle()
    assert len(desk.told()) == 2, "the one before is under way"
    assert (await desk.taken()).cseq == 2
    assert desk.told()[2][1] == "2/1"
    await desk.taken()
    await desk.settle()
    assert len(desk.told()) == 3


async def test_unsubscribed_or_run_out(tmp_path: Path) -> None:
    desk = SubscribedDesk(tmp_path, "subscribe_least=1\n")
    await desk.ask(subscribe(("Expires", "5")))
    await desk.taken()
    await desk.ask(subscribe(("Expires", "100"), call_id="c2", to_tag="second"))
    await desk.taken()
    await desk.settle(7)
    assert desk.told()[2:] == [("terminated;reason=timeout", "0/0")]
    await desk.taken()
    assert (await desk.ask(inside(("CSeq", "2 SUBSCRIBE")))).code == 481
    gone = inside(
        ("CSeq", "2 SUBSCRIBE"), ("Expires", "0"), call_id="c2", to_tag="second", to_header="<sip:ann@shop.example>;tag=second"
    )
    assert "Expires: 0" in (await desk.ask(gone)).headers
    assert desk.told()[3:] == [("terminated;reason=timeout", "0/0")]
    await desk.taken()
    await desk.messages.store(ANN, "1.wav", tmp_path / "r")
    await desk.settle()
    assert len(desk.told()) == 4, "nobody is left"


@pytest.mark.parametrize("code", [481, 408, 500])
async def test_who_takes_no_notify_is_forgotten(tmp_path: Path, code: int, caplog: pytest.LogCaptureFixture) -> None:
    desk = SubscribedDesk(tmp_path)
    await desk.ask(subscribe())
    await desk.taken(code)
    assert f"its NOTIFY got {code}" in caplog.text
    assert (await desk.ask(inside(("CSeq", "2 SUBSCRIBE")))).code == 481


async def test_a_flood_of_strangers_is_told_of_seldom(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    desk = SubscribedDesk(tmp_path)
    for number in range(40):
        assert (await desk.ask(subscribe(call_id=f"c{number}", source_ip="198.51.100.1"))).code == 403
    assert caplog.text.count("none of subscribers") == 10
    await desk.settle(1)
    await desk.ask(subscribe(call_id="later", source_ip="198.51.100.1"))
    assert "(and 30 such lines before it were left out)" in caplog.text


async def test_strangers_and_a_server_without_subscribers(tmp_path: Path) -> None:
    desk = SubscribedDesk(tmp_path)
    assert (await desk.ask(subscribe(source_ip="198.51.100.1"))).code == 403 and not desk.requests()
    without = SubscribedDesk(tmp_path, "subscribe=no\n")
    assert (await without.ask(subscribe())).code == 405, "nobody takes it"
    desk.close()
    await desk.messages.store(ANN, "1.wav", tmp_path / "r")
    await desk.settle()
    assert not desk.requests()
