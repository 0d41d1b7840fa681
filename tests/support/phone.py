# SPDX-License-Identifier: GPL-2.0-or-later
"""A phone for tests of the whole server: SIP over UDP without an event loop, its audio a ``rtp_peer.Peer``.

phone = Phone(server.sip_port, group.peer(440))
phone.call("echo", ("a=ptime:40",))      # answered: phone.answer is the server's SDP, the peer knows where to send
phone.invite(("a=sendonly",))            # re-INVITE, sent only: let RTP run meanwhile, then phone.answered()
phone.bye()
"""

from __future__ import annotations

import itertools
import socket
import time
from collections.abc import Callable
from types import TracebackType

from interfaces.sip.message import Message, parse, uri_of
from tests.support.rtp_peer import NAMES, Peer
from tests.support.sdp import audio_address

_NUMBERS = itertools.count(1)


class Phone:
    """One dialog. Raises AssertionError when the server does not answer as expected."""

    def __init__(self, server_port: int, peer: Peer, formats: str = "", rtpmaps: tuple[str, ...] = ()) -> None:
        self.peer = peer
        self.server_port = server_port
        self.answer = self.offer = ""
        self.code, self.reason, self.warning = 0, "", ""
        self.headers: tuple[str, ...] = ()
        """Further header lines of INVITEs."""
        self.edit: Callable[[str], str] | None = None
        """What becomes of a description before it is sent."""
        self.messages: list[Message] = []
        self._formats = formats or f"{peer.payload_type} 101"
        self._rtpmaps = rtpmaps or (f"{peer.payload_type} {NAMES[peer.payload_type]}/8000", "101 telephone-event/8000")
        self._socket = self._connection()
        self._port = int(self._socket.getsockname()[1])
        self._call_id = f"phone{next(_NUMBERS)}-{self._port}@test"
        self._local = f"<sip:phone@127.0.0.1>;tag=t{self._port}"
        self._remote = self._target = ""
        self._cseq = self._invited = 0
        self._version = 0
        self._sent_invite = ""

    transport = "UDP"

    def _connection(self) -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind(("127.0.0.1", 0))
        return made

    def __enter__(self) -> Phone:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._socket.close()

    def call(self, user: str, lines: tuple[str, ...] = (), seconds: float = 30.0) -> Phone:
        """Place a call and wait for the final reply; a call that is accepted is acknowledged."""
        self.ring(user, lines)
        self.answered(seconds)
        return self

    def ring(self, user: str, lines: tuple[str, ...] = ()) -> None:
        """Place a call and wait for nothing."""
        self._target = f"sip:{user}@127.0.0.1:{self.server_port}"
        self._remote = f"<sip:{user}@127.0.0.1>"
        self.invite(lines)

    def invite(self, lines: tuple[str, ...] = ()) -> None:
        """Send an INVITE, the first or a later one; `lines`: further ones of the audio stream."""
        self._cseq += 1
        self._invited = self._cseq
        self._send("INVITE", self._description(lines), self._cseq)

    def _description(self, lines: tuple[str, ...] = ()) -> str:
        self._version += 1
        maps = "".join(f"a=rtpmap:{line}\r\n" for line in self._rtpmaps)
        body = (
            f"v=0\r\no=phone 1 {self._version} IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            f"m=audio {self.peer.port} RTP/AVP {self._formats}\r\n{maps}" + "".join(f"{line}\r\n" for line in lines)
        )
        return self.edit(body) if self.edit is not None else body

    def called(self, formats: str = "", seconds: float = 30.0) -> None:
        """Wait for the server's INVITE and accept it; `formats`: those of the answer, all of ours otherwise."""
        invite = self.wait(lambda m: m.method == "INVITE", seconds)
        self._formats = formats or self._formats
        self.offer = invite.body.decode()
        self.peer.remote = audio_address(self.offer)
        self._local, self._remote = f"{invite.header('To')};tag=t{self._port}", invite.header("From")
        self._call_id, self._target = invite.header("Call-ID"), uri_of(invite.header("Contact"))
        body = self._description()
        vias = "".join(f"Via: {value}\r\n" for name, value in invite.headers if name == "Via")
        head = "".join(f"{name}: {invite.header(name)}\r\n" for name in ("From", "Call-ID", "CSeq"))
        self._socket.sendto(
            f"SIP/2.0 200 OK\r\n{vias}{head}To: {self._local}\r\nContact: <{self.uri}>\r\n"
            f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode(),
            self._server,
        )
        self.wait(lambda m: m.method == "ACK", seconds)

    @property
    def call_id(self) -> str:
        """Of its dialog."""
        return self._call_id

    @property
    def uri(self) -> str:
        """Where it can be called."""
        return f"sip:phone@127.0.0.1:{self._port}"

    def answered(self, seconds: float = 30.0) -> int:
        """Wait for the final reply to the last INVITE; its code."""
        reply = self.wait(lambda m: m.code >= 200 and m.header("CSeq") == f"{self._invited} INVITE", seconds)
        self.code, self.reason, self._remote, self.warning = reply.code, reply.reason, reply.header("To"), reply.header("Warning")
        if reply.code < 300:
            self._target = uri_of(reply.header("Contact")) or self._target
            self.answer = reply.body.decode()
            self.peer.remote = audio_address(self.answer)
        self._send("ACK", "", self._invited)
        return self.code

    def bye(self) -> None:
        """Hang up."""
        self._cseq += 1
        self._send("BYE", "", self._cseq)
        self.wait(lambda m: m.code >= 200 and m.header("CSeq") == f"{self._cseq} BYE")

    def hung_up(self, seconds: float = 30.0) -> Message:
        """Wait for the server's BYE and confirm it."""
        request = self.wait(lambda m: m.method == "BYE", seconds)
        vias = "".join(f"Via: {value}\r\n" for name, value in request.headers if name == "Via")
        head = "".join(f"{name}: {request.header(name)}\r\n" for name in ("From", "To", "Call-ID", "CSeq"))
        self._socket.sendto(f"SIP/2.0 200 OK\r\n{vias}{head}Content-Length: 0\r\n\r\n".encode(), self._server)
        return request

    def respond(self, request: Message, code: int, reason: str) -> None:
        """Answer a request that was waited for."""
        vias = "".join(f"Via: {value}\r\n" for name, value in request.headers if name == "Via")
        head = "".join(f"{name}: {request.header(name)}\r\n" for name in ("From", "To", "Call-ID", "CSeq"))
        text = f"SIP/2.0 {code} {reason}\r\n{vias}{head}Contact: <{self.uri}>\r\nContent-Length: 0\r\n\r\n"
        self._socket.sendto(text.encode(), self._server)

    def request(self, method: str, lines: tuple[str, ...] = (), kind: str = "", body: str = "") -> Message:
        """Send a request in the dialog and wait for its final reply. `lines`: further header lines."""
        self._cseq += 1
        self._send(method, body, self._cseq, lines, kind)
        return self.wait(lambda m: m.code >= 200 and m.header("CSeq") == f"{self._cseq} {method}")

    def progress(self, code: int, seconds: float = 30.0) -> Message:
        """Wait for a provisional reply with a session; the peer knows then where to send, and the dialog is early."""
        reply = self.wait(lambda m: m.code == code and m.header("CSeq") == f"{self._invited} INVITE", seconds)
        self._remote, self._target = reply.header("To"), uri_of(reply.header("Contact")) or self._target
        self.answer = reply.body.decode()
        self.peer.remote = audio_address(self.answer)
        return reply

    def acknowledge(self, provisional: Message) -> Message:
        """PRACK a reliable provisional reply (RFC 3262)."""
        return self.request("PRACK", (f"RAck: {provisional.header('RSeq')} {provisional.header('CSeq')}",))

    def cancel(self) -> None:
        """Give up before the answer."""
        invite = self._sent_invite
        head = "".join(line + "\r\n" for line in invite.split("\r\n") if line.startswith(("Via:", "From:", "Call-ID:", "Max-")))
        target = invite.split(" ", 2)[1]
        to = next(line for line in invite.split("\r\n") if line.startswith("To:"))
        self._socket.sendto(
            f"CANCEL {target} SIP/2.0\r\n{head}{to}\r\nCSeq: {self._invited} CANCEL\r\nContent-Length: 0\r\n\r\n".encode(),
            self._server,
        )

    def wait(self, wanted: object, seconds: float = 30.0) -> Message:
        """Return the first message, taken out, for which `wanted(message)` holds."""
        assert callable(wanted)
        until = time.monotonic() + seconds
        while True:
            for place, message in enumerate(self.messages):
                if wanted(message):
                    return self.messages.pop(place)
            left = until - time.monotonic()
            assert left > 0, f"no such message in {seconds:.0f} s; there were {[(m.method, m.code) for m in self.messages]}"
            self._socket.settimeout(left)
            try:
                self.messages.append(parse(self._socket.recv(65536).decode("utf-8", "replace")))
            except TimeoutError:
                continue

    @property
    def _server(self) -> tuple[str, int]:
        return ("127.0.0.1", self.server_port)

    def _send(self, method: str, body: str, cseq: int, lines: tuple[str, ...] = (), kind: str = "application/sdp") -> None:
        head = (
            f"{method} {self._target} SIP/2.0\r\nVia: SIP/2.0/{self.transport} 127.0.0.1:{self._port};branch=z9hG4bKp{next(_NUMBERS)}\r\n"
            f"From: {self._local}\r\nTo: {self._remote}\r\nCall-ID: {self._call_id}\r\nCSeq: {cseq} {method}\r\n"
            f"Max-Forwards: 70\r\nContact: <{self.uri}>\r\n"
        )
        further = "".join(f"{line}\r\n" for line in (*(self.headers if method == "INVITE" else ()), *lines))
        content = f"Content-Type: {kind}\r\n" if body else ""
        text = head + further + content + f"Content-Length: {len(body)}\r\n\r\n{body}"
        if method == "INVITE":
            self._sent_invite = text
        self._socket.sendto(text.encode(), self._server)
