# SPDX-License-Identifier: GPL-2.0-or-later
"""A call without a server: what a script asks for is written down instead of done. For `cordboard dsm run` and for tests of scripts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

from di.calls.subscriptions import SubscriptionOrder
from di.dsm.language.arrays import byte_order
from di.dsm.language.errors import DsmException
from di.dsm.language.event import Event, Kind
from di.dsm.language.model import Nested, Outcome
from di.dsm.run.ports import AudioPort, B2BPort, DialogPort, HubPort
from di.kernel.errors import NoSuchModule
from di.kernel.value import Value

T = TypeVar("T")


class SimulatedSession:
    """Implements every port of `DsmSession`. `done` lists what was asked for, one line an operation; `queue` holds events to come."""

    def __init__(self, id: str = "simulated-1") -> None:
        self.id = id
        self.done: list[str] = []
        self.queue: list[Event] = []
        self.timers: dict[int, int] = {}
        self.selects: dict[str, str] = {"local_tag": id}
        self.stopped = False
        self.dialog_state = "early"
        self.recording = ""
        self.room = ""
        self.tees: dict[str, str] = {}
        self.mixing = False
        self.missing_files: set[str] = set()
        self.prompts: set[str] | None = None
        self.sessions: set[str] = {id}
        self.queues: set[str] = set()
        self.subscriptions: set[str] = set()
        self.functions: dict[tuple[str, str], Callable[..., Value | Awaitable[Value]]] = {}
        self.module_settings: dict[str, dict[str, str]] = {}
        self.request_bodies: dict[str, str] | None = None
        self.reply_bodies: dict[str, str] | None = None
        self.clock_us = 1_700_000_000_000_000
        self._shared: dict[str, object] = {}
        self._ids = 0

    # --------------------------------------------------------------------------------------------------------- the session
    @property
    def media(self) -> AudioPort:
        """Playlist operations of this very object."""
        return cast(AudioPort, _Media(self))

    @property
    def dialog(self) -> DialogPort:
        """Dialog operations of this very object."""
        return cast(DialogPort, _Dialog(self))

    @property
    def b2b(self) -> B2BPort:
        """The second leg: written down only."""
        return cast(B2BPort, _Noted(self, "b2b"))

    @property
    def hub(self) -> HubPort:
        """Everything outside the call."""
        return cast(HubPort, _Hub(self))

    def note(self, *words: object) -> None:
        """Write down an operation."""
        self.done.append(" ".join(str(word) for word in words if word != ""))

    def take(self) -> list[str]:
        """What was done since the last time."""
        done, self.done = self.done, []
        return done

    def select(self, name: str) -> str:
        """`@name`, as given in `selects`."""
        return self.selects.get(name, "")

    def stop(self, bye_now: bool) -> None:
        """End of the call."""
        self.stopped = True
        self.note("stop", "bye" if bye_now else "")

    def set_timer(self, id: int, seconds: int) -> None:
        """A timer; 0 is queued at once."""
        self.note("timer", id, seconds)
        if seconds:
            self.timers[id] = seconds
        else:
            self.timers.pop(id, None)
            self.queue.append(Event(Kind.TIMER, {"id": str(id)}))

    def remove_timer(self, id: int) -> None:
        """Stop a timer."""
        self.timers.pop(id, None)

    def remove_timers(self) -> None:
        """Stop all."""
        self.timers.clear()

    def register_queue(self, name: str) -> bool:
        """Another name."""
        if name in self.queues:
            return False
        self.queues.add(name)
        return True

    def unregister_queue(self, name: str) -> None:
        """Undo it."""
        self.queues.discard(name)


class _Noted:
    """A port whose every operation is only written down."""

    def __init__(self, session: SimulatedSession, prefix: str = "") -> None:
        self.session = session
        self._prefix = prefix

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)

        def operation(*args: object, **options: object) -> None:
            words = [self._prefix, name, *args, *(f"{key}={value}" for key, value in options.items() if value)]
            self.session.note(*words)

        return operation


class _Media(_Noted):
    def play_prompt(self, name: str, *, front: bool = False, loop: bool = False) -> None:
        if self.session.prompts is not None and name not in self.session.prompts:
            raise DsmException("prompt", name=name)
        self.session.note("prompt", name, "front" if front else "", "loop" if loop else "")

    def use_prompts(self, name: str) -> None:
        self.session.note("prompts", name)

    def play_file(self, path: str, *, front: bool = False, loop: bool = False) -> None:
        if path in self.session.missing_files:
            raise DsmException("file", path=path)
        self.session.note("play", path, "front" if front else "", "loop" if loop else "")

    def record(self, path: str) -> None:
        if path in self.session.missing_files:
            raise DsmException("file", path=path)
        self.session.recording = path
        self.session.note("record", path)

    def stop_record(self) -> bool:
        was, self.session.recording = self.session.recording, ""
        self.session.note("stop_record")
        return bool(was)

    def recorded_ms(self) -> int | None:
        return 1000 if self.session.recording else None

    def recorded_bytes(self) -> int | None:
        return 16000 if self.session.recording else None

    def join(self, room: str, mode: str) -> None:
        self.session.room = room
        self.session.note("join", room, mode)

    def leave(self) -> bool:
        was, self.session.room = self.session.room, ""
        self.session.note("leave", was)
        return bool(was)

    def tee_join(self, room: str, name: str) -> None:
        self.session.tees[name] = room
        self.session.note("tee_join", room, name)

    def tee_leave(self, name: str) -> bool:
        self.session.note("tee_leave", name)
        return bool(self.session.tees.pop(name, ""))

    def set_up_mix_in(self, level: float, interval_ms: int) -> None:
        self.session.mixing = True
        self.session.note("set_up_mix_in", level, interval_ms)

    def play_mix_in(self, path: str) -> None:
        self._mix_in("play_mix_in", path)

    def queue_mix_in(self, path: str, *, loop: bool = False) -> None:
        self._mix_in("queue_mix_in", path, "loop" if loop else "")

    def _mix_in(self, operation: str, path: str, *words: str) -> None:
        if not self.session.mixing:
            raise DsmException("conference", cause="no mixer")
        if path in self.session.missing_files:
            raise DsmException("file", path=path)
        self.session.note(operation, path, *words)


class _Dialog(_Noted):
    def reply(self, code: int, reason: str, headers: tuple[str, ...], *, sdp: bool) -> Outcome:
        """2xx and, with SDP, 183 start the session inside the running list (spec dsm.md §3.7)."""
        self.session.note("reply", code, reason, *headers, "sdp" if sdp else "")
        if not sdp:
            return None
        early = code < 200
        self.session.dialog_state = "early" if early else "connected"
        return Nested(Event(Kind.EARLY_SESSION if early else Kind.SESSION_START))

    def reply_request(self, code: int, reason: str, headers: tuple[str, ...]) -> None:
        if self.session.request_bodies is None:
            raise LookupError("no request")
        self.session.note("reply_request", code, reason, *headers)

    def bye(self, headers: tuple[str, ...]) -> bool:
        self.session.note("bye", *headers)
        return True

    def refer(self, uri: str, expires_s: int | None) -> bool:
        self.session.note("refer", uri, "" if expires_s is None else expires_s)
        return True

    def info(self, content_type: str, body: str) -> bool:
        self.session.note("info", content_type, body)
        return True

    def request_body(self, content_type: str) -> str | None:
        return _body(self.session.request_bodies, content_type)

    def reply_body(self, content_type: str) -> str | None:
        return _body(self.session.reply_bodies, content_type)

    def dial(self, fields: dict[str, str], variables: dict[str, str]) -> str:
        self.session.note("dial", *(f"{key}={fields[key]}" for key in byte_order(fields) if fields[key]))
        return self.session.hub.new_id()

    def other_id(self) -> str:
        return ""


def _body(bodies: dict[str, str] | None, content_type: str) -> str | None:
    if bodies is None:
        raise LookupError("no message")
    return bodies.get(content_type)


class _Hub(_Noted):
    def post(self, queue: str, params: dict[str, str]) -> bool:
        if queue == self.session.id or queue in self.session.queues:
            self.session.queue.append(Event(Kind.EVENT, dict(params)))
        self.session.note("post", queue, *(f"{key}={params[key]}" for key in byte_order(params)))
        return queue in self.session.sessions or queue in self.session.queues

    def invoke(self, module: str, function: str, args: list[Value]) -> Value | Awaitable[Value]:
        self.session.note("di", f"{module}.{function}", *map(repr, args))
        found = self.session.functions.get((module, function))
        if found is None:
            raise NoSuchModule(module)
        return found(*args)

    def create_system_dsm(self, bundle: str, diagram: str) -> None:
        self.session.note("system_dsm", bundle, diagram)

    def monitor(self, operation: str, id: str, *args: Value) -> None:
        self.session.note("monitor", operation, "" if id == self.session.id else id, *args)

    def shared(self, name: str, make: Callable[[], T]) -> T:
        if name not in self.session._shared:
            self.session._shared[name] = make()
        return cast(T, self.session._shared[name])

    def room_post(self, room: str, params: dict[str, str]) -> bool:
        self.session.note("room_post", room, *(f"{key}={params[key]}" for key in byte_order(params)))
        return self.session.room == room

    def room_size(self, room: str) -> int:
        return int(self.session.room == room)

    def subscribe(self, order: SubscriptionOrder, owner: str) -> tuple[str, str]:
        self.session.note("subscribe", order.event, f"{order.user}@{order.domain}", order.expires_s or "")
        if not (order.user and order.domain and order.from_user and order.event):
            return "", "user, domain, from_user, event must be given"
        handle = self.new_id()
        self.session.subscriptions.add(handle)
        return handle, ""

    def refresh_subscription(self, handle: str, expires_s: int) -> bool:
        self.session.note("refresh_subscription", handle, expires_s or "")
        return handle in self.session.subscriptions

    def unsubscribe(self, handle: str) -> bool:
        self.session.note("unsubscribe", handle)
        return handle in self.session.subscriptions

    def unsubscribe_all(self, owner: str) -> None:
        self.session.subscriptions.clear()

    def new_id(self) -> str:
        self.session._ids += 1
        return f"new-{self.session._ids}"

    def settings(self, module: str) -> dict[str, str]:
        return self.session.module_settings.get(module, {})

    def now_us(self) -> int:
        self.session.clock_us += 1500
        return self.session.clock_us
