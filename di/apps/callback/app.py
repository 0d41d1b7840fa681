# SPDX-License-Identifier: GPL-2.0-or-later
"""The calls: one that came and is declined, the call back, and whom it is connected with.

    call in ─► From matches ─► 486, `cb_wait` later ─► call back ─► answers ─► "which number?" ─► read back ─► both talk
            └ else 603                                                 └ `*` or `#` with nothing entered: asked again

A caller's number is what he says it is, so what can be done to others in their name is bounded: each number is called back once at a time,
`max_waiting` of them together, and all of it passes the dial control.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from di.apps.api import (
    Application,
    CallOut,
    Closer,
    ConfigError,
    Credential,
    Dialler,
    Pair,
    PairOptions,
    Refused,
    Services,
    Session,
    SipReply,
    Target,
    TimerHandle,
    configured,
    is_sip_uri,
    parse_uri,
    uri_of,
    where,
)
from di.apps.callback.options import Options
from di.apps.callback.waiting import CallbackVerdict, WaitingCallers
from di.apps.callee_news import CalleeNews, NewsFiles
from di.apps.keypad import Ended, Gather, Gathered, Keypad
from di.apps.prompts import Prompts

log = logging.getLogger(__name__)
SECOND_NS = 1_000_000_000
_WELCOME = "welcome_prompt"


class Desk:
    """What all calls share: options, prompts, who waits."""

    def __init__(self, services: Services, options: Options, prompts: Prompts) -> None:
        self.options, self.prompts = options, prompts
        self._services = services
        self._wanted = options.accept_caller_re.search
        self.waiting = WaitingCallers(options.max_waiting)
        self._timers: dict[str, TimerHandle] = {}

    # ------------------------------------------------------------------------------------------------------------ calls in
    def application(self, session: Session) -> Application:
        """No call in is answered: who matches is called back. Raises Refused."""
        caller = uri_of(session.info.from_header)
        if self._wanted(caller) is None:
            raise Refused(603, "Decline")
        number = parse_uri(caller).user
        verdict = self.waiting.ask(number)
        if verdict is CallbackVerdict.NO_NUMBER:
            log.warning("call %s: callback: the caller %s has no number that could be called", session.id, ascii(caller)[:80])
            raise Refused(603, "Decline")
        if verdict is CallbackVerdict.FULL:
            log.warning(
                "call %s: callback: %d callers wait already; raise max_waiting in callback.conf", session.id, len(self.waiting)
            )
            raise Refused(603, "Decline")
        if verdict is CallbackVerdict.SCHEDULE:
            wait_ns = self.options.cb_wait * SECOND_NS
            self._timers[number] = self._services.clock.call_later(wait_ns, lambda: self._call_back(number))
        raise Refused(486, "Busy here (call you back l8r)")

    # ----------------------------------------------------------------------------------------------------------- calls back
    def uri(self, number: str) -> str:
        """A number at the gateway."""
        return f"sip:{number.replace('#', '%23')}@{self.options.gw_domain}"

    @property
    def own(self) -> str:
        """From of all calls out."""
        return f"<sip:{self.options.gw_user}@{self.options.gw_domain}>"

    @property
    def credential(self) -> Credential:
        """For the gateway, whatever realm it names."""
        return Credential("", self.options.auth_user or self.options.gw_user, self.options.auth_pwd)

    def _call_back(self, number: str) -> None:
        del self._timers[number]
        uri = self.uri(number)
        order = CallOut(
            "callback",
            uri,
            self.own,
            f"<{uri}>",
            headers=("X-Extra: fancy",),
            credential=self.credential,
            by=Dialler("callback"),
        )
        if (
            self._services.sessions.dial(order, lambda session: CallBack(session, self, lambda: self.waiting.done(number)))
            is None
        ):
            self.waiting.done(number)  # the dial control has said why

    def close(self) -> None:
        """Nobody is called back any more."""
        for timer in self._timers.values():
            timer.cancel()


class CallBack(Application):
    """The caller, called back."""

    def __init__(self, session: Session, desk: Desk, done: Callable[[], None]) -> None:
        super().__init__(session)
        self._desk, self._done = desk, done
        self._keypad = Keypad(session)
        self._prompts = desk.prompts.of_call(session.id)
        self._news = CalleeNews(session, desk.prompts)
        self._number = ""
        """The wanted number, from when it is known until it is called."""

    def on_session_start(self) -> None:
        """Ask for the number."""
        self.session.audio.set_playout(self._desk.options.playout_type)
        self._ask()

    def _ask(self) -> None:
        wanted = Gather(
            min_digits=0, max_digits=64, end_keys="*#", wait_for_end=True, whole_ms=self._desk.options.entry_time * 1000
        )
        path = self._prompts.find(_WELCOME)
        self._keypad.begin(wanted, path, done=self._entered)

    def _entered(self, entry: Gathered) -> None:
        if entry.ended is Ended.CANCELLED:
            return
        if entry.ended is not Ended.END_KEY:
            log.info("call %s: callback: no number was entered in time", self.session.id)
            self.session.stop()
        elif not entry.digits:
            self._ask()
        else:
            self._number = entry.digits
            self.session.log(callback_number=entry.digits)
            items = self._prompts.items(*entry.digits)
            if items:
                self.session.audio.play(*items)
            else:
                self._connect()

    def on_playlist_empty(self) -> None:
        """The number has been read back, or the last prompt is over."""
        if not self._news.on_playlist_empty() and self._number:
            self._connect()

    def _connect(self) -> None:
        number, self._number = self._number, ""
        desk = self._desk
        target = Target(desk.uri(number), from_header=desk.own, credential=desk.credential, ring_ms=desk.options.ring_time * 1000)
        Pair(self.session, PairOptions(early_media=True, application="callback")).connect([target])

    # ------------------------------------------------------------------------------------------------------------ the rest
    def on_other_reply(self, reply: SipReply) -> None:
        """How the wanted number's call goes."""
        self._news.on_other_reply(reply)

    def on_digit(self, event: int, duration_ms: int) -> None:
        """Keys are the number."""
        self._keypad.on_digit(event)

    def on_timer(self, id: int) -> None:
        """The keypad's."""
        self._keypad.on_timer(id)

    def on_separator(self, number: int) -> None:
        """The keypad's."""
        self._keypad.on_separator(number)

    def on_destroy(self) -> None:
        """The caller may be called back again."""
        self._keypad.on_destroy()
        self._done()


def start(services: Services, options: Options) -> Closer:
    """Register the application. Raises ConfigError for a gateway that makes no SIP URI."""
    if not is_sip_uri(f"sip:{options.gw_user}@{options.gw_domain}"):
        hint = f"sip:{options.gw_user}@{options.gw_domain} is no SIP URI; right are a user and a host, e.g. 4930123 and gw.example.net"
        raise ConfigError(*where(options, "gw_domain"), "gw_domain", hint)
    desk = Desk(services, options, _prompts(services, options))
    services.applications.register("callback", desk.application)

    def close() -> None:
        desk.close()
        services.applications.unregister("callback")

    return close


def _prompts(services: Services, options: Options) -> Prompts:
    folder = configured(options.digits_dir, services.conf_dir) if options.digits_dir else None
    files: dict[str, Path | None] = {digit: folder / f"{digit}.wav" if folder is not None else None for digit in "0123456789"}
    files[_WELCOME] = configured(options.welcome_prompt, services.conf_dir) if options.welcome_prompt else None
    news = NewsFiles(options.busy_prompt, options.no_answer_prompt, options.failed_prompt)
    prompts = Prompts("callback", {**files, **news.paths(services.conf_dir)})
    for path in prompts.paths():
        services.sessions.preload(path)
    return prompts
