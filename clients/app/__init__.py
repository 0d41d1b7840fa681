# SPDX-License-Identifier: GPL-2.0-or-later
"""Applications for calls, in Python: one coroutine a call, in a process of its own beside the server. `docs/python-apps.md`.

from clients.app import App, Call

app = App()

@app.call
async def greet(call: Call) -> None:
    await call.answer()
    await call.play("welcome.wav")
"""

from __future__ import annotations

from clients.app.app import App
from clients.app.call import Call, Leg, Room
from clients.app.call_timer import CallTimer
from clients.app.dialog import Dialog
from clients.app.home import Worker
from clients.app.known_call import Action
from clients.app.results import CallEnded, CallFailed, Digits, Event, Recording, Request
from clients.app.said import Say
from clients.app.stream import Stream

__all__ = [
    "Action",
    "App",
    "Call",
    "CallEnded",
    "CallFailed",
    "CallTimer",
    "Dialog",
    "Digits",
    "Event",
    "Leg",
    "Recording",
    "Request",
    "Room",
    "Say",
    "Stream",
    "Worker",
]
