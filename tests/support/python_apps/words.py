# SPDX-License-Identifier: GPL-2.0-or-later
"""Each word of a call, one by one: the user part of the Request-URI names it. The application of tests/peers/test_app_words.py."""

from __future__ import annotations

import asyncio
from datetime import date, time, timedelta

from clients.app import App, Call, CallEnded, CallFailed, Leg, Say

app = App()
WAITING: list[Call] = []
ENDS: list[str] = []


@app.di_method
def ends() -> list[str]:
    """How calls of `ended` came to their end, and empty the list."""
    found, ENDS[:] = list(ENDS), []
    return found


@app.call
async def words(call: Call) -> None:
    """The word is after the hyphen."""
    await globals()[f"do_{call.user.partition('-')[2]}"](call)


def peer(call: Call, name: str = "X-Callee") -> str:
    """Whom the test wants called."""
    return f"sip:callee@127.0.0.1:{call.header(name)}"


async def do_ring(call: Call) -> None:
    """180, then early media, then the answer with a header."""
    call.ring()
    await call.early()
    await call.play("one.wav")
    await call.answer(headers=["X-Answered: yes"])
    await call.play("two.wav")
    call.hangup(["X-Why: done"])


async def do_say(call: Call) -> None:
    """Numbers, digits, a date, a time, a length of time, a text; the play behind waits for it."""
    await call.answer()
    await call.say(21)
    await call.say("3*", as_="digits")
    await call.say(date(2026, 11, 29), language="de")
    await call.say(time(8, 0), language="de")
    await call.say(timedelta(hours=1))
    call.log(said="names")
    try:
        await call.say(5, language="xx")
    except CallFailed as failed:
        call.log(refused=failed.reason)
    speaking = call.say("Eins zwei drei", language="de")
    after = call.play("one.wav")
    await speaking
    call.log(spoken="yes", order=str(after.done))
    await after
    await call.ended()


async def do_menu(call: Call) -> None:
    """A wrong key, then a right one; a prompt that is said."""
    await call.answer()
    chosen = await call.menu(["one.wav", Say(3)], {"1": "sales", "2": "support"}, invalid="two.wav")
    call.log(chosen=str(chosen))
    call.log(none=str(await call.menu("one.wav", {"1": "x"}, tries=1)))
    await call.ended()


async def do_send(call: Call) -> None:
    """Keys to the peer."""
    await call.answer()
    call.send_digits("5#", duration_ms=100)
    await call.ended()


async def do_dial(call: Call) -> None:
    """Two targets in turn; each is asked whether it takes the call."""
    await call.answer()

    async def wanted(leg: Leg) -> bool:
        await leg.play("one.wav")
        keys = await leg.gather(digits=(1, 1), end="", first_s=20)
        return keys.digits == "1"

    try:
        leg = await call.dial(peer(call), peer(call, "X-Other"), confirm=wanted, in_turn=True, timeout_s=20)
    except CallFailed as failed:
        call.log(dialled=f"{failed.code} {failed.reason}")
        await call.ended()
        return
    call.log(dialled="taken")
    async for event in leg.events():
        call.log(leg_event=event.type)
        if event.type == "digit" and event.key == "8":
            call.unbridge()
            await leg.play("two.wav")
            call.log(apart="yes")
        if event.type == "digit" and event.key == "9":
            await call.bridge()
            call.log(apart="no")
        if event.type == "digit" and event.key == "0":
            leg.hangup()
            await leg.ended()
            break
    await call.play("two.wav")


async def do_wait(call: Call) -> None:
    """Wait for somebody to be connected with."""
    await call.answer()
    WAITING.append(call)
    try:
        await call.ended()
    finally:
        WAITING.remove(call)


async def do_match(call: Call) -> None:
    """Be connected with who waits."""
    await call.answer()
    await call.bridge(WAITING[0])
    call.log(matched=WAITING[0].id)
    async for event in call.events():
        if event.type == "other_bye":
            break


async def do_hold(call: Call) -> None:
    """Hold, and take it back."""
    await call.answer()
    call.hold()
    await call.gather(digits=(1, 1), first_s=20)
    call.hold(False)
    await call.ended()


async def do_transfer(call: Call) -> None:
    """Send the peer elsewhere."""
    await call.answer()
    call.log(transferred=await call.transfer("sip:bob@example.org", ["X-Reason: later"]))
    await call.ended()


async def do_request(call: Call) -> None:
    """A request each way."""
    call.on_request = lambda request: call.reply(
        request, 202, "Taken", headers=[f"X-Body: {request.body.decode()}"], content_type="text/plain", body=b"thanks"
    )
    await call.answer()
    call.log(code=await call.request("INFO", headers=["X-A: 1"], content_type="text/plain", body=b"hello"))
    await call.ended()


async def do_timer(call: Call) -> None:
    """Three timers, one of them stopped, one awaited."""
    await call.answer()
    call.timer(0.1, "short")
    call.timer(0.05, "never").stop()
    names = []
    call.log(awaited=str(await call.timer(0.3, "long")))
    async for event in call.events():
        if event.type == "timer":
            names.append(str(event.data["name"]))
        if len(names) == 2:
            break
    call.log(timers=" ".join(names))
    await call.sleep(30)


async def do_vars(call: Call) -> None:
    """What is known of the call."""
    await call.answer()
    call.vars["own"] = "x"
    call.log(
        seen=f"{call.vars.get('uid')} {call.app_params.get('uid')} {call.header('x-tenant')} {call.direction} {call.user} "
        f"{call.params} {call.vars.get('pin')} {len(call.headers) > 3}"
    )
    await call.ended()


async def do_limit(call: Call) -> None:
    """A limit that is put off once."""
    await call.answer()
    call.limit(0.2)
    call.limit(1.5)
    await call.sleep(0.7)
    call.log(after="0.7")
    how = await call.ended()
    ENDS.append(f"limit {how.by}")


async def do_ended(call: Call) -> None:
    """Whoever waits hears of the end."""
    await call.answer()
    try:
        await call.gather("one.wav", first_s=60)
    except CallEnded as over:
        ENDS.append(f"{over.code} {over.by}")
        call.play("one.wav")  # without effect
        raise


async def do_flood(call: Call) -> None:
    """Events by the thousand are kept, up to a bound."""
    await call.answer()
    count = 0
    async for event in call.events():
        count += event.type == "posted"
        if event.params.get("last"):
            break
    call.log(count=count)
    await call.ended()


async def do_stream(call: Call) -> None:
    """What the caller says comes back louder, frame by frame; a play interrupts; a `*` ends it, and the playlist is there again."""
    await call.answer()
    rate_hz = int(call.header("X-Rate") or "16000")
    async with call.stream(rate_hz) as audio:
        stopping = asyncio.ensure_future(call.gather(digits=(1, 1), end="", first_s=60))
        frames = 0
        async for frame in audio:
            audio.write(frame)
            frames += len(frame) == audio.frame_bytes
            if frames == 20:
                call.log(frames=frames)
            if stopping.done():
                break
    call.log(streamed=f"{audio.dropped} {stopping.result().digits}")
    await call.play("one.wav", loop=True)


async def do_speak(call: Call) -> None:
    """Much at once, of which most is taken back."""
    import math
    import struct

    await call.answer()
    tone = b"".join(struct.pack("<h", round(8000 * math.sin(2 * math.pi * 700 * n / 8000))) for n in range(8000))
    async with call.stream(8000) as audio:
        audio.write(tone * 20)
        await call.gather(digits=(1, 1), end="", first_s=60)
        call.log(unsent=audio.unsent_ms)
        audio.clear()
        audio.write(tone[:3200])
        await audio.drained()
        call.log(drained="yes")
        await call.ended()
