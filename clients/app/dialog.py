# SPDX-License-Identifier: GPL-2.0-or-later
"""Applications as the presentation of 2009 wrote them: an object a call, with callbacks.

    class Welcome(Dialog):
        def onSessionStart(self): self.enqueue("welcome.wav")
        def onDtmf(self, key, duration): self.connectCallee(f"sip:{key}@phones.example")

    app.register(Welcome)

Plain methods run in a thread that belongs to the call, one at a time, and may block; `async` ones run in the process's loop. What the
call is told may be told from either. The names are the presentation's.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING, TypeVar

from clients.app.results import CallEnded, CallFailed, Event, Request

if TYPE_CHECKING:
    from clients.app.call import Call

log = logging.getLogger(__name__)
T = TypeVar("T")


class Dialog:
    """One call. `call`, `worker` as for coroutines; override what you need."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.worker = call.worker
        self._loop = asyncio.get_running_loop()
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._timers_set: dict[int, object] = {}
        """A mark for each timer that is set, changed in the very moment of the command: one that ran out before is told only if it still is."""
        self._events: asyncio.Queue[tuple[str, tuple[object, ...]] | None] = asyncio.Queue()
        self._playing = 0

    # ------------------------------------------------------------------------------------------------------------ callbacks
    def onStart(self) -> object:
        """Before anything else."""

    def onInvite(self, request: Request) -> object:
        """The INVITE. True: the default (answer the call) does not follow."""

    def onCancel(self) -> object:
        """The caller gave up."""

    def onEarlySessionStart(self) -> object:
        """Media before the answer."""

    def onSessionStart(self) -> object:
        """The call is up."""

    def onDtmf(self, key: str, duration: int) -> object:
        """A key, and how long it was pressed in milliseconds."""

    def onBye(self) -> object:
        """The peer hung up."""

    def onSipRequest(self, request: Request) -> object:
        """A request inside the call. True: it has been answered."""

    def onSipReply(self, code: int, reason: str) -> object:
        """A reply to a request of ours."""

    def onEmptyQueue(self) -> object:
        """Everything enqueued has been played."""

    def onTimer(self, id: int) -> object:
        """A timer ran out."""

    def onOtherReply(self, code: int, reason: str) -> object:
        """A reply to the INVITE of the second leg."""

    def onOtherBye(self) -> object:
        """The second leg has gone. The default ends the call."""
        self.stopSession()
        return None

    def onRtpTimeout(self) -> object:
        """The peer sends no RTP any more; the call is being ended."""

    def onAudioCleared(self) -> object:
        """The call has lost its audio, and is being ended."""

    def onSystem(self, kind: str) -> object:
        """`user1` or `user2`: an operator's signal to all calls."""

    def onEvent(self, params: dict[str, str]) -> object:
        """Something was posted to the call."""

    # ------------------------------------------------------------------------------------------------------------- commands
    def _soon(self, function: Callable[[], object]) -> None:
        self._loop.call_soon_threadsafe(function)

    def enqueue(self, path: str, record: str | None = None) -> None:
        """Play a file, or record into one, after what is queued."""

        def do() -> None:
            self._playing += 1
            action = self.call.play(path) if path else self.call.record(record or "")
            action._done.add_done_callback(lambda done: self._one_less())

        self._soon(do)

    def _one_less(self) -> None:
        self._playing -= 1
        if not self._playing and self.call.over is None:
            self._put("onEmptyQueue")

    def flush(self) -> None:
        """Drop what is queued."""
        self._soon(self.call.flush)

    def connectCallee(self, uri: str, caller: str = "", headers: Sequence[str] = ()) -> None:
        """Call a second leg; `onOtherReply` tells what comes of it."""

        async def connect() -> None:
            try:
                await self.call.connect(uri, caller=caller, headers=headers)
            except (CallFailed, CallEnded):
                return  # `onOtherReply` and `onBye` have told it

        self._soon(lambda: self._keep(asyncio.ensure_future(connect())))

    def _keep(self, task: asyncio.Future[None]) -> None:
        _TASKS.add(task)
        task.add_done_callback(_TASKS.discard)

    def terminateOtherLeg(self) -> None:
        """Hang up the second leg."""
        self._soon(self.call.end_other)

    def setTimer(self, id: int, seconds: float) -> None:
        """Start a timer; one of that number that runs is replaced."""
        mark = self._timers_set[id] = object()

        def do() -> None:
            self._cancel_timer(id)
            self._timers[id] = self._loop.call_later(seconds, self._due, id, mark)

        self._soon(do)

    def removeTimer(self, id: int) -> None:
        """Stop a timer."""
        self._timers_set.pop(id, None)
        self._soon(lambda: self._cancel_timer(id))

    def _cancel_timer(self, id: int) -> None:
        timer = self._timers.pop(id, None)
        if timer is not None:
            timer.cancel()

    def _due(self, id: int, mark: object) -> None:
        self._timers.pop(id, None)
        self._put("onTimer", id, mark)

    def _ran_out(self, id: object, mark: object) -> bool:
        """Whether a timer is to be told: it was neither stopped nor replaced while the call's thread was busy."""
        if not isinstance(id, int) or self._timers_set.get(id) is not mark:
            return False
        self._timers_set.pop(id, None)
        return True

    def stopSession(self) -> None:
        """End the call."""
        self._soon(self.call.hangup)

    bye = stopSession

    # ------------------------------------------------------------------------------------------------------------- the shell
    def _put(self, name: str, *arguments: object) -> None:
        self._events.put_nowait((name, arguments))

    async def run(self) -> None:
        """Bring the call's events to the callbacks until it ends. The worker calls this."""
        thread = _CallThread(f"call {self.call.id}")
        self.call.on_request = lambda request: self._put("onSipRequest", request)
        listener = asyncio.ensure_future(self._listen())
        try:
            await self._callback(thread, "onStart")
            taken = await self._callback(thread, "onInvite", _invite(self.call)) if self.call.direction == "in" else True
            if not taken and self.call.over is None:
                self.call.answer()
            while (event := await self._events.get()) is not None:
                name, arguments = event
                if name == "onTimer":
                    if not self._ran_out(*arguments):
                        continue
                    arguments = arguments[:1]
                taken = await self._callback(thread, name, *arguments)
                if name == "onSipRequest" and not taken and isinstance(arguments[0], Request) and arguments[0].token:
                    self.call.reply(arguments[0], 501, "Not Implemented")
        finally:
            listener.cancel()
            for timer in self._timers.values():
                timer.cancel()
            thread.stop()

    async def _callback(self, thread: _CallThread, name: str, *arguments: object) -> object:
        function = getattr(self, name)
        if inspect.iscoroutinefunction(function):
            return await function(*arguments)
        return await thread.run(lambda: function(*arguments))

    async def _listen(self) -> None:
        async for event in self.call.events():
            self._translate(event)
        over = self.call.over
        if over is not None and over.by == "cancel":
            self._put("onCancel")
        elif over is not None and over.by == "remote":
            self._put("onBye")
        self._events.put_nowait(None)

    def _translate(self, event: Event) -> None:
        data = event.data
        if event.type == "digit":
            duration = data.get("duration_ms", 0)
            self._put("onDtmf", event.key, duration)
        elif event.type == "posted":
            self._put("onEvent", event.params)
        elif event.type == "system":
            self._put("onSystem", str(data.get("kind", "")))
        else:
            name = {
                "started": "onSessionStart",
                "early": "onEarlySessionStart",
                "other_bye": "onOtherBye",
                "rtp_timeout": "onRtpTimeout",
                "audio_cleared": "onAudioCleared",
            }.get(event.type)
            if name is not None:
                self._put(name)
            elif event.type in ("other_reply", "reply"):
                self._put(
                    "onOtherReply" if event.type == "other_reply" else "onSipReply", data.get("code", 0), data.get("reason", "")
                )


_TASKS: set[asyncio.Future[None]] = set()


def _invite(call: Call) -> Request:
    return Request("INVITE", call.headers, "", b"", 0)


class _CallThread(Executor):
    """Runs one function after the other, in a thread that is made when the first comes. One that hangs does not keep a process alive."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    async def run(self, function: Callable[[], object]) -> object:
        """Run it there and wait for its result. The loop knows of it (`run_in_executor`): one with a clock of its own waits."""
        return await asyncio.get_running_loop().run_in_executor(self, function)

    def submit(self, fn: Callable[..., T], /, *args: object, **kwargs: object) -> Future[T]:
        """Queue it."""
        done: Future[T] = Future()

        def work() -> None:
            if not done.set_running_or_notify_cancel():
                return
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - whatever it is belongs to who waits
                done.set_exception(error if isinstance(error, Exception) else RuntimeError(repr(error)))
            else:
                done.set_result(result)

        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name=self._name, daemon=True)
            self._thread.start()
        self._work.put(work)
        return done

    def _serve(self) -> None:
        while (work := self._work.get()) is not None:
            work()

    def stop(self) -> None:
        """End the thread when what runs is done."""
        self._work.put(None)
