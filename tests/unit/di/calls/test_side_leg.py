# SPDX-License-Identifier: GPL-2.0-or-later
"""A leg that no SIP is behind: opened, connected, ended by us, and lost with its media process."""

from __future__ import annotations

from di.calls.application import Application
from di.calls.session import Session
from di.calls.side_leg import SideLeg
from media.control.play_items import PlayBridge
from media.control.records import CloseLeg, ConnectLeg, FlushPlaylist, LegDropped
from tests.support.playbook import Playbook


class Told:
    def __init__(self, session: Session) -> None:
        self.addresses: list[tuple[str, int]] = []
        self.causes: list[str] = []
        self.side = SideLeg(session, lambda ip, port: self.addresses.append((ip, port)), self.causes.append)


def up() -> tuple[Playbook, Session]:
    book = Playbook()
    book.services.applications.register("still", Application)
    call = book.offer("app-still")
    session = next(iter(book.sessions))
    book.confirm(call)
    return book, session


def test_it_is_opened_connected_and_closed() -> None:
    book, session = up()
    told = Told(session)
    assert told.side.leg != session.leg and told.addresses[0][0] == "127.0.0.1"
    told.side.connect("127.0.0.1", 5000, "L16", 16000, symmetric=False)
    connect = next(one for one in book.media.commands if isinstance(one, ConnectLeg) and one.leg == told.side.leg)
    assert (connect.remote_port, connect.codec, connect.clock_hz) == (5000, "L16", 16000)
    assert PlayBridge(told.side.leg) in book.media.legs[session.leg].playlist
    assert PlayBridge(session.leg) in book.media.legs[told.side.leg].playlist
    told.side.close()
    told.side.close()
    assert [one.leg for one in book.media.commands if isinstance(one, CloseLeg)] == [told.side.leg]
    assert isinstance(book.media.commands[-1], FlushPlaylist) and told.causes == []


def test_who_has_it_hears_once_that_it_is_lost() -> None:
    book, session = up()
    told, other = Told(session), Told(session)
    book.sessions.on_media_event(LegDropped(told.side.leg, "out of ports"))
    book.sessions.side_legs.media_lost("the media process is lost", None)
    assert told.causes == ["out of ports"] and other.causes == ["the media process is lost"]
    told.side.close()
    assert not [one for one in book.media.commands if isinstance(one, CloseLeg)]
