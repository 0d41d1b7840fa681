# SPDX-License-Identifier: GPL-2.0-or-later
"""A whole application on a page, made of `di.apps.api` and the keypad alone: four digits, a second leg, and why it failed.

The caller hears 440 Hz, enters an extension, and is connected with it; 500 Hz say "busy", 800 Hz "nobody there", 1100 Hz "too few digits".
"""

from __future__ import annotations

from dataclasses import dataclass

from di.apps.api import Application, Closer, Pair, PairOptions, PlayTone, Plugin, Services, Session, SipReply, Target, option
from di.apps.keypad import Gather, Gathered, Keypad

_WANTED = Gather(min_digits=4, max_digits=4, first_ms=5000, between_ms=1500)


def tone(hz: int, length_ms: int = 0) -> PlayTone:
    return PlayTone(frequencies_hz=(hz,), on_ms=1000, length_ms=length_ms)


@dataclass(frozen=True)
class Options:
    """operator_desk.conf."""

    host: str = option("127.0.0.1:5060", help="Where extensions are.")


class Operator(Application):
    """One caller."""

    def __init__(self, session: Session, options: Options) -> None:
        super().__init__(session)
        self.keypad, self.options = Keypad(session), options

    def on_session_start(self) -> None:
        self.keypad.begin(_WANTED, tone(440, 3000), done=self.extension_entered)

    def extension_entered(self, entry: Gathered) -> None:
        if not entry:
            self.session.audio.play(tone(1100))
            return
        pair = Pair(self.session, PairOptions(application="operator_leg"))
        pair.connect([Target(f"sip:{entry.digits}@{self.options.host}", ring_ms=10_000)])

    def on_other_reply(self, reply: SipReply) -> None:
        if reply.code >= 300:
            self.session.log(failed=f"{reply.code} {reply.reason}")
            self.session.audio.play(tone(500 if reply.code == 486 else 800))

    def on_digit(self, event: int, duration_ms: int) -> None:
        self.keypad.on_digit(event)

    def on_timer(self, id: int) -> None:
        self.keypad.on_timer(id)

    def on_separator(self, number: int) -> None:
        self.keypad.on_separator(number)

    def on_destroy(self) -> None:
        self.keypad.on_destroy()


def start(services: Services, options: Options) -> Closer:
    services.applications.register("operator_desk", lambda session: Operator(session, options))
    return lambda: services.applications.unregister("operator_desk")


PLUGIN = Plugin("operator_desk", options=Options, start=start)
