# SPDX-License-Identifier: GPL-2.0-or-later
"""An application for tests of second legs; the headers of its INVITE say what it does.

X-Target: URI of a second leg, once for each · X-Desk: words of
    invite         connect when the INVITE is there, not when the call is up
    relay early    `PairOptions.relay_invite`, `early_media`
    serve refuse   transfers are carried out here, or declined
    turn ring=MS   targets in turn; how long each may ring
    alone          connect nobody
    keep           requests stay here (`relaying` off)
    take=METHOD    requests of that method are answered here, 299
    guard          the call may not be replaced
    hang=WHERE     never return from `invite`, or from `start`
    stay           the end of the other side is not this one's
    via=NAME media=NAME   interfaces of the second leg, and of its audio

Callbacks are written to the monitoring store: `replies`, `requests`, `other_bye`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from di.apps.api import (
    Application,
    CallOffered,
    Closer,
    Pair,
    PairOptions,
    Plugin,
    RequestReceived,
    Services,
    Session,
    SipReply,
    Target,
    first_header,
)


class Desk(Application):
    """The first leg."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        headers = session.info.headers
        words = (first_header(headers, "X-Desk") or "").split()
        self._words = {word.partition("=")[0]: word.partition("=")[2] for word in words}
        self._targets = [value for name, value in headers if name.lower() == "x-target"]
        self._replies: list[int] = []
        self._requests: list[str] = []

    async def on_invite(self, session: Session) -> None:
        await self._hang("invite")
        if "relay" in self._words:
            session.dialog.defer_answer()
        if self._words.keys() & {"invite", "relay"}:
            self._connect()

    async def on_session_start(self) -> None:
        await self._hang("start")
        if not self._words.keys() & {"invite", "relay", "alone"}:
            self._connect()

    async def _hang(self, where: str) -> None:
        if self._words.get("hang") == where:
            await asyncio.get_running_loop().create_future()

    def _connect(self) -> None:
        words = self._words
        options = PairOptions(
            relay_invite="relay" in words,
            early_media="early" in words,
            relaying="keep" not in words,
            transfers="serve" if "serve" in words else "refuse" if "refuse" in words else "relay",
            in_turn="turn" in words,
            application="desk_leg",
        )
        subject = first_header(self.session.info.headers, "X-Subject")
        headers = (f"X-Subject: {subject}",) if subject else ()
        ring_ms = int(words.get("ring") or 0)
        via, media = words.get("via", ""), words.get("media", "")
        Pair(self.session, options).connect(
            [Target(uri, headers=headers, ring_ms=ring_ms, interface=via, media_interface=media) for uri in self._targets]
        )

    def on_sip_request(self, request: RequestReceived) -> bool:
        self._requests.append(request.method)
        self.session.log(requests=",".join(self._requests))
        if request.method != self._words.get("take"):
            return False
        self.session.dialog.reply(request, 299, "Taken", ("X-Taken: here",), "text/plain", b"by the desk")
        return True

    def on_other_reply(self, reply: SipReply) -> None:
        self._replies.append(reply.code)
        self.session.log(replies=",".join(map(str, self._replies)))

    def on_other_bye(self, headers: tuple[tuple[str, str], ...]) -> None:
        self.session.log(other_bye=first_header(headers, "X-Last") or "yes")
        if "stay" not in self._words:
            self.session.stop()

    def on_replaces(self, offer: CallOffered) -> bool:
        return "guard" not in self._words


@dataclass(frozen=True)
class Options:
    """desk.conf: nothing of its own."""


def start(services: Services, options: Options) -> Closer:
    """Register the application."""
    services.applications.register("desk", Desk)
    return lambda: services.applications.unregister("desk")


PLUGIN = Plugin("desk", options=Options, start=start)
