# SPDX-License-Identifier: GPL-2.0-or-later
"""Phones that talk while the test does something else: their RTP runs in a thread.

with Talk(server.sip_port) as talk:
    phones = [talk.call("conf-1", hz) for hz in (400, 900)]
    talk.ms(500)
"""

from __future__ import annotations

import threading
import time
from types import TracebackType

from tests.support.phone import Phone
from tests.support.rtp_peer import Peer, PeerGroup


class Talk:
    """Callers of one server, each with its tone."""

    def __init__(self, sip_port: int) -> None:
        self.sip_port = sip_port
        self.phones: list[Phone] = []
        self._group = PeerGroup()
        self._over = threading.Event()
        self._turn = threading.Lock()
        self._ticks = 0
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Talk:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        self._thread.join(10)
        for phone in self.phones:
            phone.__exit__(kind, error, trace)
        self._group.__exit__()

    def _run(self) -> None:
        due = time.monotonic()
        while not self._over.is_set():
            with self._turn:
                for peer in list(self._group.peers):
                    peer.send_frame()
                    peer.read()
            self._ticks += 1
            due += 0.02
            time.sleep(max(due - time.monotonic(), 0.001))

    def call(self, user: str, tone_hz: float) -> Phone:
        """One more caller, answered."""
        with self._turn:
            peer: Peer = self._group.peer(tone_hz)
            self._group.peers.remove(peer)
        phone = Phone(self.sip_port, peer)
        self.phones.append(phone)
        phone.call(user)
        with self._turn:
            self._group.peers.append(peer)
        return phone

    def bye(self, phone: Phone) -> None:
        """A caller hangs up."""
        with self._turn:
            self._group.peers.remove(phone.peer)
        phone.bye()

    def ms(self, length_ms: int) -> None:
        """Until everybody has said so much more."""
        until = self._ticks + length_ms // 20
        while self._ticks < until:
            time.sleep(0.01)
