# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever keys a caller presses and whenever: the call never fails, and a message goes only by the key that deletes it, once it began."""

from __future__ import annotations

import asyncio
import logging
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from di.apps.voicebox import PLUGIN
from di.apps.voicebox.walk import MENU
from di.kernel.clock import Tasks
from di.stores.messages import MESSAGES, BoxOwner
from tests.support.boxes import MemoryMessages
from tests.support.playbook import Playbook
from tests.support.sizes import size

ANN = BoxOwner("shop.example", "ann")
DOINGS = st.lists(
    st.sampled_from(["1", "2", "3", "4", "9", "#", "*", "A", "played", "played", "played", "gone", "new", "later"]), max_size=40
)


class Failures(logging.Handler):
    """Keeps what the log should not have."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


async def settle(book: Playbook) -> None:
    for _ in range(8):
        await asyncio.sleep(0)
        book.run()


async def visit(folder: Path, doings: list[str], news: list[bool], pin: str) -> None:
    messages = MemoryMessages(folder)
    for number, new in enumerate(news):
        messages.put(ANN, f"{number}.wav", new)
    book = Playbook(conf_dir=folder, mapping="^sip:=>voicebox\n")
    book.sessions.spawn = Tasks().spawn  # type: ignore[method-assign]
    book.services.capabilities.provide(MESSAGES, messages)
    book.load(PLUGIN, "prompt_base_path=./\n")
    session = book.up("box", (("P-App-Param", f"uid=ann;did={ANN.domain};pin={pin}"),))
    await settle(book)
    begun: set[str] = set()
    for number, doing in enumerate(doings):
        if session.gone:
            break
        before = dict(messages.boxes.get(ANN, {}))
        match doing:
            case "played" if book.media.current(session.leg) is not None:
                book.media.finish_item(session.leg)
            case "played":
                pass
            case "gone" if before:
                messages.boxes[ANN].popitem()
                before = dict(messages.boxes[ANN])
            case "gone":
                pass
            case "new":
                messages.put(ANN, f"9{number}.wav")
                before = dict(messages.boxes[ANN])
            case "later":
                book.run(61)
            case key:
                book.media.press(session.leg, key)
        await settle(book)
        after = messages.boxes.get(ANN, {})
        deleted = before.keys() - after.keys()
        assert len(deleted) <= 1 and (not deleted or doing == "3")
        assert deleted <= begun, "a message is deleted that the caller had not heard"
        begun |= {name for name, message in after.items() if not message.new}
    book.bye(session)
    await settle(book)
    assert session.gone and len(book.sessions) == 0


@settings(max_examples=size(60, 5000), deadline=None)
@given(DOINGS, st.lists(st.booleans(), max_size=4), st.sampled_from(["", "", "12"]))
def test_any_keys(doings: list[str], news: list[bool], pin: str) -> None:
    failures = Failures()
    logging.getLogger("di").addHandler(failures)
    try:
        with tempfile.TemporaryDirectory() as folder:
            for name in MENU:
                (Path(folder) / f"{name}.wav").write_bytes(b"")
            asyncio.run(visit(Path(folder), doings, news, pin))
    finally:
        logging.getLogger("di").removeHandler(failures)
    assert failures.lines == []
