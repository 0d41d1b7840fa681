# SPDX-License-Identifier: GPL-2.0-or-later
"""Applications of the contract suite of the test kit (tests/peers/test_app_kit.py): one each for a part of what a call can do."""

from __future__ import annotations

import asyncio

from clients.app import App, Call, CallEnded, CallFailed, Leg, Worker

app = App()
worker_of: list[Worker] = []


@app.setup
async def keep(worker: Worker) -> None:
    """A test may look at it."""
    worker_of[:] = [worker]


@app.di_method
def add(first: int, second: int = 1) -> int:
    """Add two numbers."""
    if first < 0:
        raise ValueError("right is a number from 0 up")
    return first + second


@app.call
async def by_user(call: Call) -> None:
    """The user part of the Request-URI says what is tried."""
    await globals()[f"do_{call.user}"](call)


async def do_card(call: Call) -> None:
    """A calling card."""
    await call.answer()
    for _ in range(2):
        pin = await call.gather(
            "enter_pin.wav",
            digits=(2, 8),
            end="#",
            first_s=float(call.header("X-First") or 20),
            between_s=float(call.header("X-First") or 4),
        )
        account = await call.worker.di("accounts", "find", pin.digits) if pin else None
        if account:
            break
        await call.play("wrong_pin.wav")
    else:
        return
    call.log(account=account)
    while number := await call.gather("enter_number.wav", digits=(1, 15), end="#", first_s=20):
        music = call.play("music.wav", loop=True)
        try:
            leg = await call.connect(
                f"sip:{number.digits}@gw.example",
                timeout_s=float(call.header("X-Ring") or 60),
                headers=[f"X-Account: {account}"],
            )
        except CallFailed as failed:
            music.stop()
            call.log(failed=failed.code)
            await call.play("busy.wav" if failed.code == 486 else "nobody.wav")
            continue
        music.stop()
        call.log(connected=leg.id)
        async for event in call.events():
            if event.type == "digit" and event.key == "*":
                leg.hangup()
                break
            if event.type == "other_bye":
                call.log(other="gone")
                break


async def do_sounds(call: Call) -> None:
    """Sounds in order, one stopped, one that is not there, a flush."""
    await call.answer()
    first, second = call.play("enter_pin.wav"), call.play("wrong_pin.wav")
    await second
    assert first.done
    music = call.play("music.wav", loop=True)
    behind = call.play("busy.wav")
    await call.gather(digits=(1, 1), end="")
    music.stop()
    await behind
    try:
        await call.play("gone.wav")
    except CallFailed as failed:
        call.log(refused=failed.code)
    music, behind = call.play("music.wav", loop=True), call.play("busy.wav")
    await call.gather(digits=(1, 1), end="")
    call.flush()
    await music
    await behind
    await call.play("nobody.wav")


async def do_refuse(call: Call) -> None:
    """Refuse, with words of its own."""
    call.reject(int(call.header("X-Code") or 486), "Not Now")
    ended = await call.ended()
    worker_of[0].state["ended"] = (ended.code, ended.by)


async def do_return(call: Call) -> None:
    """End without an answer."""


async def do_fault(call: Call) -> None:
    """Fail."""
    if call.header("X-Answer"):
        await call.answer()
    raise ValueError("a mistake in line 7")


async def do_ringing(call: Call) -> None:
    """Ring until the caller gives up."""
    call.ring()
    try:
        await call.sleep(60)
    except CallEnded as ended:
        worker_of[0].state["ended"] = (ended.code, ended.by)
        raise


async def do_early(call: Call) -> None:
    """A sound before the answer."""
    await call.early()
    await call.play("busy.wav")
    call.reject(480)


async def do_record(call: Call) -> None:
    """Two recordings: one is stopped, one as long as it may be."""
    await call.answer()
    recording = call.record("said.wav", max_s=20)
    await call.gather(digits=(1, 1), end="")
    second = call.record("short.wav", max_s=1)  # ends the one before
    made, short = await recording, await second
    call.log(
        path=made.path.rpartition("/")[2],
        why=made.why,
        length=made.length_ms > 0,
        short=short.why,
        about=round(short.length_ms, -3),
    )
    for path in ("../x.wav", ".hidden", "a/../b.wav"):
        try:
            await call.record(path)
        except CallFailed as failed:
            call.log(**{f"refused_{path.count('.')}": failed.code})
    await call.ended()


async def do_room(call: Call) -> None:
    """Into a room, and what happens there."""
    await call.answer()
    call.join("hall")
    stay = call.join("lobby")
    call.flush()
    async for event in call.events():
        if event.type == "posted":
            call.log(told=event.params["text"])
        if event.type == "kicked":
            break
    await stay.left()
    await call.play("nobody.wav")


async def do_requests(call: Call) -> None:
    """Requests both ways."""
    call.on_request = lambda request: call.reply(request, 299 if request.body == b"hello" else 488, "Taken")
    await call.answer()
    call.log(code=await call.request("MESSAGE", headers=["X-A: 1"], content_type="text/plain", body=b"from the app"))
    call.log(referred=await call.transfer("sip:other@gw.example"))
    call.send_digits("12#", duration_ms=100)
    call.hold()
    await call.sleep(0.5)
    call.hold(False)
    await call.ended()


async def do_untaken(call: Call) -> None:
    """Requests that nobody takes."""
    await call.answer()
    await call.ended()


async def do_impatient(call: Call) -> None:
    """Call somebody until a key is pressed."""
    await call.answer()
    calling = asyncio.ensure_future(call.connect("sip:1@gw.example"))
    await call.gather(digits=(1, 1), end="")
    calling.cancel()
    await asyncio.wait([calling])
    call.log(given_up=calling.cancelled())
    await call.connect("sip:2@gw.example")
    await call.ended()


async def do_limit(call: Call) -> None:
    """End by a limit."""
    await call.answer()
    call.limit(1)
    await call.ended()


async def do_turns(call: Call) -> None:
    """Several targets in turn; the leg is taken off the bridge and put there again."""
    await call.answer()
    leg = await call.connect("sip:one@gw.example", "sip:two@gw.example", in_turn=True)
    behind = call.play("busy.wav")  # not before the bridge is taken off
    call.flush()
    await behind
    behind = call.play("busy.wav")
    behind.stop()
    await behind
    call.log(stopped="yes")
    await call.gather(digits=(1, 1), end="")
    call.unbridge()
    await call.play("busy.wav")
    call.bridge()
    await leg.ended()
    call.log(gone="yes")
    await call.ended()


async def do_all(call: Call) -> None:
    """Several targets at once, twice: nobody answers, then one does."""
    await call.answer()
    try:
        await call.connect("sip:one@gw.example", "sip:two@gw.example")
    except CallFailed as failed:
        call.log(failed=failed.code)
    leg = await call.connect("sip:three@gw.example", "sip:four@gw.example")
    await leg.ended()


async def do_confirm(call: Call) -> None:
    """Who answers is asked whether they want the call."""

    async def wants(leg: Leg) -> bool:
        await leg.play("enter_pin.wav")
        return (await leg.gather("enter_number.wav", digits=(1, 1), end="")).digits == "1"

    await call.answer()
    call.play("music.wav", loop=True)
    leg = await call.dial("sip:one@gw.example", "sip:two@gw.example", confirm=wants, in_turn=True)
    call.log(connected=leg.request_uri)
    await leg.ended()
    call.log(gone="yes")
    await call.ended()
