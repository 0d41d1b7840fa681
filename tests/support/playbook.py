# SPDX-License-Identifier: GPL-2.0-or-later
"""A hub without processes: real sessions and applications, a recorded SIP side, `FakeMedia`, a clock moved by hand.

book = Playbook()
call = book.offer("announce")      # an INVITE; the leg opens and the application answers
book.confirm(call)                 # ACK
book.media.press(call.leg, "12#")
book.run()
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from di.calls.selection import Selection, parse_mapping
from di.calls.session import Session
from di.kernel.config import ConfigFile, parse
from di.kernel.options import load
from di.kernel.server_options import CoreOptions
from di.server.plugin import Plugin
from di.sip import records as sip
from di.stores.monitoring.options import Options as MonitoringOptions
from di.stores.monitoring.start import start as start_monitoring
from tests.support.bare_hub import bare_services
from tests.support.fake_media import FakeMedia

DEFAULT_MAPPING = (
    "^sip:announce=>announcement\n^sip:room=>webconference\n^sip:conf=>conference\n^sip:echo=>echo\n^sip:app-(.*)@=>\\1\n"
)


class RecordedSip:
    """`di.sip.port.SipPort` that keeps the commands; a Hangup ends its call at once, as a peer that answers BYE would.

    `over`: calls that the SIP process knows no more; a Hangup of one does nothing.
    """

    def __init__(self, on_event: Callable[[object], None]) -> None:
        self.on_event = on_event
        self.commands: list[Any] = []
        self.over: set[int] = set()

    def send(self, command: object) -> None:
        """Take a command."""
        self.commands.append(command)
        if isinstance(command, sip.Hangup) and command.call not in self.over:
            self.over.add(command.call)
            self.on_event(sip.CallEnded(command.call, command.code, command.reason, "local"))

    def of(self, kind: type, call: int) -> list[Any]:
        """Commands of a kind for a call."""
        return [c for c in self.commands if isinstance(c, kind) and c.call == call]


class Playbook:
    """Drives calls by hand."""

    def __init__(self, core: CoreOptions | None = None, mapping: str = DEFAULT_MAPPING, conf_dir: Path = Path(".")) -> None:
        self.services, self.clock = bare_services(core=core)
        self.services.conf_dir = conf_dir
        self.sessions = self.services.sessions
        self.sessions.arrivals.selection = Selection("$(mapping)", parse_mapping(mapping, "mapping"))
        self.sip = RecordedSip(self.sessions.on_sip_event)
        self.media = FakeMedia(self.sessions.on_media_event)
        self.sessions.sip = self.sip
        self.sessions.media_up(self.media)
        self.sessions.ways.needs_none = lambda plan, request_uri: True  # type: ignore[method-assign]  # no name is looked up here
        self._next_call = -1
        self.source_ip = "127.0.0.1"
        """Where the next INVITE comes from."""
        self.waiting: list[Awaitable[None]] = []
        self.sessions.spawn = self.waiting.append  # type: ignore[method-assign]

    def load(self, plugin: Plugin[Any], text: str = "") -> Any:
        """Start a plug-in with options from text; returns its closer."""
        options = None
        if plugin.options is not None:
            conf = ConfigFile(str(self.services.conf_dir / f"{plugin.name}.conf"))
            parse(text, conf, Path("/"), lambda path: "")
            options = load(plugin.options, conf, {}, plugin.name)
        return plugin.start(self.services, options)

    def with_monitoring(self) -> Playbook:
        """Load the store, without its collector."""
        start_monitoring(self.services, replace(MonitoringOptions(), run_garbage_collector=False))
        return self

    def run(self, seconds: float = 0.0) -> None:
        """Let everything queued happen, and time pass."""
        self.clock.advance(seconds)

    def invoke(self, module: str, method: str, *args: object) -> Any:
        """Call a DI function, then let happen what it set off."""
        answer = self.services.registry.invoke(module, method, list(args))
        if inspect.iscoroutine(answer) and asyncio._get_running_loop() is None:
            answer = asyncio.run(answer)
        self.run()
        return answer

    # -------------------------------------------------------------------------------------------------------------- calls in
    def offer(self, user: str, headers: tuple[tuple[str, str], ...] = (), domain: str = "here.example") -> int:
        """An INVITE comes; returns the call's number."""
        self._next_call += 2
        call = self._next_call
        self.sip.over.discard(call)
        uri = f"sip:{user}@{domain}"
        self.sessions.on_sip_event(
            sip.CallOffered(
                call,
                uri,
                f"<sip:caller{call}@there.example>;tag=t{call}",
                f"<{uri}>",
                f"id{call}",
                f"t{call}",
                "sip:c@192.0.2.1",
                self.source_ip,
                5060,
                headers,
                b"",
                True,
                "192.0.2.1",
                4000 + call,
                codecs=("PCMU/8000",),
            )
        )
        self.run()
        return call

    def session(self, call: int) -> Session:
        """The session of a call that is not over."""
        return next(s for s in self.sessions if s.call == call)

    def negotiate(self, call: int, send: bool = True, receive: bool = True, dtmf: int = 101) -> None:
        """Offer and answer are complete. `dtmf`: payload type of telephone-event, -1 without it."""
        self.sessions.on_sip_event(
            sip.MediaNegotiated(call, "192.0.2.1", 4000 + call, "PCMU", 8000, 1, 0, 0, 20, dtmf, dtmf, send, receive)
        )
        self.run()

    def confirm(self, call: int) -> Session:
        """ACK, or 2xx to our INVITE: the call is up."""
        self.sessions.on_sip_event(sip.CallIdentified(call, f"id{call}", f"local{call}", f"t{call}"))
        self.negotiate(call)
        self.sessions.on_sip_event(sip.CallConfirmed(call, 200, "OK"))
        self.run()
        return self.session(call)

    def confirm_if_there(self, call: int) -> None:
        """As `confirm`, of a call that may be over by then."""
        self.negotiate(call)
        self.sessions.on_sip_event(sip.CallConfirmed(call, 200, "OK"))
        self.run()

    def up(self, user: str, headers: tuple[tuple[str, str], ...] = ()) -> Session:
        """A call that is offered, answered and confirmed."""
        return self.confirm(self.offer(user, headers))

    def bye(self, session: Session) -> None:
        """The peer hangs up."""
        self.ended(session.call, 200, "OK")

    def progress(self, call: int, code: int = 180, reason: str = "Ringing", has_body: bool = False) -> None:
        """A provisional reply to our INVITE."""
        self.sessions.on_sip_event(sip.CallProgressed(call, code, reason, (), has_body))
        self.run()

    def fail(self, call: int, code: int = 486, reason: str = "Busy Here") -> None:
        """A final failure of our INVITE."""
        self.ended(call, code, reason)

    def ended(self, call: int, code: int, reason: str, by: str = "remote", headers: tuple[tuple[str, str], ...] = ()) -> None:
        """The SIP process tells the end of a call, and knows it no more."""
        self.sip.over.add(call)
        self.sessions.on_sip_event(sip.CallEnded(call, code, reason, by, headers))
        self.run()

    def answers(self, call: int) -> list[int]:
        """Codes of the replies that were given to a call."""
        return [c.code for c in self.sip.commands if isinstance(c, (sip.Answer, sip.Hangup)) and c.call == call]
