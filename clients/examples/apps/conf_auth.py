# SPDX-License-Identifier: GPL-2.0-or-later
"""SEMS's `conf_auth` (spec applications.md §21): a PIN that a server elsewhere knows leads into a conference.

conf_auth.conf: `greeting`, `hint`, `wrong` (sound files), `url` of a server whose `AuthorizeConference(remote_uri, local_party, pin)`
answers ["OK", to, uri, seconds, …], and the caller is connected with `uri` for so long (0: without limit), or ["FAIL", file], which is played.
"""

from __future__ import annotations

import asyncio
import logging

from clients.app import App, Call, CallFailed
from clients.rpc import RpcError, XmlRpc

log = logging.getLogger(__name__)
app = App()
ANSWER_S = 10
"""For the server: the caller hears nothing meanwhile."""
HINT_S = 10
TRIES = 5


@app.call
async def ask(call: Call) -> None:
    """The PIN ends with `*`."""
    config = call.worker.config
    await call.answer()
    prompt = config.get("greeting", "greeting.wav")
    for _ in range(TRIES):
        pin = await call.gather(prompt, digits=(1, 20), end="*", first_s=HINT_S, between_s=HINT_S)
        prompt = config.get("hint", "hint.wav")
        if not pin:
            continue
        answer = await judged(call, config.get("url", "http://localhost:23456/conf_auth"), call.caller, call.callee, pin.digits)
        if answer and answer[0] == "OK":
            await enter(call, [*answer, "", "", 0][:4])
            return
        await call.play(str(answer[1]) if len(answer) > 1 else config.get("wrong", "wrong.wav"))


async def enter(call: Call, answer: list[object]) -> None:
    """Connect the caller with the conference, for as long as the answer says."""
    _, _, uri, seconds = answer
    try:
        leg = await call.connect(str(uri), timeout_s=30)
    except CallFailed as failed:
        call.log(failed=failed.code)
        return
    if isinstance(seconds, int) and seconds > 0:
        call.limit(seconds)
    await leg.ended()


async def judged(call: Call, url: str, remote_uri: str, local_party: str, pin: str) -> list[object]:
    """The server's answer; empty when it gives none."""

    def ask() -> object:
        with XmlRpc(url, timeout_s=ANSWER_S) as server:
            return server.call("AuthorizeConference", remote_uri, local_party, pin)

    try:
        answer = await asyncio.to_thread(ask)
    except (RpcError, ValueError) as error:
        log.warning("call %s: %s does not answer: %s", call.id, url, error)
        return []
    return answer if isinstance(answer, list) else []
