# SPDX-License-Identifier: GPL-2.0-or-later
"""What an action may ask of the call that it runs in: Protocols, implemented by `di.dsm.hub.call`, `di.dsm.hub.system` and the simulator.

A port whose operations a session lacks (media in a system DSM) raises DsmException("core", cause=…) from each of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar, runtime_checkable

from di.calls.subscriptions import SubscriptionOrder
from di.dsm.language.errors import DsmException
from di.dsm.language.model import Nested, Outcome
from di.kernel.value import Value

T = TypeVar("T")


class AudioPort(Protocol):
    """Playlist, recording, keys and rooms of one call (spec dsm.md §8)."""

    def play_prompt(self, name: str, *, front: bool = False, loop: bool = False) -> None:
        """Queue a prompt of the active set. Raises DsmException("prompt")."""

    def use_prompts(self, name: str) -> None:
        """Change to a prompt set. Raises DsmException("prompt")."""

    def play_file(self, path: str, *, front: bool = False, loop: bool = False) -> None:
        """Queue a file. Raises DsmException("file") when it cannot be played."""

    def play_silence(self, length_ms: int, *, front: bool = False) -> None:
        """Queue silence."""

    def play_tone(self, length_ms: int, on_ms: int, off_ms: int, hz: int, hz2: int, *, front: bool = False) -> None:
        """Queue a ring tone; length 0 is endless."""

    def add_separator(self, number: int, *, front: bool = False) -> None:
        """Queue a marker."""

    def flush(self) -> None:
        """Drop everything queued."""

    def record(self, path: str) -> None:
        """Start recording, after ending one that runs. Raises DsmException("file")."""

    def stop_record(self) -> bool:
        """Finish the recording. False: none runs."""

    def recorded_ms(self) -> int | None:
        """Length of the running recording, None without one."""

    def recorded_bytes(self) -> int | None:
        """Size of the running recording, None without one."""

    def wire(self, *, input: bool, output: bool) -> None:
        """Make the playlist the call's input and/or output."""

    def connect(self) -> None:
        """Attach the playlist and start media."""

    def disconnect(self) -> None:
        """Stop media; the playlist stands still."""

    def mute(self, on: bool) -> None:
        """Stop or resume sending."""

    def receive(self, on: bool) -> None:
        """Process or ignore what is received."""

    def force_keys(self, on: bool) -> None:
        """Take RFC 4733 keys even while not receiving."""

    def detect_keys(self, on: bool) -> None:
        """Switch key detection."""

    def watch_rtp(self, on: bool) -> None:
        """Switch the detection of dead RTP."""

    def send_key(self, event: int, length_ms: int) -> None:
        """Send an RFC 4733 key."""

    def join(self, room: str, mode: str) -> None:
        """Queue a channel of a room; mode as in mod_conference. Raises DsmException("conference")."""

    def leave(self) -> bool:
        """Give the channel back. False: there is none."""

    def tee_join(self, room: str, name: str) -> None:
        """Be heard in a room too, by a channel of that name. Raises DsmException("conference"): no room, no input."""

    def tee_leave(self, name: str) -> bool:
        """Give such a channel back; the playlist becomes input and output. False: there is none."""

    def set_up_mix_in(self, level: float, interval_ms: int) -> None:
        """Put a mixer over the output."""

    def play_mix_in(self, path: str) -> None:
        """Mix in a file. Raises DsmException("conference") without a mixer, ("file") when it cannot be played."""

    def queue_mix_in(self, path: str, *, loop: bool = False) -> None:
        """Append a file to the list that is mixed in. Raises as `play_mix_in` does."""

    def flush_mix_in(self) -> None:
        """Empty that list."""

    def set_playout(self, kind: str) -> None:
        """`adaptive`, `jb` or `simple`."""


class DialogPort(Protocol):
    """The SIP dialog of one call."""

    def reply(self, code: int, reason: str, headers: tuple[str, ...], *, sdp: bool) -> Outcome:
        """Reply to the initial INVITE; a Nested outcome is the session start that comes of it. Raises LookupError: no INVITE to reply to."""

    def reply_request(self, code: int, reason: str, headers: tuple[str, ...]) -> None:
        """Reply to the request of the current event. Raises LookupError outside one."""

    def bye(self, headers: tuple[str, ...]) -> bool:
        """End the dialog, whatever its state."""

    def refer(self, uri: str, expires_s: int | None) -> bool:
        """Send REFER. Not connected: nothing is sent, True."""

    def info(self, content_type: str, body: str) -> bool:
        """Send INFO."""

    def request_body(self, content_type: str) -> str | None:
        """That part of the current request's body. Raises LookupError outside a request event."""

    def reply_body(self, content_type: str) -> str | None:
        """That part of the current reply's body. Raises LookupError outside a reply event."""

    def dial(self, fields: dict[str, str], variables: dict[str, str]) -> str:
        """A new call as `dlg.dialout`; its session id, empty when it failed. Raises CallFailed, with the cause, for wrong headers."""

    def other_id(self) -> str:
        """Session id of the other leg, empty without one."""

    def relay_reply(self, code: int, reason: str) -> None:
        """Send this final reply to the request that the other leg relayed. Raises DsmException."""


class B2BPort(Protocol):
    """The second leg (spec dsm.md §9.1)."""

    def connect(self, party: str, uri: str, *, relayed: bool) -> None:
        """Call the B leg."""

    def terminate(self) -> None:
        """End the B leg."""

    def reinvite(self, own_sdp: bool, headers: tuple[str, ...]) -> None:
        """Offer again on the A leg."""

    def relay_early_media(self, on: bool) -> None:
        """Pass SDP of 180–183 to the A leg."""

    def set_headers(self, text: str, *, append: bool) -> None:
        """The B leg's INVITE headers."""

    def remove_header(self, name: str) -> None:
        """Take a header out of them."""

    def relay_event(self, params: dict[str, str]) -> None:
        """Application event to the other leg. Raises DsmException("script") outside B2B calls."""

    def set_relay_only(self, on: bool) -> None:
        """Relay in-dialog requests, or handle them here. Raises DsmException("script") outside B2B calls."""


class HubPort(Protocol):
    """What lies outside the call: other sessions, DI, the store, things shared by all calls."""

    def post(self, queue: str, params: dict[str, str]) -> bool:
        """Send a DSM event. False: nobody has that name."""

    def invoke(self, module: str, function: str, args: list[Value]) -> Value | Awaitable[Value]:
        """Call a DI function. Raises DIError."""

    def create_system_dsm(self, bundle: str, diagram: str) -> None:
        """Start a system DSM. Raises DsmException("core")."""

    def monitor(self, operation: str, id: str, *args: Value) -> None:
        """The store: operation is set, add, inc or dec; without the store nothing happens."""

    def shared(self, name: str, make: Callable[[], T]) -> T:
        """An object of this name for all calls of the process, made at first use."""

    def room_post(self, room: str, params: dict[str, str]) -> bool:
        """DSM event to everybody in a room. False: nobody is there."""

    def room_size(self, room: str) -> int:
        """How many are in a room."""

    def subscribe(self, order: SubscriptionOrder, owner: str) -> tuple[str, str]:
        """A subscription whose news goes to a queue: its handle and "", or "" and why not."""

    def refresh_subscription(self, handle: str, expires_s: int) -> bool:
        """Refresh it now; 0: for as long as before. False: there is none."""

    def unsubscribe(self, handle: str) -> bool:
        """End it. False: there is none."""

    def unsubscribe_all(self, owner: str) -> None:
        """End those of a queue."""

    def new_id(self) -> str:
        """A token that was never given before."""

    def settings(self, module: str) -> dict[str, str]:
        """Keys of `<module>.conf`; empty without that file."""

    def now_us(self) -> int:
        """Time of day in microseconds since 1970."""


class DsmSession(Protocol):
    """One call, system DSM or simulation."""

    @property
    def id(self) -> str:
        """The name under which it receives events."""

    @property
    def media(self) -> AudioPort:
        """Playlist and media."""

    @property
    def dialog(self) -> DialogPort:
        """SIP."""

    @property
    def b2b(self) -> B2BPort:
        """The second leg."""

    @property
    def hub(self) -> HubPort:
        """The rest of the server."""

    def select(self, name: str) -> str:
        """`@name`."""

    def stop(self, bye_now: bool) -> None:
        """End after the events that are queued (spec dsm.md §3.7); with `bye_now` the dialog ends at once."""

    def set_timer(self, id: int, seconds: int) -> None:
        """A `timer` event in so many seconds."""

    def remove_timer(self, id: int) -> None:
        """Stop one."""

    def remove_timers(self) -> None:
        """Stop all."""

    def register_queue(self, name: str) -> bool:
        """Receive events under another name too."""

    def unregister_queue(self, name: str) -> None:
        """Undo it."""


@runtime_checkable
class SbcLeg(Protocol):
    """A session that is a leg of an sbc's call, with a script of cc_dsm beside the sbc (spec dsm.md §9.2)."""

    is_a_leg: bool

    @property
    def status(self) -> str:
        """`NoReply`, `Ringing`, `Connected`, `Disconnecting`, `Disconnected`."""

    @property
    def is_on_hold(self) -> bool:
        """Whether its peer holds it."""

    def stop_call(self, cause: str) -> None:
        """End both legs."""

    def hold(self, on: bool) -> None:
        """Hold its peer, or go on."""

    def profile_set(self, key: str, value: str) -> bool:
        """Change the call's profile. False: no such key, or the call has begun."""


class Unsupported:
    """A port without operations: each raises DsmException("core"), as system DSMs and SBC legs do (spec dsm.md §3.9)."""

    def __init__(self, what: str, type_: str = "core") -> None:
        self._what = what
        self._type = type_

    def __getattr__(self, name: str) -> Callable[..., Nested | None]:
        if name.startswith("__"):
            raise AttributeError(name)

        def refuse(*args: object, **options: object) -> None:
            raise DsmException(self._type, cause=f"{name} is not implemented in {self._what}")

        return refuse
