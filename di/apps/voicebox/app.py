# SPDX-License-Identifier: GPL-2.0-or-later
"""One call to a box: PIN, overview, messages, keys (spec applications.md §14).

PIN ──right──► HEARING ──message begins──► ACTION ──save, delete──► HEARING … ──► END ──start over──► HEARING
 └ wrong too often ─► LEAVING ◄── no key for too long ── ACTION, END

Keys count in PIN, ACTION and END only. Two separators say how far the playlist is: at the first the message begins, is marked read, and keys
act on it; at the second all has been said. Those of what was dropped meanwhile have older numbers, so a key and the end of a prompt may cross.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

from di.apps.api import (
    Application,
    BoxOwner,
    Caller,
    Guesses,
    MessageBox,
    Messages,
    MsgCode,
    PlayFile,
    PlayItem,
    PlaySeparator,
    Session,
    uri_of,
)
from di.apps.keypad import key_of
from di.apps.prompts import Prompts
from di.apps.speech import Language, language
from di.apps.voicebox.walk import KeyAction, Walk, came, overview

log = logging.getLogger(__name__)
_IDLE_TIMER = 1
_END_KEYS = "*#"
_LONGEST_PIN = 64


@dataclass(frozen=True, slots=True)
class Manner:
    """How boxes are shown to all callers. `keys`: event number → what it does; times in ms, 0: none."""

    keys: Mapping[int, KeyAction]
    pin_attempts: int = 3
    idle_ms: int = 60_000
    say_time: bool = False


@dataclass(frozen=True, slots=True)
class Visit:
    """Whose box this call is for. `pin`: empty: none is asked for. `counts`: how counts are said in the prompts' language.

    `guesses`: of PINs, by all calls.
    """

    owner: BoxOwner
    pin: str
    prompts: Prompts
    counts: Language | None
    guesses: Guesses


class BoxStage(Enum):
    """Where the call is."""

    PIN = auto()
    HEARING = auto()
    ACTION = auto()
    END = auto()
    LEAVING = auto()


class VoiceboxCall(Application):
    """A caller in a box."""

    def __init__(self, session: Session, messages: Messages, visit: Visit, manner: Manner) -> None:
        super().__init__(session)
        self._messages, self._visit, self._manner = messages, visit, manner
        self._prompts = visit.prompts.of_call(session.id)
        rules = language(visit.prompts.language) if manner.say_time else None
        self._times = rules if rules is not None and visit.prompts.find("received") is not None else None
        self._stage = BoxStage.PIN
        self._walk: Walk | None = None
        self._entered = ""
        self._wrong = 0
        self._separator = 0
        """The last number that was given to a separator."""
        self._begins = self._over = 0
        """Those of the message's begin and of the end of what is played now."""
        self._silent = False
        """All has been said, and the caller's time runs."""

    async def on_session_start(self) -> None:
        """Ask for the PIN, or open the box."""
        owner = self._visit.owner
        self.session.log(box_user=owner.user, box_domain=owner.domain)
        if self._visit.pin:
            self._say("pin_prompt")
        else:
            await self._open_box()

    # --------------------------------------------------------------------------------------------------------------------- PIN
    async def _pin_key(self, event: int) -> None:
        key = key_of(event)
        if not key:  # a hook flash
            return
        self.session.audio.flush()
        self._wait_for_keys()
        if key in _END_KEYS:
            self._wrong_pin()
            return
        self._entered = (self._entered + key)[-_LONGEST_PIN:]
        guesses, caller = self._visit.guesses, self._caller()
        if self._entered == self._visit.pin and not guesses.refused(caller, str(self._visit.owner)):
            guesses.right(caller, str(self._visit.owner))
            await self._open_box()

    def _wrong_pin(self) -> None:
        self._entered = ""
        self._wrong += 1
        attempts = self._manner.pin_attempts
        left = attempts - self._wrong if attempts else 1
        self._visit.guesses.wrong(self._caller(), str(self._visit.owner))
        if left > 0:
            self._say("pin_prompt")
        else:
            self._leave("bye")

    def _caller(self) -> Caller:
        """Who guesses: counted over all his calls."""
        return Caller(uri_of(self.session.info.from_header), "sip", self.session.info.source_ip)

    # --------------------------------------------------------------------------------------------------------------- the box
    async def _open_box(self) -> None:
        """Say what is there, and begin."""
        self._stage = BoxStage.HEARING
        self._stop_idling()
        box = await self._list()
        if box is not None:
            await self._next(*overview(box.new, box.read, self._visit.counts))

    async def _list(self) -> MessageBox | None:
        """Begin a walk through what is in the box; None: there is nothing, and the call goes."""
        box = await self._messages.messages(self._visit.owner)
        self._walk = Walk(box)
        if self._walk.current is not None:
            return box
        if box.code is MsgCode.STORAGE:
            log.error("call %s: voicebox: the box of %s cannot be read; the caller is let go", self.session.id, self._visit.owner)
            self._leave("bye")
        else:
            self._leave("no_msg")
        return None

    async def _next(self, *before: str) -> None:
        """Play the message that is next, after some prompts; one that has gone meanwhile is passed over."""
        walk = self._walk
        assert walk is not None
        self._stage = BoxStage.HEARING
        said = list(before)
        while (stop := walk.current) is not None:
            found = await self._messages.open(self._visit.owner, stop.message.name)
            if found.path is not None:
                said += [stop.intro, *self._came(stop.message.stored_ns)]
                self._play_message(str(found.path), said, walk.menu)
                return
            log.info("call %s: voicebox: message %s has gone meanwhile", self.session.id, stop.message.name)
            walk.go_on(kept=False)
        if walk.kept:
            self._stage = BoxStage.END
            self._say(*said, "no_more_msg")
        else:
            self._leave(*said, "no_msg")

    def _came(self, stored_ns: int) -> list[str]:
        if self._times is None:
            return []
        now = datetime.fromtimestamp(self.session.host.clock.epoch_s())
        try:
            moment = datetime.fromtimestamp(stored_ns // 1_000_000_000)
        except (ValueError, OverflowError, OSError):  # a file's time may be anything
            return []
        return came(moment, now, self._times)

    def _play_message(self, path: str, before: list[str], menu: str) -> None:
        self._begins = self._next_separator()
        self._play(*self._prompts.items(*before), PlaySeparator(self._begins), PlayFile(path), *self._prompts.items(menu))

    async def on_separator(self, number: int) -> None:
        """A message begins, or all has been said."""
        if number == self._begins and self._stage is BoxStage.HEARING:
            await self._message_begins()
        elif number == self._over and self._stage is BoxStage.LEAVING:
            self.session.stop()
        elif number == self._over:
            self._wait_for_keys()

    async def _message_begins(self) -> None:
        """From here on it is no new one, and keys act on it."""
        stop = self._walk.current if self._walk is not None else None
        if stop is None:
            return
        self._stage = BoxStage.ACTION
        code = await self._messages.mark_read(self._visit.owner, stop.message.name)
        if code is not MsgCode.OK:
            log.warning("call %s: voicebox: message %s cannot be marked read: %s", self.session.id, stop.message.name, code.name)

    # -------------------------------------------------------------------------------------------------------------------- keys
    async def on_digit(self, event: int, duration_ms: int) -> None:
        """A key."""
        if self._stage is BoxStage.PIN:
            await self._pin_key(event)
        elif self._stage in (BoxStage.ACTION, BoxStage.END):
            action = self._manner.keys.get(event)
            if self._silent:
                self._wait_for_keys()
            if action is not None and self._walk is not None and self._walk.allows(action):
                self.session.audio.flush()
                await self._act(action, self._walk)

    async def _act(self, action: KeyAction, walk: Walk) -> None:
        stop = walk.current
        if action is KeyAction.START_OVER or stop is None:
            await self._start_over()
        elif action is KeyAction.REPEAT:
            found = await self._messages.open(self._visit.owner, stop.message.name)
            items: tuple[PlayItem, ...] = () if found.path is None else (PlayFile(str(found.path)),)
            self._play(*items, *self._prompts.items("msg_menu"))
        elif action is KeyAction.SAVE:
            walk.go_on(kept=True)
            await self._next("msg_saved")
        else:
            code = await self._messages.delete(self._visit.owner, stop.message.name)
            if code not in (MsgCode.OK, MsgCode.NOT_FOUND):
                log.error("call %s: voicebox: message %s cannot be deleted: %s", self.session.id, stop.message.name, code.name)
                self._play(*self._prompts.items(walk.menu))
                return
            walk.go_on(kept=False)
            await self._next("msg_deleted")

    async def _start_over(self) -> None:
        """Again, with what is in the box now: what was not deleted, and what has come meanwhile."""
        self._stage = BoxStage.HEARING
        if await self._list() is not None:
            await self._next()

    # ------------------------------------------------------------------------------------------------------- playing, waiting
    def _say(self, *names: str) -> None:
        self._play(*self._prompts.items(*names))

    def _play(self, *items: PlayItem) -> None:
        self._stop_idling()
        self._over = self._next_separator()
        self.session.audio.play(*items, PlaySeparator(self._over))

    def _next_separator(self) -> int:
        self._separator += 1
        return self._separator

    def _leave(self, *names: str) -> None:
        self._stage = BoxStage.LEAVING
        self._say(*names)

    def _wait_for_keys(self) -> None:
        self._silent = True
        if self._manner.idle_ms:
            self.session.timers.set(_IDLE_TIMER, self._manner.idle_ms)

    def _stop_idling(self) -> None:
        self._silent = False
        self.session.timers.remove(_IDLE_TIMER)

    def on_timer(self, id: int) -> None:
        """No key for too long."""
        if id == _IDLE_TIMER and self._silent and self._stage is not BoxStage.LEAVING:
            self.session.audio.flush()
            self._leave("bye")
