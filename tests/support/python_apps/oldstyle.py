# SPDX-License-Identifier: GPL-2.0-or-later
"""The presentation's callbacks, as a class of 2009; plain methods, which may block."""

from __future__ import annotations

import time

from clients.app import Dialog, Request


class Oldstyle(Dialog):
    """Logs each callback; `1` plays, `2` calls the number of X-Callee, `3` blocks for a while, `9` ends."""

    heard = ""

    def note(self, name: str) -> None:
        self.heard += f"{name} "
        heard = self.heard
        self._soon(lambda: self.call.log(heard=heard))

    def onStart(self) -> None:
        self.note("start")

    def onInvite(self, request: Request) -> None:
        self.note(f"invite-{request.header('X-Callee') or 'none'}")

    def onSessionStart(self) -> None:
        self.note("session")
        self.setTimer(1, 0.2)

    def onTimer(self, id: int) -> None:
        self.note(f"timer{id}")

    def onDtmf(self, key: str, duration: int) -> None:
        self.note(f"key{key}")
        if key == "1":
            self.enqueue("wrong_pin.wav")
        elif key == "2":
            time.sleep(0.05)  # a method may block
            self.connectCallee(f"sip:bob@127.0.0.1:{self.call.header('X-Callee')}")
        elif key == "3":
            time.sleep(1)
            self.note("woke")
        elif key == "9":
            self.stopSession()

    def onEmptyQueue(self) -> None:
        self.note("empty")

    def onOtherReply(self, code: int, reason: str) -> None:
        self.note(f"other{code}")

    def onOtherBye(self) -> None:
        self.note("otherbye")
        self.stopSession()

    def onSipRequest(self, request: Request) -> bool:
        self.note(request.method)
        if request.method == "MESSAGE":
            self._soon(lambda: self.call.reply(request, 299, "Taken"))
            return True
        return False

    def onBye(self) -> None:
        self.note("bye")
