# SPDX-License-Identifier: GPL-2.0-or-later
"""One call: who it is, and the parts by which an application steers it.

SIP records ─┐
media records├─► mailbox ─► `di.calls.flow` ─► the application's callbacks, one at a time
timers, DI ──┘

session.dialog    phase, replies, end, requests inside the dialog       `di.calls.dialog`
session.audio     leg, playlist, recording, keys, rooms                 `di.calls.audio`
session.timers    timers by number                                      `di.calls.mailbox`
session.pair      the call that this one is connected with, if any      `di.calls.pair`
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

from di.calls import flow
from di.calls.application import Application
from di.calls.audio import Audio
from di.calls.call_info import CallInfo
from di.calls.dialog import Dialog
from di.calls.digits import DigitMerger
from di.calls.events import CallItem, EventPosted, Outcome, RunInCall, SystemEvent
from di.calls.host import SessionHost
from di.calls.mailbox import Mailbox, Patience, Timers
from di.calls.results import DialResult
from di.calls.state import Phase
from di.kernel.value import Value
from di.sip.records import RequestReceived
from media.control.records import DigitPressed

if TYPE_CHECKING:
    from di.calls.admission import Admission
    from di.calls.pair import Pair


_FROM_OUTSIDE = frozenset((EventPosted, RequestReceived, DigitPressed))
_BUSY_S = 5


class Session:
    """A call. `id` is its event queue's name and its record in the monitoring store."""

    def __init__(self, host: SessionHost, id: str, call: int, leg: int, application: str, info: CallInfo) -> None:
        self.host = host
        self.id = id
        self.application = application
        self._app: Application | None = None
        self.app_params: dict[str, str] = {}
        self.params: Value = None
        self.on_behalf = ""
        """Name of the caller of RPC on whose behalf it was placed; what it dials itself is on the same one's."""
        self.attributes: dict[str, Value] = {}
        """What was logged of it in the monitoring store."""
        self.started_s = 0.0
        self.answered_s = 0.0
        """Wall-clock times of the call's beginning and of its answer; 0 while there is none."""
        self.result: DialResult | None = None
        """What became of a call out, as soon as it is known."""
        self.on_result: list[Callable[[int], None]] = []
        """Told the SIP code once that is known."""
        self.dialog = Dialog(self, call, info)
        self.audio = Audio(self, leg)
        self.pair: Pair | None = None
        self.admission: Admission | None = None
        self.on_second_leg: list[Callable[[Session], None]] = []
        """Told of each call that is placed for this one (`di.calls.hunt`), before its INVITE is sent."""
        self._digits: DigitMerger | None = None
        self._hung_up = False
        self.last_steps: tuple[Callable[[], Outcome], ...] = ()
        """What is still to be done of the call's end."""
        patience: Patience[CallItem] = Patience(host.callback_timeout_ms, partial(flow.overdue, self))
        self._mailbox: Mailbox[CallItem] = Mailbox(
            id, host.clock, host.spawn, partial(flow.handle, self), partial(flow.failed, self), patience=patience
        )

    @property
    def app(self) -> Application:
        """The logic of the call."""
        if self._app is None:
            self._app = Application(self)
        return self._app

    @app.setter
    def app(self, app: Application) -> None:
        self._app = app
        self.dialog.allow = (f"Allow: {', '.join(app.further_methods)}",) if app.further_methods else ()

    @property
    def digits(self) -> DigitMerger:
        """Presses of keys, whichever way they came."""
        if self._digits is None:
            self._digits = DigitMerger()
        return self._digits

    @property
    def call(self) -> int:
        """The SIP process's number of it."""
        return self.dialog.call

    @property
    def leg(self) -> int:
        """The media process's number of it."""
        return self.audio.leg

    @property
    def info(self) -> CallInfo:
        """What is known of its SIP side."""
        return self.dialog.info

    @property
    def timers(self) -> Timers:
        """Timers; each becomes `Application.on_timer`. Negative numbers are the core's own."""
        return self._mailbox.timers

    # ------------------------------------------------------------------------------------------------------------- events
    def post(self, event: CallItem) -> bool:
        """Queue an event; it is handled from the loop, after those before it. After the end of the call it is dropped.

        False when too many wait already and it is one that others can send as many of as they like: posted events, the peer's requests
        (which get 503) and keys. They cannot fill the memory of a call whose application does not return.
        """
        if type(event) in _FROM_OUTSIDE and self._mailbox.is_full():
            if isinstance(event, RequestReceived) and event.reply_wanted:
                self.dialog.reply(event, 503, "Too many requests wait", (f"Retry-After: {_BUSY_S}",))
            return False
        self._mailbox.post(event)
        return True

    def post_event(self, params: dict[str, str], kind: str = "dsm") -> bool:
        """Queue a named set of values (postDSMEvent and the like). False when too many wait already."""
        return self.post(EventPosted(params, kind))

    def post_system(self, kind: str) -> None:
        """Queue a system event: `shutdown`, `user1` or `user2`."""
        self.post(SystemEvent(kind))

    def run(self, function: Callable[[], Awaitable[None] | None]) -> None:
        """Run a function as one of this session's events, so that it never runs beside a callback."""
        self.post(RunInCall(function))

    def ask(self, function: Callable[[], Awaitable[None] | None]) -> bool:
        """The same on behalf of somebody outside. False when too many events wait already."""
        if self._mailbox.is_full():
            return False
        self.run(function)
        return True

    def hang_up(self) -> None:
        """End the call on behalf of an operator. However many events wait: he is asked once."""
        if not self._hung_up:
            self._hung_up = True
            self.run(lambda: self.stop(by="operator"))

    @property
    def in_callback(self) -> bool:
        """Whether the caller is one of this call's callbacks, which the call's further events wait for."""
        return self._mailbox.inside

    # --------------------------------------------------------------------------------------------------------- the whole call
    def stop(self, code: int = 480, reason: str = "", headers: tuple[str, ...] = (), by: str = "app") -> None:
        """End the call in whatever phase, as `Dialog.end`. Once."""
        self.dialog.end(code, reason, headers, by)

    def log(self, **attributes: Value) -> None:
        """Set attributes of this call in the monitoring store."""
        self.attributes.update(attributes)
        self.host.monitoring.log(self.id, **attributes)

    def muted_changed(self) -> None:
        """Whether the others hear the call has changed; `Audio.set` calls this."""
        self.host.call_muted(self)

    def close(self) -> None:
        """Drop what is queued and stop every timer; `di.calls.flow` calls this once, last."""
        self._mailbox.close()

    @property
    def gone(self) -> bool:
        """Whether everything has been given back."""
        return self.dialog.phase is Phase.GONE

    def __repr__(self) -> str:
        return f"<Session {self.id} {self.application} {self.dialog.phase.name}>"
