# SPDX-License-Identifier: GPL-2.0-or-later
"""What a configuration may name as a control (`di.modules.call_control`): a balance, a counter, somebody's service."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

from di.calls.admission import Control
from di.calls.call_changes import CallChanges
from di.calls.control import Grant
from di.calls.outside import OutsideReply
from di.kernel.capabilities import Capability
from di.sip.outside_records import OutsideReceived
from di.sip.records import CallEnded

if TYPE_CHECKING:
    from di.calls.session import Session


@dataclass(frozen=True, slots=True)
class ControlAsk:
    """One call at one configured control: `values` are those of the configuration, patterns filled in."""

    instance: str
    call: Session
    values: Mapping[str, str]

    @property
    def key(self) -> str:
        """Names the charge: one a call and instance."""
        return f"{self.call.id}/{self.instance}"


class ControlUnreachable(Exception):
    """The service that decides does not answer; the configuration says what then becomes of the call."""


class ControlModule(Protocol):
    """What stands behind a configured control (`di.modules.call_control`): a balance, a counter, somebody's service.

    `mandatory`: values that a configuration must give.
    """

    mandatory: tuple[str, ...]

    def authorize(self, ask: ControlAsk) -> Grant | Awaitable[Grant]:
        """Let a call begin. Raises Refused, ControlUnreachable."""

    def answered(self, ask: ControlAsk) -> Awaitable[Grant | None] | None:
        """It costs from now on. One that reserves only now may answer with another grant. Raises Refused, ControlUnreachable."""

    def renew(self, ask: ControlAsk, used_s: float) -> Grant | Awaitable[Grant]:
        """Its grant will be used up. Raises Refused, ControlUnreachable."""

    def ended(self, ask: ControlAsk, end: CallEnded, used_s: float) -> None:
        """It is over, once for each that was authorized."""


@dataclass(frozen=True, slots=True)
class InterruptedCall:
    """A call that was cut when the server died, as far as is known: it ended when it was last seen. `used_s`: 0 without an answer."""

    instance: str
    call: str
    values: Mapping[str, str]
    account: str
    charge_id: str
    answered: bool
    used_s: float
    direction: str = ""
    application: str = ""
    from_header: str = ""
    to_header: str = ""
    request_uri: str = ""
    call_id: str = ""
    source: str = ""

    @property
    def key(self) -> str:
        """As `ControlAsk.key`."""
        return f"{self.call}/{self.instance}"


@runtime_checkable
class HearsOfCrashes(Protocol):
    """A control module that must know the end of each call, also of one that a crash of the server cut."""

    def interrupted(self, call: InterruptedCall) -> Awaitable[None] | None:
        """The server's next life tells it, until it raises nothing; `InterruptedCall.key` knows repeats. Raises ControlUnreachable."""


@dataclass(frozen=True, slots=True)
class OutsideAsk:
    """A request outside calls at one control of an sbc profile. `trusted`: it comes from one of `trusted_peers`."""

    instance: str
    values: Mapping[str, str]
    request: OutsideReceived
    trusted: bool


Routed: TypeAlias = "OutsideReply | CallChanges"
"""A request outside calls is answered here, or goes on so changed."""


@runtime_checkable
class RoutesOutside(Protocol):
    """A control module that has a say in requests outside calls, too (SEMS: `route`)."""

    def route(self, ask: OutsideAsk) -> Routed | Awaitable[Routed]:
        """Answer it, or say where it goes. Raises Refused, ControlUnreachable."""


class ControlMaker(Protocol):
    """Makes links of the chain of what a configuration, a header or a script names (`di.modules.call_control` provides it)."""

    def make(self, name: str, values: Mapping[str, str], *, filled: bool = False) -> Control:
        """One link. `values`: `module` (else the name is the module's) and what that module wants.

        `filled`: the values are meant as they stand; otherwise patterns in them are replaced when a call is admitted. Raises ValueError
        for a module that is not loaded, and a value that it must have.
        """

    def make_all(self, text: str) -> Sequence[Control]:
        """Several, of a list `name, module;key=value;key="a, b"`. A name alone is that of a control in call_control.conf, else a module.

        Raises ValueError for what cannot be read, and as `make`.
        """


CONTROL_MAKER: Capability[ControlMaker] = Capability("maker of controls")
