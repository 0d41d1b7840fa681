# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes controls: those of the configuration, those that a header or a script names (`di.calls.control_modules.ControlMaker`)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from di.calls.control import Grant
from di.calls.control_modules import ControlAsk, HearsOfCrashes
from di.calls.patterns import fill, values_of
from di.kernel.errors import Refused
from di.kernel.value import Value
from di.modules.call_control.inline import parse
from di.modules.call_control.instance import ControlFigures, Instance
from di.modules.call_control.options import Options
from di.modules.call_control.options import values_of as values_of_instance
from di.stores.cdr.book import CALL_RECORDS, ControlNote

if TYPE_CHECKING:
    from di.calls.session import Session
    from di.server.services import Services
    from di.sip.records import CallEnded

log = logging.getLogger(__name__)
_MOST_FIGURES = 200
"""Names of controls whose figures are kept apart; those of further ones, which only headers can bring, share one place."""


class ChainMaker:
    """`figures`: by the control's name, for metrics."""

    def __init__(self, services: Services, options: Options) -> None:
        self._services = services
        self._options = options
        self.figures: dict[str, ControlFigures] = {}

    def make(self, name: str, values: Mapping[str, str], *, filled: bool = False) -> Instance:
        """See `di.calls.control_modules.ControlMaker`. What the configuration says of directions is not for these: who makes one wants it asked."""
        return self._make(name, values, replace(self._options, direction="both", second_legs=True), filled)

    def configured(self, name: str) -> Instance:
        """One of call_control.conf. Raises ValueError."""
        return self._make(name, values_of_instance(name, self._options.values), self._options, False)

    def _make(self, name: str, values: Mapping[str, str], options: Options, filled: bool) -> Instance:
        given = dict(values)
        wanted = given.pop("module", name)
        module = self._services.control_modules.get(wanted)
        if module is None:
            loaded = ", ".join(sorted(self._services.control_modules)) or "none"
            raise UnknownModule(
                f"module {wanted!r} is not loaded; put it before call_control in load_plugins (loaded: {loaded})", "module"
            )
        for key in module.mandatory:
            if not given.get(key):
                raise UnknownModule(f"{wanted} needs this value", key)
        hears = isinstance(module, HearsOfCrashes)

        def journal(ask: ControlAsk, grant: Grant) -> None:
            book = self._services.capabilities.find(CALL_RECORDS) if hears else None
            if book is not None:
                book.note(ask.call.id, ControlNote(name, wanted, dict(ask.values), grant.account, grant.charge_id))

        return Instance(name, module, given, options, self._publish, self._figures_of(name), filled, journal)

    def make_all(self, text: str) -> list[Instance]:
        """See `di.calls.control_modules.ControlMaker`."""
        made = []
        for name, values in parse(text):
            of_file = values_of_instance(name, self._options.values)
            if values or not of_file:
                made.append(self.make(name, values, filled=True))
            else:
                made.append(self.make(name, of_file))
        return made

    def _figures_of(self, name: str) -> ControlFigures:
        if name not in self.figures and len(self.figures) >= _MOST_FIGURES:
            name = "other"
        return self.figures.setdefault(name, ControlFigures())

    def _publish(self, kind: str, call: str, **more: Value) -> None:
        self._services.events.publish(kind, call, attributes=dict(more))


class UnknownModule(ValueError):
    """What a control is made of is wrong at one key."""

    def __init__(self, hint: str, key: str) -> None:
        super().__init__(hint)
        self.key = key


class NamedByCall:
    """A link of the chain whose text holds patterns: `$H(P-Call-Control)`. What it names for a call is asked right after it.

    A stranger names nothing: his headers do not count (`trusted_peers`).
    """

    def __init__(self, text: str, maker: ChainMaker, options: Options) -> None:
        self.name = text
        self._maker = maker
        self._options = options

    def admit(self, call: Session) -> Grant:
        """Raises Refused for a text that names no controls: the call was not meant to go without."""
        if self._options.direction not in ("both", call.info.direction):
            return Grant()
        if not self._options.second_legs and call.pair is not None and call is not call.pair.first:
            return Grant()
        variables = {name: str(value) for name, value in call.attributes.items()}
        text = fill(self.name, values_of(call.info, variables)).strip()
        if not text:
            return Grant()
        if not call.info.trusted:
            log.warning(
                "call %s: %s is %r, which does not count: %s is none of trusted_peers",
                call.id,
                self.name,
                text[:80],
                call.info.source_ip,
            )
            return Grant()
        try:
            controls = self._maker.make_all(text)
        except ValueError as error:
            log.error("call %s: %s names controls that cannot be: %s", call.id, self.name, error)
            raise Refused(500, "Server Internal Error") from error
        assert call.admission is not None
        call.admission.insert(controls)
        return Grant()

    def answered(self, call: Session) -> None:
        """Those that it named are told."""

    def renew(self, call: Session, used_s: float) -> Grant:  # noqa: ARG002 - `Control` has them
        """It gives no limit."""
        return Grant()

    def ended(self, call: Session, end: CallEnded, used_s: float) -> None:
        """Those that it named are told."""
