# SPDX-License-Identifier: GPL-2.0-or-later
"""All calls: they begin here (an INVITE, a dial-out), get their records from here, and are forgotten here.

The order of checks for a new call is that of spec core.md §6.1; what is logged for each call that of monitoring.md §4.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping

from di.calls.call_info import CallInfo
from di.calls.dialling import DialWish, default_hop, dial
from di.calls.limits import CallLimits
from di.calls.rooms import Rooms
from di.calls.selection import Selection
from di.calls.session import Session
from di.calls.subscriptions import Subscriptions
from di.calls.surroundings import Surroundings
from di.kernel.clock import Tasks
from di.kernel.errors import Refused
from di.kernel.event_log import EventFilter
from di.kernel.ids import IdMaker
from di.kernel.ports import Clock, MediaPort, MonitoringHooks, SipPort
from di.kernel.value import Value
from di.sip.app_params import session_map
from di.sip.headers import parse_uri
from di.sip.records import Answer, CallEnded, CallOffered, SetOptionsReply, SubscriptionChanged
from media.control.records import LoadPrompt, PromptLoaded, SpeakerChanged, Statistics

log = logging.getLogger(__name__)


class Nowhere:
    """A port while its process is down: what is sent is lost, which `sip_lost`/`media_lost` has settled already."""

    def send(self, command: object) -> None:
        """Nothing."""


class Sessions:
    """Calls by id, by call number and by leg. `sip` and `media` are replaced by the supervisor whenever a process (re)starts."""

    def __init__(self, services: Surroundings, selection: Selection, pid: int) -> None:
        self.services = services
        self.selection = selection
        self.sip: SipPort = Nowhere()
        self.media: MediaPort = Nowhere()
        core = services.core
        self.limits = CallLimits(core.session_limit, core.cps_limit, core.shutdown_mode_reply, services.clock.now_ns())
        self.rooms = Rooms(self._to_member, self._publish_room)
        services.events.add_snapshot("rooms", self._rooms_snapshot)
        services.events.add_snapshot("sessions", self._sessions_snapshot)
        self.subscriptions = Subscriptions(self, services.queues.post, lambda: default_hop(core))
        self.tasks = Tasks()
        self.on_idle: Callable[[], None] | None = None
        self.media_figures: Callable[[], Mapping[int, Mapping[str, float]]] = dict
        """What each media process last said of itself, by its number, for the metrics."""
        self.answers: dict[int, Callable[[PromptLoaded | Statistics], None]] = {}
        self._ids = IdMaker(services.clock.random, pid)
        self._by_id: dict[str, Session] = {}
        self._by_call: dict[int, Session] = {}
        self._by_leg: dict[int, Session] = {}
        self._next_call = self._next_leg = self._token = 0
        self._options_reply = (200, "OK")
        self._preloads: list[str] = []

    # ----------------------------------------------------------------------------------------------------------- SessionHost
    @property
    def clock(self) -> Clock:
        """Time."""
        return self.services.clock

    @property
    def monitoring(self) -> MonitoringHooks:
        """The store's hooks, whichever stand now."""
        return self.services.monitoring

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
        self._publish("call.answered", session)

    def call_muted(self, session: Session) -> None:
        """Whether the others hear a call has changed."""
        self._publish("call.muted", session, muted=session.muted)

    def digit_pressed(self, session: Session, event: int, duration_ms: int, source: str) -> None:
        """A key was pressed."""
        self._publish("dtmf", session, key=event, duration_ms=duration_ms, source=source)

    def forget(self, session: Session, ended: CallEnded) -> None:
        """Take a finished call out of every table and mark its record."""
        if self._by_id.pop(session.id, None) is None:
            return
        self.services.queues.remove(session.id)
        if self._by_call.get(session.call) is session:
            del self._by_call[session.call]
        self._by_leg.pop(session.leg, None)
        self.limits.end(self.clock.now_ns())
        self._tell_options()
        self.monitoring.mark_finished(session.id)
        self._publish("call.ended", session, code=ended.code, reason=ended.reason, by=ended.by)
        if self.services.core.log_sessions:
            log.info("call %s: ended (%d %s, by %s)", session.id, ended.code, ended.reason, ended.by)
        if not self._by_id and self.on_idle is not None:
            self.on_idle()

    @property
    def sip_is_up(self) -> bool:
        """Whether calls can be placed and answered now."""
        return not isinstance(self.sip, Nowhere)

    # ---------------------------------------------------------------------------------------------------------------- look-up
    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Session]:
        yield from list(self._by_id.values())

    def find(self, id: str) -> Session | None:
        """The call with that id, or None."""
        return self._by_id.get(id)

    # ---------------------------------------------------------------------------------------------------------------- records
    def on_sip_event(self, record: object) -> None:
        """Take a record of the SIP process (`di.sip.records.EVENTS`)."""
        if isinstance(record, CallOffered):
            self._offered(record)
            return
        if isinstance(record, SubscriptionChanged):
            self.subscriptions.on_changed(record)
            return
        session = self._by_call.get(getattr(record, "call", -1))
        if session is not None:
            session.post(record)

    def on_media_event(self, record: object) -> None:
        """Take a record of the media process (`media.control.records.EVENTS`)."""
        if isinstance(record, (PromptLoaded, Statistics)):
            answer = self.answers.pop(record.request, None)
            if answer is not None:
                answer(record)
            return
        leg = getattr(record, "leg", -1)
        session = self._by_leg.get(leg)
        if isinstance(record, SpeakerChanged):
            self._publish_speaker(record, session)
        if session is not None:
            session.post(record)

    def sip_lost(self, reason: str) -> None:
        """The SIP process is gone: its calls and subscriptions are over (the peers cannot be told so)."""
        self.sip = Nowhere()
        self._by_call.clear()
        for session in self:
            session.post(CallEnded(session.call, 500, reason, "error"))
        self.subscriptions.sip_lost(reason)

    def media_lost(self, reason: str, legs: Collection[int] | None = None) -> None:
        """A media process is gone: calls that had their media there get a BYE. `legs`: theirs; None: all, it was the only one."""
        if legs is None:
            self.media = Nowhere()
            self.answers.clear()
        for session in self:
            if session.leg_asked and (legs is None or session.leg in legs):
                session.run(lambda session=session: session.stop(500, reason))  # type: ignore[misc]

    # ------------------------------------------------------------------------------------------------------------- new calls
    def _offered(self, offer: CallOffered) -> None:
        refusal = self.limits.refusal(self.clock.now_ns())
        if refusal is not None:
            log.warning("INVITE from %s:%d refused: %d %s", offer.source_ip, offer.source_port, *refusal)
            self._refuse(offer, Refused(*refusal))
            return
        name = self.selection.choose(offer.request_uri, offer.headers)
        factory = self.services.applications.find(name) if name else None
        if factory is None:
            log.warning(
                "INVITE %s: %s", offer.request_uri, f"no application {name!r}" if name else "no application is mapped to it"
            )
            self._refuse(offer, Refused(404, "Not Found"))
            return
        session = self._session("in", offer.call, name, _info(offer))
        session.app_params = session_map(offer.headers)
        try:
            session.app = factory(session)
        except Refused as refused:
            log.info("INVITE %s: %s refuses with %s", offer.request_uri, name, refused)
            self._refuse(offer, refused)
            return
        except Exception:  # an application's fault costs its own call only
            log.exception("INVITE %s: %s cannot begin", offer.request_uri, name)
            self._refuse(offer, Refused(500, "Server Internal Error"))
            return
        self.begin(session)
        session.post(offer)

    def _refuse(self, offer: CallOffered, refused: Refused) -> None:
        self.sip.send(Answer(offer.call, refused.code, refused.reason, refused.headers))

    def _session(self, direction: str, call: int, application: str, info: CallInfo, id: str = "") -> Session:
        self._next_leg += 1
        session = Session(self, id or self.new_id(), call, self._next_leg, application, info)
        core = self.services.core
        session.rtp_timeout_ms = core.dead_rtp_time * 1000
        session.symmetric_rtp = core.force_symmetric_rtp
        return session

    def begin(self, session: Session) -> None:
        """A call that an application has taken: from here on it is counted, logged and found."""
        info = session.info
        session.started_s = self.clock.epoch_s()
        self._by_id[session.id] = self._by_call[session.call] = self._by_leg[session.leg] = session
        self.services.queues.add(session.id, session.post)
        self.limits.begin(self.clock.now_ns())
        self._tell_options()
        session.log(
            app=session.application, dir=info.direction, ruri=info.request_uri, to=info.to_header, **{"from": info.from_header}
        )
        if info.call_id:
            session.log(callid=info.call_id, rtag=info.remote_tag)
        self._publish("call.started", session, **session.attributes)
        if self.services.core.log_sessions:
            log.info("call %s: %s %s %s", session.id, info.direction, session.application, info.request_uri)

    def dialout(
        self,
        *,
        user: str,
        application: str,
        request_uri: str,
        from_header: str,
        to_header: str,
        id: str = "",
        headers: str = "",
        params: Value = None,
        next_hop: str = "",
    ) -> str:
        """Place a call for an application (spec core.md §7.5). Returns its id, or an empty string when it cannot be placed.

        `user` is what the application sees as the called user (a room, for webconference); `headers` are lines separated
        by line ends; a Credential in `params` answers a challenge.
        """
        wish = DialWish(user, application, request_uri, from_header, to_header, id, headers, params, next_hop)
        return dial(self, wish)

    def open_call(self, info: CallInfo, application: str, id: str) -> Session:
        """A session for a call out, not yet known to anybody; `begin` follows."""
        self._next_call += 2
        return self._session("out", self._next_call, application, info, id)

    # ----------------------------------------------------------------------------------------------------------------- others
    def preload(self, path: str) -> None:
        """Let every media process read an audio file when it starts, so that its first call does not wait."""
        if path not in self._preloads:
            self._preloads.append(path)
            self._load_prompt(path)

    def media_up(self, media: MediaPort) -> None:
        """A media process is in service."""
        self.media = media
        for path in self._preloads:
            self._load_prompt(path)

    def _load_prompt(self, path: str) -> None:
        def loaded(record: PromptLoaded | Statistics) -> None:
            if isinstance(record, PromptLoaded) and record.error:
                log.error("%s cannot be played: %s", path, record.error)

        if not isinstance(self.media, Nowhere):
            self.ask_media(lambda request: LoadPrompt(request, path), loaded)

    def ask_media(self, command: Callable[[int], object], answer: Callable[[PromptLoaded | Statistics], None]) -> None:
        """Send a command that is answered; it is made with the request's number."""
        request = self.next_token()
        self.answers[request] = answer
        self.media.send(command(request))

    def broadcast(self, kind: str) -> None:
        """Post a system event to every queue: `shutdown`, `user1` or `user2`."""
        for session in self:
            session.system(kind)

    def set_shutdown_mode(self, on: bool) -> None:
        """Refuse new calls (and OPTIONS) from now on, or accept them again."""
        self.limits.shutdown_mode = on
        self._tell_options()

    def _tell_options(self) -> None:
        """Keep the SIP process's answer to OPTIONS in step with the limits (spec core.md §6.5)."""
        limit = self.services.core.options_session_limit
        reply = (200, "OK")
        if self.limits.shutdown_mode:
            reply = self.limits.shutdown_reply
        elif limit.count and self.limits.active >= limit.count:
            reply = (limit.code, limit.reason)
        if reply != self._options_reply:
            self._options_reply = reply
            self.sip.send(SetOptionsReply(*reply))

    def _to_member(self, member: str, change: object) -> None:
        session = self._by_id.get(member)
        if session is not None:
            session.post(change)

    def _rooms_snapshot(self, wanted: EventFilter) -> Value:
        """Room → its members' ids, for who starts to listen to events."""
        names = [name for name in self.rooms.names() if not wanted.rooms or name in wanted.rooms]
        return {name: [*self.rooms.members(name)] for name in names}

    def _sessions_snapshot(self, wanted: EventFilter) -> Value:
        """Call → what the monitoring store does not have of it, for who starts to listen to events."""
        found = [self._by_id[id] for id in wanted.calls if id in self._by_id] if wanted.calls else self._by_id.values()
        return {
            session.id: {
                "application": session.application,
                "direction": session.info.direction,
                "started": session.started_s,
                "answered": session.answered_s,
                "room": session.room,
                "muted": session.muted,
                "speaking": session.speaking,
            }
            for session in found
        }

    def _publish(self, type: str, session: Session, **attributes: Value) -> None:
        self.services.events.publish(type, session.id, session.room, attributes)

    def _publish_room(self, type: str, room: str, member: str) -> None:
        self.services.events.publish(type, member, room, {"participants": self.rooms.count(room)})

    def _publish_speaker(self, record: SpeakerChanged, session: Session | None) -> None:
        if session is not None:
            session.speaking = record.speaking
        attributes: dict[str, Value] = {"speaking": record.speaking, "level_db": record.level_db}
        self.services.events.publish("room.speaking", session.id if session else "", record.room, attributes)


def _info(offer: CallOffered) -> CallInfo:
    return CallInfo(
        "in",
        offer.request_uri,
        offer.from_header,
        offer.to_header,
        offer.call_id,
        "",
        offer.remote_tag,
        offer.contact_uri,
        offer.source_ip,
        offer.source_port,
        offer.headers,
        offer.body,
        offer.has_offer,
        offer.remote_media_ip,
        offer.remote_media_port,
        parse_uri(offer.request_uri).user,
        ":" in offer.source_ip,
    )
