# SPDX-License-Identifier: GPL-2.0-or-later
"""The examples of docs/apps-shared.md do what the page says."""

from __future__ import annotations

import doctest
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from di.apps.api import Session
from di.sip import records as sip
from di.spoken.tones import write
from tests.support.playbook import Playbook

PAGE = (Path(__file__).parents[4] / "docs" / "apps-shared.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.S)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("welcome", "greeting", "shop.example/greeting", "shop.example/de/greeting"):
        write(tmp_path / f"{name}.wav", ((1000, 20),))
    return tmp_path


def test_answers(folder: Path) -> None:
    text = "\n".join(block for block in BLOCKS if block.startswith(">>>"))
    test = doctest.DocTestParser().get_doctest(text, {"folder": folder}, "apps-shared.md", None, 0)
    said: list[str] = []
    result = doctest.DocTestRunner().run(test, out=said.append)
    assert result.attempted > 15
    assert not result.failed, "".join(said)


@pytest.fixture
def call(folder: Path) -> tuple[Playbook, Session]:
    names: dict[str, Any] = {}
    exec(next(block for block in BLOCKS if "class PinCall" in block), names)
    factory: Callable[[Session, str], Any] = names["PinCall"]
    book = Playbook(mapping="^sip:=>pin\n")
    book.services.applications.register("pin", lambda session: factory(session, str(folder / "welcome.wav")))
    return book, book.up("x")


def test_application_takes_a_pin(call: tuple[Playbook, Session]) -> None:
    book, session = call
    assert book.media.files(session.leg) == ["welcome"]
    book.media.press(session.leg, "1234")
    book.run()
    assert session.attributes["pin"] == "1234"


def test_application_goes_without_one(call: tuple[Playbook, Session]) -> None:
    book, session = call
    book.media.finish_item(session.leg)
    book.run(9.9)
    assert not book.sip.of(sip.Hangup, session.call)
    book.run(0.2)
    assert book.sip.of(sip.Hangup, session.call)
