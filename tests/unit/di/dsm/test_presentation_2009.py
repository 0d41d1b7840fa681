# SPDX-License-Identifier: GPL-2.0-or-later
"""The two programs of the 2009 presentation, as they stand there (spec dsm.md §11)."""

from __future__ import annotations

from pathlib import Path

import pytest

from di.dsm import PLUGIN
from di.dsm.language.event import Event, Kind
from di.dsm.run.drivers import deliver, run_now
from di.dsm.run.engine import Machine
from di.dsm.run.simulated import SimulatedSession
from di.stores.mysql_client import Lease, Pools, Result
from di.stores.mysql_target import MysqlTarget
from tests.support.dsm_scripts import load, read
from tests.support.playbook import Playbook

VECTORS = Path(__file__).parents[3] / "vectors" / "dsm"


class CannedLease(Lease):
    """A database with one answer."""

    def __init__(self, count: bytes) -> None:
        self.count = count
        self.asked: list[str | bytes] = []

    async def execute(self, sql: str | bytes) -> Result:
        self.asked.append(sql)
        return Result(("new_messages",), ((self.count,),))


@pytest.mark.parametrize(
    ("count", "state", "files"),
    [
        (b"21", "PLAY_MESSAGES", ["hello.wav", "you_have.wav", "20.wav", "x1.wav", "messages.wav"]),
        (b"0", "PLAY_AND_BYE", ["hello.wav", "no_messages"]),
    ],
)
async def test_the_mysql_demo(count: bytes, state: str, files: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    lease = CannedLease(count)
    asked: list[MysqlTarget] = []

    async def lend(self: Pools, target: MysqlTarget, certificate: str) -> Lease:
        asked.append(target)
        return lease

    monkeypatch.setattr(Pools, "lend", lend)
    session = SimulatedSession()
    machine = Machine({"demo": load((VECTORS / "presentation_2009_mysql.dsm").read_text(), "demo")}, session)
    waiting = deliver(machine.start("demo", Kind.START))
    assert waiting is not None
    await waiting
    assert [line.removeprefix("play ") for line in session.done] == files
    assert machine.state is not None and machine.state.name == state
    assert (asked[0].user, asked[0].host, asked[0].database) == ("user", "domain", "db")
    assert len(lease.asked) == 1 and str(lease.asked[0]).startswith(
        "select count(id) as new_messages from messages where userid="
    )
    run_now(machine.run(Event(Kind.NO_AUDIO, {"type": "noAudio"})))
    assert session.stopped is (state == "PLAY_AND_BYE")


def test_what_the_reader_mends_in_it_is_said() -> None:
    reading = read((VECTORS / "presentation_2009_mysql.dsm").read_text(), collect=True)
    assert not reading.errors
    assert any("names no source state; taken: START" in warning.text for warning in reading.warnings)
    assert any("spelt utils.playCountRight" in warning.text for warning in reading.warnings)


def test_the_lobby_with_take_and_kick(tmp_path: Path) -> None:
    (tmp_path / "lobby.dsm").write_text((VECTORS / "presentation_2009_lobby.dsm").read_text())
    (tmp_path / "wav").mkdir()
    for name in ("welcome", "taken", "change"):
        (tmp_path / "wav" / f"{name}.wav").write_bytes(b"RIFF")
    conf = "diag_path=./\nload_diags=lobby\nregister_apps=lobby\n"
    (tmp_path / "dsm.conf").write_text(conf)
    book = Playbook(conf_dir=tmp_path)
    book.load(PLUGIN, conf)
    call = book.up("app-lobby")
    assert [Path(item.path).name for item in book.media.legs[call.leg].playlist] == ["welcome.wav"]
    book.invoke("dsm", "postDSMEvent", call.id, [["action", "take"], ["roomname", "wonderland"]])
    assert [Path(getattr(item, "path", "")).name or item.room for item in book.media.legs[call.leg].playlist] == [
        "taken.wav",
        "wonderland",
    ]
    assert (call.attributes["dsm_state"], book.media.legs[call.leg].playout) == ("room", "adaptive")
    book.invoke("dsm", "postDSMEvent", call.id, [["action", "take"], ["roomname", "garden"]])
    assert [Path(getattr(item, "path", "")).name or item.room for item in book.media.legs[call.leg].playlist] == [
        "change.wav",
        "garden",
    ]
    book.invoke("dsm", "postDSMEvent", call.id, [["action", "kick"]])
    assert call.gone and not book.sessions.rooms.names()
