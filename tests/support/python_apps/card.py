# SPDX-License-Identifier: GPL-2.0-or-later
"""A calling card: a PIN, a number, a second leg. The application of tests/peers/test_python_apps.py."""

from __future__ import annotations

import asyncio
import os
import time

from clients.app import App, Call, CallFailed, Worker

app = App()


@app.setup
async def open_accounts(worker: Worker) -> None:
    """What a database would be."""
    worker.state["pins"] = {"1234": "acme"}


@app.di_method
def add_pin(pin: str, account: str = "new") -> str:
    """Make a PIN known; returns its account."""
    PINS[pin] = account
    return account


@app.di_method
async def pid() -> int:
    """Which process answers."""
    return os.getpid()


PINS: dict[str, str] = {}
VERSION = "one"


@app.call
async def card(call: Call) -> None:
    """The user part of the Request-URI says what is tried."""
    await globals().get(f"do_{call.user.partition('-')[2]}", do_card)(call)


async def do_card(call: Call) -> None:
    """The presentation's calling card."""
    await call.answer()
    call.log(card_version=VERSION)
    for _ in range(3):
        pin = await call.gather("enter_pin.wav", digits=(4, 8), end="#", first_s=20, between_s=4)
        pins = call.worker.state["pins"]
        account = ({**pins, **PINS} if isinstance(pins, dict) else {}).get(pin.digits) if pin else None
        if account:
            break
        await call.play("wrong_pin.wav")
    else:
        return
    call.log(account=account)
    while True:
        number = await call.gather("enter_number.wav", digits=(1, 15), end="#", first_s=20)
        if not number:
            return
        music = call.play("music.wav", loop=True)
        try:
            leg = await call.connect(
                f"sip:{number.digits}@127.0.0.1:{call.header('X-Callee')}", timeout_s=10, headers=["X-Tenant: acme"]
            )
        except CallFailed as failed:
            music.stop()
            call.log(failed=failed.code)
            await call.play("wrong_pin.wav")
            continue
        call.log(connected=leg.id)
        async for event in call.events():
            if event.type == "digit" and event.key == "*":
                leg.hangup()
                await leg.ended()
                break
            if event.type == "other_bye":
                break


async def do_room(call: Call) -> None:
    """Into a room; what is posted leads into another."""
    await call.answer()
    stay = call.join("lobby")
    async for event in call.events():
        if event.type == "posted" and event.params.get("action") == "take":
            stay = call.join(event.params["roomname"])
            call.log(position=event.params["roomname"])
        if event.type == "kicked":
            break
    await stay.left()
    await call.play("wrong_pin.wav")


async def do_record(call: Call) -> None:
    """Record until a key."""
    await call.answer()
    recording = call.record("said.wav", max_s=20)
    await call.gather(digits=(1, 1), end="", first_s=20)
    recording.stop()
    made = await recording
    call.log(recorded=made.length_ms, why=made.why)
    await call.play(made.path)


async def do_escape(call: Call) -> None:
    """What it may not reach."""
    await call.answer()
    refused = []
    for path in ("/etc/hostname", "../card.py", "card/../../x"):
        try:
            await call.play(path)
        except CallFailed as failed:
            refused.append(str(failed.code))
    for path in ("../x.wav", "/tmp/x.wav", ".hidden"):
        try:
            await call.record(path)
        except CallFailed as failed:
            refused.append(str(failed.code))
    call.log(refused=" ".join(refused), secret=os.environ.get("CORDBOARD_TEST_SECRET", "none"))
    await call.sleep(60)


async def do_raise(call: Call) -> None:
    """A fault."""
    await call.answer()
    raise ValueError("a mistake in line 7")


async def do_exit(call: Call) -> None:
    """The process ends."""
    await call.answer()
    os._exit(3)


async def do_block(call: Call) -> None:
    """The loop stands still."""
    await call.answer()
    time.sleep(30)  # noqa: ASYNC251 - that is the fault


async def do_busy(call: Call) -> None:
    """Refuse."""
    call.reject(486, "Busy Here", ["X-Why: test"])
    await call.ended()


async def do_di(call: Call) -> None:
    """Ask another module."""
    await call.answer()
    call.log(calls_up=str(await call.worker.di("core", "statistics")))
    await call.ended()


async def do_wait(call: Call) -> None:
    """Stay."""
    await call.answer()
    call.log(card_version=VERSION)
    try:
        await call.ended()
    finally:
        await asyncio.sleep(0)
