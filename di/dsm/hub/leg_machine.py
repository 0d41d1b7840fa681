# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine beside a leg's application: what it sees of the leg (`DsmSession`, `Watcher`, `SbcLeg`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from di.calls.call_changes import NO_CHANGES, CallChanges
from di.calls.change_keys import changes_of
from di.calls.session import Session
from di.calls.state import Phase
from di.dsm.hub.call_words import selected
from di.dsm.hub.leg_ports import LegB2B, LegDialog, LegMedia
from di.dsm.hub.queue_names import QueueNames
from di.dsm.language.model import Call, Transition
from di.dsm.run.engine import Machine
from di.dsm.run.ports import AudioPort, B2BPort, DialogPort, HubPort
from di.kernel.errors import Refused

if TYPE_CHECKING:
    from di.dsm.hub.script_host import ScriptHost
    from di.dsm.load.bundles import Bundle

FIRST_TIMER = 1_000_000
"""Numbers of a script's timers begin here: the application beside it has its own."""
_RINGING = frozenset({Phase.PROCEEDING, Phase.EARLY})
_CONNECTED = frozenset({Phase.ANSWERED, Phase.CONNECTED})
_BEFORE = frozenset({Phase.IDLE, Phase.TRYING})
_FLAGS = frozenset(("force_outbound_proxy", "rtprelay_enabled"))
_TEXTS = frozenset(
    "RURI From To Call-ID next_hop outbound_proxy append_headers rtprelay_interface aleg_rtprelay_interface".split()
)
"""Keys of `sbc.profileSet`."""


@dataclass
class StartChanges:
    """What `sbc.profileSet` says in the first state."""

    values: dict[str, str] = field(default_factory=dict)
    refuse_with: str = ""

    def changes(self) -> CallChanges:
        """As of a control. Raises ValueError, which names the key."""
        return changes_of(self.values) if self.values else NO_CHANGES

    def refusal(self) -> Refused | None:
        """`code reason`. Raises ValueError for what is none."""
        if not self.refuse_with:
            return None
        code, _, reason = self.refuse_with.strip().partition(" ")
        if not code.isdecimal() or not 300 <= int(code) <= 699:
            raise ValueError(f"refuse_with={self.refuse_with!r}: right is a code of 300 to 699 and a reason")
        return Refused(int(code), reason.strip() or "Refused")


class LegMachine(QueueNames):
    """`status`: the word of `#SBCCallStatus`."""

    def __init__(self, session: Session, host: ScriptHost, bundle: Bundle, variables: Mapping[str, str], is_a_leg: bool) -> None:
        self.session, self.host, self.bundle, self.is_a_leg = session, host, bundle, is_a_leg
        self.machine = Machine(bundle.diagrams, self, self)
        self.machine.vars.update(bundle.variables)
        self.machine.vars.update(variables)
        self.held = False
        self.starting: StartChanges | None = StartChanges()
        """While the first state runs: what it changes of the call; None afterwards."""
        self._media = LegMedia(self)
        self._dialog = LegDialog(session, host)
        self._b2b = LegB2B(session)
        self.own_names(host.services.queues, session.post)

    # --------------------------------------------------------------------------------------------------------- DsmSession
    @property
    def id(self) -> str:
        """The session's id."""
        return self.session.id

    @property
    def media(self) -> AudioPort:
        """What is supported of it."""
        return cast(AudioPort, self._media)

    @property
    def dialog(self) -> DialogPort:
        """What is supported of it."""
        return cast(DialogPort, self._dialog)

    @property
    def b2b(self) -> B2BPort:
        """What is supported of it."""
        return cast(B2BPort, self._b2b)

    @property
    def hub(self) -> HubPort:
        """The rest of the server."""
        return self.host.hub

    def select(self, name: str) -> str:
        """`@name`."""
        return selected(self.session, name)

    def stop(self, bye_now: bool) -> None:
        """End this leg; its application ends the other."""
        if bye_now:
            self.session.stop(487)
        else:
            self.session.run(lambda: self.session.stop(487))

    def set_timer(self, id: int, seconds: int) -> None:
        """A timer event."""
        self.session.timers.set(FIRST_TIMER + id, seconds * 1000)

    def remove_timer(self, id: int) -> None:
        """Stop a timer."""
        self.session.timers.remove(FIRST_TIMER + id)

    def remove_timers(self) -> None:
        """Stop all of the script's."""
        for id in [id for id in self.session.timers.left_ms() if id >= FIRST_TIMER]:
            self.session.timers.remove(id)

    def close(self) -> None:
        """The leg is gone."""
        self.give_names_back()
        self.machine.unhandled.overwritten()
        self.host.positions.call_gone(self.id)

    # ------------------------------------------------------------------------------------------------------------- SbcLeg
    @property
    def status(self) -> str:
        """Where its dialog stands."""
        phase = self.session.dialog.phase
        if phase in _BEFORE:
            return "NoReply"
        if phase in _RINGING:
            return "Ringing"
        if phase in _CONNECTED:
            return "Connected"
        return "Disconnecting" if phase is Phase.DISCONNECTING else "Disconnected"

    @property
    def is_on_hold(self) -> bool:
        """Whether its peer holds it."""
        return self.held

    def stop_call(self, cause: str) -> None:
        """End both legs."""
        reason = "".join(letter for letter in cause if letter.isprintable() and letter not in '"\\')[:100]
        headers = (f'Reason: SIP;cause=200;text="{reason}"',) if reason else ()
        self.session.run(lambda: self.session.stop(480, reason, headers))

    def hold(self, on: bool) -> None:
        """Offer the peer to be held, or to go on."""
        self.session.dialog.offer("sendonly" if on else "sendrecv")

    def profile_set(self, key: str, value: str) -> bool:
        """Change the call; in the first state only. False: there is no such key, or it is too late."""
        if self.starting is None:
            return False
        if key == "refuse_with":
            self.starting.refuse_with = value
            return True
        if key in _FLAGS:
            value = "yes" if value == "true" else "no"
        elif key not in _TEXTS:
            return False
        self.starting.values[key] = value
        return True

    # ------------------------------------------------------------------------------------------------------------ Watcher
    def position_changed(self, diagram: str, state: str) -> None:
        """Tell the store and the stream."""
        self.host.positions.call_moved(self.session, diagram, state)

    def transition_taken(self, transition: Transition) -> None:
        """For dsm_stategraph."""
        self.host.positions.transition_taken(self.session.id, transition.name)

    def action_called(self, call: Call) -> None:
        """Not traced in the server."""
