# SPDX-License-Identifier: GPL-2.0-or-later
"""The example of etc/kamailio as it stands, on a free port and with users of the test; and a phone that calls through a proxy."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from interfaces.sip import digest
from interfaces.sip.message import Message
from tests.support.kamailio import Kamailio
from tests.support.phone import Phone
from tests.support.rtp_peer import Peer

EXAMPLE = Path(__file__).resolve().parents[2] / "etc" / "kamailio" / "kamailio.cfg"


class KamailioExample(Kamailio):
    """`users`: user@domain → what `users.cfg` says of him; `domains`: domain → its id."""

    def __init__(
        self, media_port: int, domains: Mapping[str, str], users: Mapping[str, Mapping[str, str]], ring_ms: int = 20_000
    ) -> None:
        super().__init__({})
        shutil.copy(EXAMPLE, self.folder / "kamailio.cfg")
        lines = [f'$sht(domains=>{domain}) = "{id}";' for domain, id in domains.items()]
        lines += [f'$sht(users=>{user}::{key}) = "{value}";' for user, about in users.items() for key, value in about.items()]
        lines += [f'$sht(boxes=>{about["uid"]}@{domains[user.rpartition("@")[2]]}) = "{user}";' for user, about in users.items()]
        (self.folder / "users.cfg").write_text("event_route[htable:mod-init] {\n" + "\n".join(lines) + "\n}\n")
        self._arguments += ["-E", "-A", f"LISTEN=udp:127.0.0.1:{self.port}", "-A", f'MEDIA_SERVER="sip:127.0.0.1:{media_port}"']
        self._arguments += ["-A", f"RING_MS={ring_ms}"]


class ProxyPhone(Phone):
    """A phone whose way leads through a proxy: it keeps the route of a dialog, and answers challenges with its password."""

    def __init__(self, proxy_port: int, peer: Peer, user: str, domain: str, password: str = "") -> None:
        super().__init__(proxy_port, peer)
        self.user, self.domain, self.password = user, domain, password
        self.dials = domain
        """The domain of those whom it calls."""
        self._local = f"<sip:{user}@{domain}>;tag=t{self._port}"
        self.route: tuple[str, ...] = ()
        self.invited: Message | None = None
        self._proof: tuple[str, ...] = ()

    def _send(self, method: str, body: str, cseq: int, lines: tuple[str, ...] = (), kind: str = "application/sdp") -> None:
        super()._send(method, body, cseq, (*lines, *self.route, *self._proof), kind)

    def ring(self, user: str, lines: tuple[str, ...] = ()) -> None:
        """Place a call and wait for nothing."""
        self._target, self._remote = f"sip:{user}@{self.dials}", f"<sip:{user}@{self.dials}>"
        self.invite(lines)

    def call(self, user: str, lines: tuple[str, ...] = (), seconds: float = 30.0) -> ProxyPhone:
        """Place a call; a challenge is answered."""
        self.ring(user, lines)
        remote = self._remote
        if self.answered(seconds) == 407 and self.password:
            self._remote = remote
            self._prove("INVITE", f"sip:{user}@{self.dials}")
            self.invite(lines)
            self.answered(seconds)
        return self

    def answered(self, seconds: float = 30.0) -> int:
        """Wait for the final reply; the route that it recorded is kept."""
        reply = self.wait(lambda m: m.code >= 200 and m.header("CSeq") == f"{self._invited} INVITE", seconds)
        self.invited = reply
        if 200 <= reply.code < 300 and not self.route:  # RFC 3261 §12.2: later ones do not change it
            self.route = tuple(f"Route: {value}" for name, value in reversed(reply.headers) if name == "Record-Route")
            self._proof = ()
        self.messages.append(reply)
        return super().answered(seconds)

    def register(self) -> int:
        """Bind our address; the final code."""
        self._target, self._remote = f"sip:{self.domain}", f"<sip:{self.user}@{self.domain}>"
        code = self._register()
        if code == 401 and self.password:
            self._prove("REGISTER", self._target)
            code = self._register()
        self._proof = ()
        return code

    def _register(self) -> int:
        self._cseq += 1
        self._send("REGISTER", "", self._cseq, ("Expires: 300",))
        self.invited = self.wait(lambda m: m.code >= 200 and m.header("CSeq") == f"{self._cseq} REGISTER")
        return self.invited.code

    def _prove(self, method: str, uri: str) -> None:
        assert self.invited is not None
        (challenge,) = digest.challenges(self.invited)
        name, value = digest.answer(challenge, method, uri, self.user, self.password, "c0ffee")
        self._proof = (f"{name}: {value}",)

    def reply(self, invite: Message, code: int, reason: str) -> None:
        """Answer a call that came, without a session: 180, 486, …."""
        vias = "".join(f"Via: {value}\r\n" for name, value in invite.headers if name == "Via")
        head = "".join(f"{name}: {invite.header(name)}\r\n" for name in ("From", "Call-ID", "CSeq"))
        text = f"SIP/2.0 {code} {reason}\r\n{vias}{head}To: {invite.header('To')};tag=r{self._port}\r\nContent-Length: 0\r\n\r\n"
        self._socket.sendto(text.encode(), self._server)
