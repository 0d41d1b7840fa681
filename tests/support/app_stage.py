# SPDX-License-Identifier: GPL-2.0-or-later
"""The test kit's real stage: a whole server, phones of ours, and the application attached to it as a program from elsewhere.

test ── `RealCaller` ── SIP, RTP ── server ── WebSocket ── `Serving` ── the application          real time, real audio

Sounds of `Stage.sound` are noise of their own, which no other sound resembles. Calls out go to one phone, whatever their URIs say.
"""

from __future__ import annotations

import asyncio
import contextlib
import fnmatch
import inspect
import shutil
import tempfile
import urllib.error
import zlib
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from clients.app import App
from clients.app.arrows import Arrows
from clients.app.attach import Way, attach
from clients.app.link import Connection, Message
from clients.app.seen_link import SeenLink
from clients.app.testing.simulator import AppBroken
from clients.app.testing.stage import Application, Callee, Caller, Who, app_of, has_come, name_of, take_oldest
from clients.app.testing.waiting import Waiting
from clients.app.worker import Serving
from tests.support.app_phones import Dialogue, Handset, Pump, Sound
from tests.support.ports import free_port
from tests.support.server import Server, wait_until
from tests.support.sip_peer import PeerCall, UdpPeer, description
from tests.support.tones import write_wav

_PATIENCE = 4
"""Real time is slower on a busy machine than a test's limits say: they are so many times as long here."""
_TONES_HZ = (400.0, 600.0, 900.0, 1300.0, 1700.0, 2100.0)


class AppServer:
    """A server for applications of tests."""

    def __init__(self, folder: Path) -> None:
        self.sounds, self.recordings = folder / "sounds", folder / "recordings"
        for path in (folder / "scripts", self.sounds):
            path.mkdir()
        self.phone_port = free_port()
        conf = f"script_path={folder}/scripts\naudio_path={self.sounds}\nrecord_path={self.recordings}\nremote=*\n"
        settings = f"application=$(apphdr)\nnext_hop=127.0.0.1:{self.phone_port}\n"
        self.server = Server(folder, {"apps.conf": conf}, settings, "monitoring;apps;xmlrpc2di;web")

    def stage(self) -> RealStage:
        """For one test."""
        return RealStage(self)


@contextlib.contextmanager
def app_server() -> Iterator[AppServer]:
    """A server that runs."""
    with tempfile.TemporaryDirectory(prefix="cordboard-apps-") as folder:
        made = AppServer(Path(folder))
        with made.server:
            yield made
        assert "Traceback" not in made.server.log, made.server.log


class RealCallee:
    """A `Callee`."""

    def __init__(self, stage: RealStage, uri: str, rejected: int, rings: bool) -> None:
        self._stage = stage
        self.uri, self.rejected, self.rings = uri, rejected, rings
        self.waiting = Waiting()
        self.dialogues: list[Dialogue] = []
        self._seen = 0

    def take(self, dialogue: Dialogue) -> None:
        """A call comes."""
        self.dialogues.append(dialogue)
        self.waiting.changed()
        if self.rejected:
            dialogue.final(self.rejected)
            return
        dialogue.call.ring()
        if not self.rings:
            dialogue.final(200)

    async def called(self, within_s: float = 10) -> dict[str, str]:
        """See `Callee`."""
        await self.waiting.until(
            lambda: len(self.dialogues) > self._seen, within_s * _PATIENCE, lambda: f"{self.uri} was not called"
        )
        self._seen += 1
        invite = self.dialogues[self._seen - 1].call.invite_message
        assert invite is not None
        return {**{name.lower(): value for name, value in invite.headers}, "request-uri": invite.start_line.split()[1]}

    async def asked(self, method: str, within_s: float = 10) -> dict[str, str]:
        """See `Callee`."""
        asked = self._current().asked
        await self.waiting.until(lambda: has_come(asked, method), within_s * _PATIENCE, lambda: f"no {method} has come")
        return take_oldest(asked, method)

    def _current(self) -> Dialogue:
        assert self.dialogues, f"nobody calls {self.uri}"
        return self.dialogues[-1]

    async def hears(self, sound: str, within_s: float = 10) -> None:
        """See `Callee`."""
        await self._stage.until_heard(self._current(), sound, within_s, "")

    def press(self, keys: str) -> None:
        """See `Callee`."""
        self._current().handset.press(keys)

    def answers(self) -> None:
        """See `Callee`."""
        self._current().final(200)

    def rejects(self, code: int = 486) -> None:
        """See `Callee`."""
        self._current().final(code)

    def hangs_up(self) -> None:
        """See `Callee`."""
        self._current().hang_up("callee", incoming=True)

    async def ended(self, within_s: float = 10) -> Who:
        """See `Callee`."""
        dialogue = self._current()
        await self.waiting.until(
            lambda: dialogue.ended_by is not None, within_s * _PATIENCE, lambda: f"the call to {self.uri} goes on"
        )
        assert dialogue.ended_by is not None
        return dialogue.ended_by


class RealCaller:
    """A `Caller`."""

    def __init__(self, stage: RealStage, dialogue: Dialogue) -> None:
        self.dialogue = dialogue
        self.pressed = ""
        self._stage = stage

    @property
    def id(self) -> str:
        """See `Caller`."""
        return self._stage.ids.get(self.dialogue.call.call_id, "")

    async def _until(self, condition: Callable[[], object], within_s: float, complaint: str) -> None:
        def told() -> str:
            lines = [complaint, *self._stage.arrows.of(self.id), self._stage.server.log[-2000:]]
            return "\n".join(lines)

        await self.dialogue.waiting.until(condition, within_s * _PATIENCE, told)

    async def answered(self, within_s: float = 10) -> int:
        """See `Caller`."""
        await self._until(lambda: self.dialogue.code, within_s, "the call was not answered")
        return self.dialogue.code

    async def hears(self, sound: str, within_s: float = 10) -> None:
        """See `Caller`."""
        await self._stage.until_heard(self.dialogue, sound, within_s, self.id)

    def press(self, keys: str) -> None:
        """See `Caller`."""
        self.pressed += keys
        self.dialogue.handset.press(keys)

    def hangs_up(self) -> None:
        """See `Caller`."""
        self.dialogue.hang_up("caller", incoming=False)

    async def ended(self, within_s: float = 10) -> Who:
        """See `Caller`."""
        await self._until(lambda: self.dialogue.ended_by is not None, within_s, "the call goes on")
        assert self.dialogue.ended_by is not None
        return self.dialogue.ended_by

    async def logged(self, name: str, within_s: float = 10) -> str:
        """See `Caller`."""
        end_s = asyncio.get_running_loop().time() + within_s * _PATIENCE
        while not (text := (await asyncio.to_thread(self._record)).get(name, "")):
            if asyncio.get_running_loop().time() > end_s:
                raise AssertionError("\n".join([f"{name} was not logged", *self._stage.arrows.of(self.id)]))
            await asyncio.sleep(0.05)
        return str(text)

    def _record(self) -> dict[str, Any]:
        found = self._stage.server.xml.di("monitoring", "get", self.id) if self.id else []
        return dict(found[0]) if found else {}

    async def talks_with(self, other: Caller | Callee, within_s: float = 10) -> None:
        """See `Caller`."""
        end_s = asyncio.get_running_loop().time() + within_s * _PATIENCE
        ours = self.dialogue.handset
        while True:
            theirs = self._handset_of(other)
            if theirs is not None and ours.hears_tone(theirs.hz) and theirs.hears_tone(ours.hz):
                return
            if asyncio.get_running_loop().time() > end_s:
                raise AssertionError("\n".join(["the other one is not heard", *self._stage.arrows.of(self.id)]))
            await asyncio.sleep(0.05)

    @staticmethod
    def _handset_of(other: object) -> Handset | None:
        if isinstance(other, RealCaller):
            return other.dialogue.handset
        return other.dialogues[-1].handset if isinstance(other, RealCallee) and other.dialogues else None

    async def gets_keys(self, keys: str, within_s: float = 10) -> None:
        """See `Caller`."""
        end_s = asyncio.get_running_loop().time() + within_s * _PATIENCE
        while (got := self.dialogue.handset.keys()) != keys:
            assert asyncio.get_running_loop().time() < end_s, f"the keys {keys} have not come, but {got!r}"
            await asyncio.sleep(0.05)

    async def held(self, on: bool = True, within_s: float = 10) -> None:
        """See `Caller`."""
        await self._until(lambda: self.dialogue.held is on, within_s, f"the call is {'not ' if on else ''}held")

    async def sends(self, method: str, body: str = "", headers: Sequence[str] = ()) -> int:
        """See `Caller`."""
        return await self.dialogue.request(method, body, "".join(f"{line}\r\n" for line in headers))

    def replies(self, method: str, code: int) -> None:
        """See `Caller`."""
        self.dialogue.answers[method] = code

    async def asked(self, method: str, within_s: float = 10) -> dict[str, str]:
        """See `Caller`."""
        asked = self.dialogue.asked
        await self._until(lambda: has_come(asked, method), within_s, f"no {method} has come")
        return take_oldest(asked, method)


class RealStage:
    """A `Stage`."""

    real = True

    def __init__(self, around: AppServer) -> None:
        self.server = around.server
        self.arrows = Arrows()
        self.ids: dict[str, str] = {}
        """Call-ID → the call's id."""
        self._around = around
        self._callees: list[RealCallee] = []
        self._dialogues: list[Dialogue] = []
        self._attached: dict[int, asyncio.Event] = {}
        self._tasks: list[asyncio.Task[Any]] = []
        self.templates: dict[str, Sound] = {}
        self._stubs: dict[str, object] = {}
        self._asked: dict[str, list[list[object]]] = {}
        self._problems: list[str] = []
        self._faults: list[str] = []
        self._keep: list[App] = []
        self._phone: UdpPeer
        self._callers: UdpPeer
        self._pump: Pump

    # -------------------------------------------------------------------------------------------------------------- the test
    def run(self, work: Coroutine[object, object, None]) -> None:
        """See `Stage`."""
        asyncio.run(self._whole(work))

    async def _whole(self, work: Coroutine[object, object, None]) -> None:
        self._pump = Pump()
        try:
            self._callers = await UdpPeer.open(self.server.sip_port)
            self._phone = await UdpPeer.open(self.server.sip_port, port=self._around.phone_port)
        except OSError:
            work.close()  # else a later test is told of it
            raise
        self._tasks.append(asyncio.ensure_future(self._take_calls()))
        try:
            await work
        finally:
            await self._end()
        assert not self._faults, "an application failed in a call (ask `sim.faults()` where that is right):\n" + "\n".join(
            self._faults
        )
        assert not self._problems, "\n".join(self._problems)

    async def _end(self) -> None:
        for dialogue in self._dialogues:
            dialogue.hang_up(
                "caller" if dialogue.call.invite_message is None else "callee", dialogue.call.invite_message is not None
            )
        await asyncio.to_thread(wait_until, lambda: self.server.xml.calls() == 0, "no call is left")
        for leave in self._attached.values():
            leave.set()
        for dialogue in self._dialogues:
            dialogue.close()
        await asyncio.sleep(0.1)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._callers.close()
        self._phone.close()
        self._pump.close()

    def faults(self) -> list[str]:
        """See `Stage`."""
        faults, self._faults = self._faults, []
        return faults

    def sound(self, name: str, seconds: float = 1.0) -> None:
        """See `Stage`."""
        path = self._around.sounds / name
        noise = np.random.default_rng(zlib.crc32(name.encode())).normal(0, 2500, round(seconds * 8000))
        write_wav(path, np.clip(noise, -32000, 32000).astype(np.int16))
        self.templates[name] = Sound(path)

    def sounds(self, folder: Path) -> None:
        """See `Stage`."""
        for path in folder.glob("*.wav"):
            shutil.copy(path, self._around.sounds / path.name)
            self.templates[path.name] = Sound(path)

    def template(self, name: str) -> Sound:
        """What to listen for."""
        assert name in self.templates, f"there is no {name}: sim.sound({name!r}) makes one"
        return self.templates[name]

    async def until_heard(self, dialogue: Dialogue, sound: str, within_s: float, id: str) -> None:
        """Wait until a phone hears a sound."""
        end_s = asyncio.get_running_loop().time() + within_s * _PATIENCE
        template, handset = self.template(sound), dialogue.handset
        while not handset.recognises(template):
            gone = dialogue.ended_by is not None
            if asyncio.get_running_loop().time() > end_s or gone:
                await asyncio.sleep(0.2)  # what is still on its way
                if handset.recognises(template):
                    return
                lines = "\n".join([*self.arrows.of(id), self.server.log[-2000:]])
                instead = ", ".join(handset.told(self.templates)) or "nothing"
                raise AssertionError(f"{sound} was not heard, but {instead}{', and the call has ended' if gone else ''}\n{lines}")
            await asyncio.sleep(0.04)

    def dials(self, uri: str, *, rejected: int = 0, rings: bool = False) -> RealCallee:
        """See `Stage`."""
        callee = RealCallee(self, uri, rejected, rings)
        self._callees.insert(0, callee)
        return callee

    async def _take_calls(self) -> None:
        while True:
            call = await self._phone.incoming.get()
            assert call.invite_message is not None
            call.reply(call.invite_message, 100)
            uri = call.invite_message.start_line.split()[1].partition(";")[0]
            callee = next((one for one in self._callees if fnmatch.fnmatchcase(uri, one.uri)), None)
            if callee is None:
                self._problems.append(f"{uri} was dialled, and there is no `sim.dials({uri!r}, …)`")
                callee = RealCallee(self, uri, 404, False)
            callee.take(self._dialogue(call, callee.waiting))

    def _dialogue(self, call: PeerCall, waiting: Waiting) -> Dialogue:
        handset = Handset(_TONES_HZ[len(self._dialogues) % len(_TONES_HZ)])
        self._pump.add(handset)
        dialogue = Dialogue(call, handset, waiting)
        self._dialogues.append(dialogue)
        return dialogue

    async def call(
        self,
        app: Application,
        to: str = "sip:app@here.example",
        *,
        caller: str = "sip:caller@there.example",
        headers: Sequence[str] = (),
        config: Mapping[str, str] | None = None,
    ) -> RealCaller:
        """See `Stage`."""
        name = name_of(app)
        if not self._keep:
            await self._attach_stubs()
        await self._attach(name, app, config or {})
        user = to.partition(":")[2].partition("@")[0]
        call = self._callers.call(user)
        call.local = f"<{caller}>;{call.local.partition(';')[2]}"
        dialogue = self._dialogue(call, Waiting())
        lines = "".join(f"{line}\r\n" for line in (f"P-App-Name: {name}", *headers))
        call.send_request("INVITE", description(dialogue.handset.peer.port), headers=lines)
        return RealCaller(self, dialogue)

    # ------------------------------------------------------------------------------------------------------------ the server
    async def _attach(self, name: str, app: Application, config: Mapping[str, str]) -> None:
        if id(app) in self._attached:
            return
        leave = self._attached[id(app)] = asyncio.Event()
        begun = asyncio.get_running_loop().create_future()

        def told(message: Message) -> None:
            if message["k"] == "hello":
                message["config"] = dict(config)
            elif message["k"] == "call":
                self.ids[str(message.get("call_id"))] = str(message.get("call"))
            self.arrows.told(message, asyncio.get_running_loop().time())

        def said(message: Message) -> None:
            if message["k"] in ("ready", "broken") and not begun.done():
                begun.set_result(str(message.get("why", "")))
            values = message.get("with")
            if message.get("do") == "fault" and isinstance(values, dict):
                self._faults.append(f"call {message.get('call')}: {values.get('why')}")
            self.arrows.said(message, asyncio.get_running_loop().time())

        async def serve(link: Connection) -> None:
            await Serving(SeenLink(link, told, said), app_of(app)).run()

        way = Way(f"ws://127.0.0.1:{self.server.web_port}/apps", name, exclusive=True)
        task = asyncio.ensure_future(attach(way, serve, leave))
        self._tasks.append(task)
        await asyncio.wait((task, begun), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            raise AssertionError(f"{name} is not taken: {task.exception()}\n{self.server.log[-2000:]}")
        if begun.result():
            raise AppBroken(f"application {name}: {begun.result()}")
        ready = lambda: any(one["ready"] for one in self.server.json("apps.workers", name))  # noqa: E731
        await asyncio.to_thread(wait_until, ready, f"{name} is attached")

    def di(self, function: str, answer: object) -> None:
        """See `Stage`. An application of that name publishes the function; it is attached with the first call."""
        self._stubs[function] = answer

    async def _attach_stubs(self) -> None:
        modules: dict[str, App] = {}
        for full in self._stubs:
            module, _, function = full.partition(".")
            modules.setdefault(module, App()).functions[function] = self._stub(full)
        for module, app in modules.items():

            @app.call
            async def nobody(call: object) -> None:
                """It takes no calls."""

            self._keep.append(app)
            await self._attach(module, app, {})

    def _stub(self, full: str) -> Callable[..., object]:
        def stub(*arguments: object) -> object:
            self._asked.setdefault(full, []).append(list(arguments))
            answer = self._stubs[full]
            return answer(*arguments) if callable(answer) else answer

        places = [inspect.Parameter(f"argument{n}", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None) for n in range(1, 9)]
        stub.__signature__ = inspect.Signature(places)  # type: ignore[attr-defined]
        return stub

    def asked(self, function: str) -> list[list[object]]:
        """See `Stage`."""
        return self._asked.get(function, [])

    async def invoke(self, app: Application, function: str, *arguments: object) -> object:
        """See `Stage`."""
        try:
            return await asyncio.to_thread(self.server.json, f"{name_of(app)}.{function}", *arguments)
        except (AssertionError, urllib.error.HTTPError) as error:
            raise RuntimeError(str(error)) from None

    async def post(self, caller: Caller, params: Mapping[str, str]) -> None:
        """See `Stage`."""
        assert (await asyncio.to_thread(self.server.json, "core.post_event", caller.id, dict(params)))[0] == 200

    async def kick(self, caller: Caller) -> None:
        """See `Stage`."""
        assert (await asyncio.to_thread(self.server.json, "rooms.kick", caller.id))[0] == 200

    async def room(self, name: str) -> list[str]:
        """See `Stage`."""
        rooms = await asyncio.to_thread(self.server.json, "rooms.list")
        return [str(one["call"]) for one in rooms.get(name, [])]

    async def wait(self, seconds: float) -> None:
        """See `Stage`."""
        await asyncio.sleep(seconds)
