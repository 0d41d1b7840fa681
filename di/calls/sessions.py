# SPDX-License-Identifier: GPL-2.0-or-later
"""All calls: they begin here (an INVITE, a dial-out), get their records from here, and are forgotten here.

The order of checks for a new call is that of spec core.md §6.1; what is logged for each call that of monitoring.md §4.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Iterator
from typing import Protocol

from di.calls.application import Factory
from di.calls.arrivals import Arrivals
from di.calls.call_info import CallInfo, CallOut, DialPlan
from di.calls.dialling import default_hop, dial, exposed, malformed, redirected
from di.calls.end_lines import EndLines
from di.calls.events import RoomChanged
from di.calls.gate import CallControl
from di.calls.limits import CallLimits
from di.calls.message_sinks import MessageSinks
from di.calls.no_process import NoMedia, NoSip
from di.calls.outside import Outside
from di.calls.published import Published
from di.calls.recording_ends import RecordingEnds
from di.calls.refusals import Refusals
from di.calls.rooms import RoomRegistry
from di.calls.selection import Selection
from di.calls.session import Session
from di.calls.side_leg import SideLegs
from di.calls.state import Phase
from di.calls.subscriptions import Subscriptions
from di.calls.surroundings import Surroundings
from di.calls.toll import Toll
from di.calls.trust import of_stranger
from di.calls.ways import Ways
from di.kernel.addresses import route
from di.kernel.clock import Tasks
from di.kernel.errors import CallFailed, Refused
from di.kernel.ids import IdMaker
from di.kernel.ports import Clock, MonitoringHooks
from di.kernel.server_options import interfaces_of
from di.kernel.value import Value
from di.media_control.port import MediaPort
from di.sip import records as sip
from di.sip.outside_records import OutsideReceived, OutsideReplied, SubscriptionChanged
from di.sip.port import SipPort
from di.sip.records import CallEnded, CallOffered, MessageSeen, SetOptionsReply
from media.control import records as media
from media.control.recording_records import CallRecordingStopped, RecordingStopped, RoomRecordingStopped
from media.control.records import AnnounceFailed, LoadPrompt, PromptLoaded, SpeakerChanged, Statistics

log = logging.getLogger(__name__)
RETRY_AFTER_S = 5
"""When to call again a server one of whose processes is being started."""


class RecordingSink(Protocol):
    """Who is told of recordings that nobody's application made (`di.modules.recordings`)."""

    def on_stopped(self, record: RoomRecordingStopped | CallRecordingStopped) -> None:
        """A recording is complete, or has broken off."""

    def on_media_lost(self, legs: Collection[int] | None) -> None:
        """A media process is gone with these legs, or (None) the last one: nothing more is heard of calls recorded there."""


class Sessions:
    """Calls by id, by call number and by leg. `sip` and `media` are replaced by the supervisor whenever a process (re)starts."""

    def __init__(self, surroundings: Surroundings, selection: Selection, pid: int) -> None:
        self.surroundings = surroundings
        self.sip: SipPort = NoSip()
        self.media: MediaPort = NoMedia(self.on_media_event)
        self.silent: dict[str, str] = {}
        """Processes that do not answer, by role: what is wrong."""
        core = surroundings.core
        self.limits = CallLimits(core.session_limit, core.cps_limit, core.shutdown_mode_reply, surroundings.clock.now_ns())
        self.control = CallControl(self.limits, surroundings.clock)
        self.toll = Toll(core)
        self.interfaces = interfaces_of(core)
        self.ways = Ways(core, surroundings.clock.random)
        self.toll.exposed = exposed(core)
        self.refusals = Refusals()
        self.arrivals = Arrivals(self, selection)
        self._published = Published(self, surroundings.events)
        self.rooms = RoomRegistry(self._to_member, self._published.room)
        self.subscriptions = Subscriptions(self, surroundings.queues.post, lambda: default_hop(core))
        self.outside = Outside(self, lambda: default_hop(core))
        self.recording_ends = RecordingEnds()
        self.message_sinks = MessageSinks(self)
        self.end_lines = EndLines(self)
        self.tasks = Tasks()
        self._when_idle: list[Callable[[], None]] = []
        self.answers: dict[int, Callable[[PromptLoaded | Statistics], None]] = {}
        self.recording_sink: RecordingSink | None = None
        self._ids = IdMaker(surroundings.clock.random, pid)
        self._by_id: dict[str, Session] = {}
        self._by_call: dict[int, Session] = {}
        self._by_leg: dict[int, Session] = {}
        self._next_call = self._last_leg = self._token = 0
        self.side_legs = SideLegs(self._next_leg)
        self._options_reply = (200, "OK")
        self._preloads: list[str] = []

    # ----------------------------------------------------------------------------------------------------------- SessionHost
    @property
    def clock(self) -> Clock:
        """Time."""
        return self.surroundings.clock

    @property
    def callback_timeout_ms(self) -> int:
        """How long a callback may hold up its call."""
        return self.surroundings.core.callback_timeout * 1000

    @property
    def answer_timeout_ms(self) -> int:
        """How long a call out may wait for its answer."""
        return self.surroundings.core.sip_timer_c

    @property
    def monitoring(self) -> MonitoringHooks:
        """The store's hooks, whichever stand now."""
        return self.surroundings.monitoring

    def spawn(self, work: Awaitable[None]) -> None:
        """Run something that waits."""
        self.tasks.spawn(work)

    def next_token(self) -> int:
        """A number for a request whose answer will be told apart by it."""
        self._token += 1
        return self._token

    def new_id(self) -> str:
        """A new id in the shape of a session's."""
        return self._ids.new_id(self.clock.epoch_s())

    def call_answered(self, session: Session) -> None:
        """The dialog is up."""
        session.answered_s = self.clock.epoch_s()
        self.control.answered(session)
        self._published.call("call.answered", session)

    def call_muted(self, session: Session) -> None:
        """Whether the others hear a call has changed."""
        self._published.call("call.muted", session, muted=session.audio.muted)

    def digit_pressed(self, session: Session, event: int, duration_ms: int, source: str) -> None:
        """A key was pressed."""
        self._published.call("dtmf", session, key=event, duration_ms=duration_ms, source=source)

    def call_over(self, session: Session, ended: CallEnded) -> None:
        """A call has ended and still has its leg: the log gets its line."""
        self.end_lines.over(session, ended)

    def forget(self, session: Session, ended: CallEnded) -> None:
        """Take a finished call out of every table and mark its record."""
        if self._by_id.pop(session.id, None) is None:
            return
        self.surroundings.queues.remove(session.id)
        if self._by_call.get(session.call) is session:
            del self._by_call[session.call]
        self._by_leg.pop(session.leg, None)
        self.message_sinks.ended(session.call)
        self.control.ended(session, ended)
        if not session.info.incoming:
            self.toll.ended(session.on_behalf)
        self._tell_options()
        self.monitoring.mark_finished(session.id)
        more: dict[str, Value] = {} if session.result is None else {"result": session.result.value}
        self._published.call("call.ended", session, code=ended.code, reason=ended.reason, by=ended.by, **more)
        if not self._by_id:
            waiting, self._when_idle = self._when_idle, []
            for callback in waiting:
                callback()

    @property
    def media_is_up(self) -> bool:
        """Whether a media process is in service."""
        return not isinstance(self.media, NoMedia)

    @property
    def sip_is_up(self) -> bool:
        """Whether calls can be placed and answered now."""
        return not isinstance(self.sip, NoSip)

    @property
    def _in_order(self) -> bool:
        """Whether `out_of_order` has nothing to say, which each call asks three times."""
        return not self.silent and type(self.sip) is not NoSip and type(self.media) is not NoMedia

    def out_of_order(self) -> dict[str, str]:
        """Which process keeps new calls out now, and why: by its role."""
        problem_of = dict(self.silent)
        if not self.sip_is_up:
            problem_of["sip"] = "the SIP process is not up"
        if not self.media_is_up:
            problem_of["media"] = "the media process is not up"
        return problem_of

    def gate(self) -> Refused | None:
        """Why no new call may begin now: a process is out of order, a limit, shutdown mode."""
        if not self._in_order:
            return Refused(503, "Service Unavailable", (f"Retry-After: {RETRY_AFTER_S}",))
        return self.control.gate()

    # ---------------------------------------------------------------------------------------------------------------- look-up
    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Session]:
        yield from list(self._by_id.values())

    def all(self) -> Collection[Session]:
        """Every call; to be looked at before anything else happens."""
        return self._by_id.values()

    def find(self, id: str) -> Session | None:
        """The call with that id, or None."""
        return self._by_id.get(id)

    def find_dialog(self, call_id: str, local_tag: str, remote_tag: str) -> Session | None:
        """The call with that dialog, or None. Looks at all calls: for requests that name a dialog (Replaces), which are rare."""
        for session in self._by_id.values():
            info = session.dialog.info
            if info.call_id == call_id and info.local_tag == local_tag and info.remote_tag == remote_tag:
                return session
        return None

    # ---------------------------------------------------------------------------------------------------------------- records
    def on_sip_event(self, record: sip.Event) -> None:
        """Take a record of the SIP process (`di.sip.records.EVENTS`)."""
        if isinstance(record, CallOffered):
            self.arrivals.offered(record)
        elif sip.is_of_call(record):
            session = self._by_call.get(record.call)
            if session is not None:
                session.post(record if session.info.trusted else of_stranger(record))
        elif isinstance(record, MessageSeen):
            self.message_sinks.seen(record)
        elif isinstance(record, SubscriptionChanged):
            self.subscriptions.on_changed(record)
        elif isinstance(record, OutsideReceived):
            self.outside.on_request(record)
        elif isinstance(record, OutsideReplied):
            self.outside.on_reply(record)
        else:
            log.debug("the SIP process said again how it listens")

    def on_media_event(self, record: media.Event) -> None:
        """Take a record of the media process (`media.control.records.EVENTS`)."""
        if media.is_of_leg(record):
            self._on_leg_event(record)
        elif isinstance(record, (PromptLoaded, Statistics)):
            answer = self.answers.pop(record.request, None)
            if answer is not None:
                answer(record)
        elif isinstance(record, AnnounceFailed):
            log.warning("room %s: %s is not played: %s", record.room, record.path, record.reason)
            self._published.announce_failed(record)
        elif isinstance(record, (RoomRecordingStopped, CallRecordingStopped)) and self.recording_sink is not None:
            self.recording_sink.on_stopped(record)

    def _on_leg_event(self, record: media.LegEvent) -> None:
        session = self._by_leg.get(record.leg)
        if isinstance(record, SpeakerChanged):
            self._published.speaker(record, session)
        elif isinstance(record, RecordingStopped):
            self.recording_ends.stopped(record)
        if session is not None:
            session.post(record)
        elif (side := self.side_legs.find(record.leg)) is not None:
            side.take(record)

    def process_silent(self, role: str, why: str) -> None:
        """A process does not answer, and why; an empty text: it does again, or is gone."""
        self.silent.pop(role, None)
        if why:
            self.silent[role] = why
        self._tell_options()

    def sip_lost(self, reason: str) -> None:
        """The SIP process is gone: its calls and subscriptions are over (the peers cannot be told so)."""
        self.sip = NoSip()
        self._by_call.clear()
        for session in self:
            session.post(CallEnded(session.call, 500, reason, "error"))
        self.subscriptions.sip_lost(reason)
        self.outside.sip_lost(reason)

    def sip_up(self, sip: SipPort) -> None:
        """The SIP process is in service."""
        self.sip = sip
        self._options_reply = (200, "OK")  # as a process begins
        self._tell_options()
        self.outside.tell_methods()

    def media_lost(self, reason: str, legs: Collection[int] | None = None) -> None:
        """A media process is gone: calls that had their media there get a BYE. `legs`: theirs; None: all, it was the only one."""
        if legs is None:
            self.media = NoMedia(self.on_media_event)
            self.answers.clear()
            self.end_lines.flush()
            self._tell_options()
        if self.recording_sink is not None:
            self.recording_sink.on_media_lost(legs)
        self.side_legs.media_lost(reason, legs)
        for session in self:
            if session.audio.asked and (legs is None or session.leg in legs):
                headers = () if session.dialog.phase is Phase.CONNECTED else (f"Retry-After: {RETRY_AFTER_S}",)
                session.run(lambda session=session, headers=headers: session.stop(503, reason, headers, "media"))  # type: ignore[misc]

    # ------------------------------------------------------------------------------------------------------------- new calls
    def make(self, call: int, application: str, info: CallInfo, id: str = "") -> Session:
        """A session that nobody knows yet; `begin` follows when an application has taken it."""
        session = Session(self, id or self.new_id(), call, self._next_leg(), application, info)
        core = self.surroundings.core
        session.audio.rtp_timeout_ms = core.dead_rtp_time * 1000
        session.audio.symmetric_rtp = core.force_symmetric_rtp
        session.audio.before_ack = core.media_before_ack or -1
        return session

    def _next_leg(self) -> int:
        self._last_leg += 1
        return self._last_leg

    def begin(self, session: Session) -> None:
        """A call that an application has taken: from here on it is counted, logged and found."""
        info = session.info
        session.started_s = self.clock.epoch_s()
        self._by_id[session.id] = self._by_call[session.call] = self._by_leg[session.leg] = session
        self.surroundings.queues.add(session.id, session.post)
        self.control.begin(session)
        if not info.incoming:
            self.toll.began(session.on_behalf)
        self._tell_options()
        known: dict[str, Value] = {
            "app": session.application, "dir": info.direction, "ruri": info.request_uri, "to": info.to_header, "from": info.from_header,
        }  # fmt: skip
        if info.call_id:
            known |= {"callid": info.call_id, "rtag": info.remote_tag}
        session.log(**known)
        self._published.call("call.started", session, **session.attributes)
        if self.surroundings.core.log_sessions:
            log.info("call %s: %s %s %s", session.id, info.direction, session.application, info.request_uri)

    def dial(self, order: CallOut, factory: Factory | None = None) -> Session | None:
        """Place a call (`di.calls.dialling`); None, with a warning in the log, when it cannot be placed."""
        return dial(self, order, factory)

    def dialout(self, order: CallOut) -> str:
        """Place a call for an application (spec core.md §7.5). Returns its id, or an empty string when it cannot be placed.

        Raises CallFailed for headers and URIs that would reach into what the SIP stack writes.
        """
        problem = malformed(order)
        if problem:
            self.toll.noted(order, "", "malformed", problem, self.clock.now_ns())
            raise CallFailed(problem)
        session = dial(self, order)
        return session.id if session is not None else ""

    @property
    def way_timeout_ms(self) -> int:
        """How long an address may take for its first reply, while there is another one."""
        return self.surroundings.core.sip_timer_m

    def lead(self, info: CallInfo, plan: DialPlan, host: str) -> None:
        """Let a call out to a host leave from the interface that leads there, or the one that it must leave from.

        Audio that has its address already keeps it (`di.calls.next_way`).
        """
        info.interface = plan.interface if plan.interface >= 0 else self.interfaces.towards(host, route)
        audio = info.media_interface if info.media_interface >= 0 else info.interface
        info.over_ipv6 = self.interfaces.over_ipv6(audio, host)

    def place_of(self, info: CallInfo) -> int:
        """Number of the SIP address that a call out leaves from; -1: there is no choice."""
        return info.interface if self.interfaces.many else -1

    def renumber(self, call: int) -> int:
        """A call out is sent anew: what still comes of the SIP process's old call is nobody's."""
        self._next_call += 2
        session = self._by_call.pop(call, None)
        if session is not None:
            self._by_call[self._next_call] = session
            self.message_sinks.renumbered(call, self._next_call)
        return self._next_call

    def admit_redirect(self, id: str, uri: str) -> None:
        """Ask the dial control whether a redirection may be followed. Raises CallFailed when not."""
        redirected(self, self._by_id[id], uri)

    def open_call(self, info: CallInfo, application: str, id: str) -> Session:
        """A session for a call out, not yet known to anybody; `begin` follows."""
        self._next_call += 2
        return self.make(self._next_call, application, info, id)

    # ----------------------------------------------------------------------------------------------------------------- others
    def preload(self, path: str) -> None:
        """Let every media process read an audio file when it starts, so that its first call does not wait."""
        if path not in self._preloads:
            self._preloads.append(path)
            self._load_prompt(path)

    def when_idle(self, callback: Callable[[], None]) -> None:
        """Call back once when no call is left: at once if there is none."""
        if self._by_id:
            self._when_idle.append(callback)
        else:
            callback()

    def media_up(self, media: MediaPort) -> None:
        """A media process is in service."""
        self.media = media
        self._tell_options()
        for path in self._preloads:
            self._load_prompt(path)

    def _load_prompt(self, path: str) -> None:
        def loaded(record: PromptLoaded | Statistics) -> None:
            if isinstance(record, PromptLoaded) and record.error:
                log.error("%s cannot be played: %s", path, record.error)

        if self.media_is_up:
            self.ask_media(lambda request: LoadPrompt(request, path), loaded)

    def ask_media(self, command: Callable[[int], media.Command], answer: Callable[[PromptLoaded | Statistics], None]) -> int:
        """Send a command that is answered; it is made with the request's number, which is returned."""
        request = self.next_token()
        self.answers[request] = answer
        self.media.send(command(request))
        return request

    def broadcast(self, kind: str) -> None:
        """Post a system event to every queue: `shutdown`, `user1` or `user2`."""
        for session in self:
            session.post_system(kind)

    def set_shutdown_mode(self, on: bool) -> None:
        """Refuse new calls (and OPTIONS) from now on, or accept them again."""
        self.limits.shutdown_mode = on
        self._tell_options()

    @property
    def options_reply(self) -> tuple[int, str]:
        """What OPTIONS outside calls is answered with now (spec core.md §6.5)."""
        return self._options_reply

    def _tell_options(self) -> None:
        """Keep the SIP process's answer to OPTIONS in step with the limits (spec core.md §6.5)."""
        limit = self.surroundings.core.options_session_limit
        reply = (200, "OK")
        if self.limits.shutdown_mode:
            reply = self.limits.shutdown_reply
        elif not self._in_order:
            reply = (503, "Service Unavailable")
        elif limit.count and self.limits.active >= limit.count:
            reply = (limit.code, limit.reason)
        if reply != self._options_reply:
            self._options_reply = reply
            self.sip.send(SetOptionsReply(*reply))

    def _to_member(self, member: str, change: RoomChanged) -> None:
        session = self._by_id.get(member)
        if session is not None:
            session.post(change)
