# SPDX-License-Identifier: GPL-2.0-or-later
"""SEMS's `pin_collect` (spec applications.md §21): ask for a PIN, have it judged elsewhere, send the caller on.

pin_collect.conf: `welcome_msg`, `pin_msg`, `fail_msg`, `auth_fail_msg` (sound files), `auth_mode` (XMLRPC, REFER, TRANSFER),
`auth_xmlrpc_url`: a server whose `authorize(user, pin)` answers "OK".
XMLRPC: then to `sip:user@domain`. REFER, TRANSFER: to `sip:user+pin@domain`, where that is judged; REFER expires after 20 s.
"""

from __future__ import annotations

import asyncio
import logging

from clients.app import App, Call
from clients.rpc import RpcError, XmlRpc

log = logging.getLogger(__name__)
app = App()
ANSWER_S = 10
"""For the server: the caller hears nothing meanwhile."""
HINT_S = 10
EXPIRES_S = 20
TRIES = 3


@app.call
async def collect(call: Call) -> None:
    """Three times at most."""
    config = call.worker.config
    await call.answer()
    user, _, domain = call.request_uri.partition(":")[2].partition("@")
    prompts = [config.get("welcome_msg", "welcome.wav"), config.get("pin_msg", "pin.wav")]
    for _ in range(TRIES):
        pin = await call.gather(prompts, digits=(1, 20), end="*", first_s=HINT_S, between_s=HINT_S)
        prompts = prompts[-1:]
        if not pin:
            continue
        mode = config.get("auth_mode", "REFER").upper()
        if mode == "XMLRPC" and await authorized(call, config.get("auth_xmlrpc_url", "http://127.0.0.1:9090"), user, pin.digits):
            target, expires = f"sip:{user}@{domain}", []
        elif mode == "XMLRPC":
            await call.play(config.get("auth_fail_msg", "auth_fail.wav"))
            continue
        else:
            target, expires = f"sip:{user}+{pin.digits}@{domain}", [f"Expires: {EXPIRES_S}"] if mode == "REFER" else []
        code = await call.transfer(target, expires)
        call.log(transfer=code)
        if code < 300:
            await call.ended()  # whom it was sent to has it now; it hangs up here
        await call.play(config.get("auth_fail_msg", "auth_fail.wav"))
    await call.play(config.get("fail_msg", "fail.wav"))


async def authorized(call: Call, url: str, user: str, pin: str) -> bool:
    """Ask the server; one that does not answer has not said OK."""

    def ask() -> object:
        with XmlRpc(url, timeout_s=ANSWER_S) as server:
            return server.call("authorize", user, pin)

    try:
        return await asyncio.to_thread(ask) == "OK"
    except (RpcError, ValueError) as error:
        log.warning("call %s: %s does not answer: %s", call.id, url, error)
        return False
