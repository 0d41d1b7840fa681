# SPDX-License-Identifier: GPL-2.0-or-later
"""What other plug-ins may do with the call records: a way out of their own, and notes of who must be told when a call is cut by a crash."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Protocol

from di.kernel.capabilities import Capability
from di.stores.cdr.record import CallRecord
from di.stores.cdr.sinks.sink import Sink


@dataclass(frozen=True, slots=True)
class ControlNote:
    """A control that let a call begin: what it needs to be told of the end by the server's next life."""

    control: str
    module: str
    values: Mapping[str, str] = field(default_factory=dict)
    account: str = ""
    charge_id: str = ""

    def to_json(self) -> str:
        """As the spool keeps it."""
        return json.dumps(asdict(self), ensure_ascii=True)

    @classmethod
    def from_json(cls, text: str) -> ControlNote:
        """The reverse. Raises ValueError for what is none."""
        try:
            return cls(**json.loads(text))
        except TypeError as error:
            raise ValueError(f"no note of a control: {error}") from error


class RecordBook(Protocol):
    """The call records of this server (`di.stores.cdr.start`)."""

    def add_sink(self, sink: Sink, wanted: Callable[[CallRecord], bool], vars: tuple[str, ...] = ()) -> None:
        """A further way out, for the records that `wanted` lets through. `vars`: attributes of the store that they then have.

        To be called while the server starts; records that an earlier life left for it are delivered then. Raises ValueError for a name
        that is taken.
        """

    def note(self, call: str, note: ControlNote) -> None:
        """A control has let a call begin; should the server die, its next life tells it (`di.calls.control_modules.HearsOfCrashes`)."""


CALL_RECORDS: Capability[RecordBook] = Capability("call records")
