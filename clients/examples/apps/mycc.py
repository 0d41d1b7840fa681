# SPDX-License-Identifier: GPL-2.0-or-later
"""SEMS's tutorial calling card (spec applications.md §24): a PIN, a number, a call for as long as the credit of `cc_acc` lasts.

mycc.conf: `initial_announcement`, `incorrect_pin`, `out_of_credit`, `dialing`, `dial_failed`, `enter_number` (sound files),
`connect_suffix` (@127.0.0.1). The key `*` or `#` ends PIN and number. Load `cc_acc` or `cc_acc_xmlrpc` beside `apps`.
"""

from __future__ import annotations

import math
import time

from clients.app import App, Call, CallEnded, CallFailed

app = App()
TRIES = 3


def sound(call: Call, name: str) -> str:
    """A prompt of the configuration, by default of the option's own name."""
    return call.worker.config.get(name) or f"{name}.wav"


async def credit_of(call: Call, pin: str) -> int:
    """Seconds; -1: there is no such PIN."""
    answer = await call.worker.di("cc_acc", "getCredit", pin)
    return answer[0] if isinstance(answer, list) and answer and isinstance(answer[0], int) else -1


@app.call
async def card(call: Call) -> None:
    """Ask for the PIN, then for numbers, until the caller or the credit is gone."""
    await call.answer()
    for _ in range(TRIES):
        pin = await call.gather(sound(call, "initial_announcement"), digits=(1, 20), end="*#", first_s=20, between_s=10)
        if pin and await credit_of(call, pin.digits) >= 0:
            break
        await call.play(sound(call, "incorrect_pin"))
    else:
        return
    call.log(account=pin.digits)
    while (credit := await credit_of(call, pin.digits)) > 0:
        number = await call.gather(sound(call, "enter_number"), digits=(1, 30), end="*#", first_s=20, between_s=10)
        if not number:
            return
        await connect(call, pin.digits, number.digits, credit)
    await call.play(sound(call, "out_of_credit"))


async def connect(call: Call, pin: str, number: str, credit: int) -> None:
    """One conversation; what it took is paid, whoever ends it."""
    dialing = call.play(sound(call, "dialing"), loop=True)
    try:
        leg = await call.connect(f"sip:{number}{call.worker.config.get('connect_suffix', '@127.0.0.1')}", timeout_s=60)
    except CallFailed:
        dialing.stop()
        await call.play(sound(call, "dial_failed"))
        return
    began = time.monotonic()
    call.limit(credit)
    try:
        await leg.ended()
        call.limit(0)
    except CallEnded:
        return  # the caller has hung up, or the credit has run out
    finally:
        await call.worker.di("cc_acc", "subtractCredit", pin, min(credit, math.ceil(time.monotonic() - began)))
