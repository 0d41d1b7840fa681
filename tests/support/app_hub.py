# SPDX-License-Identifier: GPL-2.0-or-later
"""The test kit's stage with the hub's own code: real sessions, pairs and `BridgedCall`; SIP and media are fakes, time is virtual.

test ── `SimulatedCaller` ── `HubCall` ── Playbook: sessions, BridgedCall ── link in memory ── `Serving` ── the application

Between the simulation, which only says what a hub would say, and the real stage, which needs processes and time.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from clients.app.link import Message
from clients.app.testing import Simulator
from clients.app.testing.simulated_legs import Leg, reason_of
from clients.app.testing.simulator import SimulatedCaller, _Company, _pair
from clients.app.testing.stage import HEARD_S, Application, Caller, Who
from clients.app.testing.waiting import Waiting
from di.calls.session import Session
from di.kernel.errors import DIError
from di.sip import records as sip
from di.spoken.options import Options as PromptOptions
from interfaces.apps.bridged_call import BridgedCall, Means
from interfaces.apps.files import Reach
from interfaces.apps.operations import OPERATIONS
from interfaces.apps.speaker import Speaker
from media.control import play_items, recording_records, records
from tests.support.playbook import Playbook

_TICK_S = 0.01
_KEYS = "0123456789*#ABCD"


class Heard:
    """What a leg plays, and since when; `heard` and `elsewhere` as the simulation's playlist has them."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.elsewhere = True
        self.item: object = None
        self.since_s = 0.0
        self.known = False


class Program:
    """An application's process as a `BridgedCall` knows it."""

    def __init__(self, send: Callable[[Message], None]) -> None:
        self.calls: set[str] = set()
        self.legs: set[str] = set()
        self.source_ip = ""
        self.send = send


class HubCall:
    """One call into the hub, in the words of `SimulatedCall`, which `SimulatedCaller` speaks."""

    def __init__(self, stage: HubStage, number: int, session: Session) -> None:
        self.stage, self.number, self.session = stage, number, session
        self.id = session.id
        self.waiting = stage.news
        self.code = 0
        self.ended_by: Who | None = None
        self.up = False
        self.answers: dict[str, int] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.sent_keys = ""
        self.held = False
        self.audio = Heard()
        self.replies: dict[int, asyncio.Future[int]] = {}

    @property
    def logged(self) -> dict[str, str]:
        """Its record in the store."""
        found = self.stage.book.invoke("monitoring", "get", self.id)
        return {
            name: str(int(value) if isinstance(value, bool) else value) for name, value in dict(found[0] if found else {}).items()
        }

    @property
    def room(self) -> str:
        """Where it is, as the media process knows it too."""
        current = self.stage.current(self.session)
        return (
            self.session.audio.room
            if isinstance(current, play_items.PlayRoom) and current.room == self.session.audio.room
            else ""
        )

    @property
    def leg(self) -> Leg | None:
        """The second leg."""
        second = self.session.pair.second if self.session.pair is not None else None
        return self.stage.legs.get(second.call) if second is not None else None

    @property
    def hears_other(self) -> bool:
        """Whether each of the two plays the other one."""
        second = self.session.pair.second if self.session.pair is not None else None
        if second is None:
            return False
        ours, theirs = self.stage.current(self.session), self.stage.current(second)
        return (
            isinstance(ours, play_items.PlayBridge) and ours.peer_leg == second.leg
            and isinstance(theirs, play_items.PlayBridge) and theirs.peer_leg == self.session.leg
        )  # fmt: skip

    def peer_presses(self, key: str) -> None:
        """A key."""
        if self.session.leg in self.stage.book.media.legs:
            self.stage.book.media.press(self.session.leg, key)

    def peer_hangs_up(self) -> None:
        """BYE, or CANCEL before the answer."""
        if self.ended_by is None:
            how = (200, "OK", "remote") if self.up else (487, "Request Terminated", "cancel")
            self.over("caller")
            self.stage.book.sessions.on_sip_event(sip.CallEnded(self.number, *how))

    def over(self, by: Who) -> None:
        """It ends."""
        self.ended_by = self.ended_by or by
        self.waiting.changed()

    async def peer_sends(self, method: str, headers: list[list[str]], body: bytes) -> int:
        """A request inside the call; the code of its reply."""
        token = self.stage.next_token()
        self.replies[token] = asyncio.get_running_loop().create_future()
        pairs = tuple((name, value) for name, value in headers)
        kind = "text/plain" if body else ""
        self.stage.book.sessions.on_sip_event(sip.RequestReceived(self.number, token, method, pairs, kind, body, True))
        return await self.replies[token]


class HubStage(Simulator):
    """A `Stage`."""

    def __init__(self) -> None:
        super().__init__()
        self.news = Waiting()
        self.legs: dict[int, Leg] = {}
        """SIP call → the second leg that it is."""
        self.hub_calls: dict[int, HubCall] = {}
        self.leg_calls: dict[int, HubCall] = {}
        """Second legs, as the application steers them."""
        self._folder = tempfile.TemporaryDirectory(prefix="cordboard-hub-")
        reach = Reach(Path(self._folder.name), None, Path(self._folder.name) / "recordings" / "app")
        self._means = Means(reach, Speaker(PromptOptions(tts_command="/bin/false {wav}")), "en", OPERATIONS)
        self._seen = self._media_seen = 0
        self._token = 0
        self._recordings: dict[int, tuple[recording_records.StartRecording, float]] = {}
        self._programs: dict[int, Program] = {}
        self._next: _Company
        self._ticker: asyncio.Task[None] | None = None
        self.book: Playbook

    def next_token(self) -> int:
        """Of a request."""
        self._token += 1
        return 1_000_000 + self._token

    def current(self, session: Session) -> play_items.PlayItem | None:
        """What a call plays."""
        return self.book.media.current(session.leg) if session.leg in self.book.media.legs else None

    def sound(self, name: str, seconds: float = 1.0) -> None:
        """See `Stage`."""
        super().sound(name, seconds)
        (Path(self._folder.name) / name).touch()

    async def _end(self) -> None:
        if self._ticker is not None and self._ticker.done():
            self._ticker.result()  # raises what has stopped it
        for call in self.hub_calls.values():
            call.peer_hangs_up()
        await asyncio.sleep(0.1)
        assert not list(self.book.sessions), "no call is left"
        await super()._end()
        if self._ticker is not None:
            self._ticker.cancel()
        self._folder.cleanup()

    # --------------------------------------------------------------------------------------------------------------- the hub
    def _begin(self) -> None:
        if self._ticker is not None:
            return
        self.book = Playbook(mapping="^sip:=>prog\n").with_monitoring()
        self.book.sessions.spawn = asyncio.ensure_future  # type: ignore[method-assign, assignment]
        self.book.services.applications.register("prog", self._bridged)
        self._ticker = asyncio.ensure_future(self._tick())

    def _bridged(self, session: Session) -> BridgedCall:
        company = self._next
        program = self._programs.setdefault(id(company), Program(lambda message: self._tell(company, message)))
        return BridgedCall(session, program, self._means)  # type: ignore[arg-type]

    async def call(
        self,
        app: Application,
        to: str = "sip:app@here.example",
        *,
        caller: str = "sip:caller@there.example",
        headers: Sequence[str] = (),
        config: Mapping[str, str] | None = None,
    ) -> SimulatedCaller:
        """See `Stage`."""
        del caller
        self._next = await self._company(app, config or {})
        self._begin()
        user, _, domain = to.partition(":")[2].partition("@")
        pairs = tuple((name, value) for name, value in map(_pair, headers))
        number = self.book.offer(user, pairs, domain)
        call = self.hub_calls[number] = HubCall(self, number, self.book.session(number))
        return SimulatedCaller(call, self.arrows)  # type: ignore[arg-type]  # it speaks the same words

    def _operation(self, message: Message) -> None:
        values, op = message.get("with"), message.get("op")
        if message.get("do") == "fault" and isinstance(values, dict):
            self._faults.append(f"call {message.get('call')}: {values.get('why')}")
        session = self.book.sessions.find(str(message.get("call")))
        if session is None or not isinstance(op, int):
            return
        app, what = session.app, str(message.get("do"))
        assert isinstance(app, BridgedCall)
        session.run(lambda: app.perform(op, what, values))

    def of_every_server(self, name: str, given: Sequence[object]) -> object:
        """The hub's own."""
        module, _, function = name.partition(".")
        return self.book.invoke(module, function, *given)

    async def post(self, caller: Caller, params: Mapping[str, str]) -> None:
        """See `Stage`."""
        assert self.book.invoke("core", "post_event", caller.id, dict(params))[0] == 200

    async def kick(self, caller: Caller) -> None:
        """See `Stage`."""
        assert self.book.invoke("rooms", "kick", caller.id)[0] == 200

    async def room(self, name: str) -> list[str]:
        """See `Stage`."""
        try:
            return [str(one["call"]) for one in self.book.invoke("rooms", "list").get(name, [])]
        except DIError:
            return []

    # ----------------------------------------------------------------------------------------------------- the phones, the media
    async def _tick(self) -> None:
        """Time passes in the hub, and what it has sent is answered."""
        while True:
            await asyncio.sleep(_TICK_S)
            self.book.run(_TICK_S)
            while self._seen < len(self.book.sip.commands):
                self._seen += 1
                self._sip(self.book.sip.commands[self._seen - 1])
            while self._media_seen < len(self.book.media.commands):
                self._media_seen += 1
                self._media(self.book.media.commands[self._media_seen - 1])
            self._play(asyncio.get_running_loop().time())
            self.book.run()
            self.news.changed()

    def _sip(self, command: Any) -> None:
        call = self.hub_calls.get(getattr(command, "call", 0))
        match command:
            case sip.Answer() if call is not None and command.code >= 200:
                call.code, call.up = command.code, True
                self.book.confirm(command.call)
            case sip.Answer() if call is not None and command.media_port:
                self.book.negotiate(command.call)
            case sip.Hangup() if call is not None:
                call.code = call.code or command.code
                call.over("app")
            case sip.Hangup() if command.call in self.legs:
                self.legs[command.call].over("app")
            case sip.Dial():
                self._dialled(command)
            case sip.Reinvite() if call is not None:
                call.held = command.direction == "sendonly"
                self.book.sessions.on_sip_event(sip.ReplyReceived(command.call, command.token, 200, "OK"))
            case sip.SendReply() if call is not None and command.token in call.replies:
                call.replies[command.token].set_result(command.code)
            case sip.SendRequest():
                headers = {name.lower(): value for name, value in map(_pair, command.headers)}
                if call is not None:
                    call.asked.append((command.method, {**headers, "body": command.body.decode()}))
                    code = call.answers.get(command.method, 202 if command.method == "REFER" else 200)
                else:
                    code = self.legs[command.call].request(command.method, headers, command.body)
                self.book.sessions.on_sip_event(sip.ReplyReceived(command.call, command.token, code, reason_of(code)))

    def _dialled(self, command: sip.Dial) -> None:
        number = command.call
        headers = {name.lower(): value for name, value in map(_pair, command.headers)}
        headers["request-uri"] = command.request_uri

        def on_reply(leg: Leg, code: int) -> None:
            if code < 200:
                self.book.progress(number, code, reason_of(code))
            elif code < 300:
                self.book.confirm_if_there(number)
            else:
                self.book.fail(number, code, reason_of(code))

        def on_over(leg: Leg) -> None:
            self.book.sessions.on_sip_event(sip.CallEnded(number, 200, "OK", "remote"))

        callee = self.callee_of(command.request_uri, "the hub")
        leg = self.legs[number] = Leg(callee, headers, on_reply, on_over)
        leg.side = self.leg_calls[number] = HubCall(self, number, self.book.session(number))
        callee.take(self.legs[number])

    def _media(self, command: records.Command) -> None:
        now_s = asyncio.get_running_loop().time()
        match command:
            case records.SendDigit():
                self._of_leg(command.leg).sent_keys += _KEYS[command.event]
            case recording_records.StartRecording():
                self._recordings[command.leg] = (command, now_s)
            case recording_records.StopRecording() | records.CloseLeg():
                self._recorded(command.leg, "asked" if isinstance(command, recording_records.StopRecording) else "closed")

    def _recorded(self, leg: int, why: str) -> None:
        command, since_s = self._recordings.pop(leg, (None, 0.0))
        if command is not None:
            length_ms = round((asyncio.get_running_loop().time() - since_s) * 1000)
            self.book.sessions.on_media_event(recording_records.RecordingStopped(leg, command.path, length_ms, 0, why))

    def _of_leg(self, leg: int) -> HubCall:
        return next(call for call in self.hub_calls.values() if call.session.leg == leg)

    def _play(self, now_s: float) -> None:
        """Files are heard, and end when they are as long as `sound` says."""
        for leg, (command, since_s) in list(self._recordings.items()):
            if command.length_ms and (now_s - since_s) * 1000 >= command.length_ms:
                self._recorded(leg, "length")
        for call in (*self.hub_calls.values(), *self.leg_calls.values()):
            heard, media, leg = call.audio, self.book.media, call.session.leg
            item = media.current(leg) if leg in media.legs and media.legs[leg].connected is not None else None
            if item is not heard.item:
                heard.item, heard.since_s, heard.known = item, now_s, False
            if isinstance(item, play_items.PlaySilence) and (now_s - heard.since_s) * 1000 >= item.length_ms:
                media.finish_item(leg)
            if not isinstance(item, play_items.PlayFile):
                continue
            name = Path(item.path).name
            played_s, length_s = now_s - heard.since_s, self._sounds[name]
            if not heard.known and played_s >= min(HEARD_S, length_s):
                heard.known = True
                heard.heard.append(name)
            if played_s >= length_s:
                heard.item = None
                if not item.loop:
                    media.finish_item(leg)
