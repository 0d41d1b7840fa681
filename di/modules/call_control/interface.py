# SPDX-License-Identifier: GPL-2.0-or-later
"""DI module `control`: who is up and for how much, more or less time, an end. Not in SEMS."""

from __future__ import annotations

from di.calls.sessions import Sessions
from di.kernel.errors import OutOfBounds
from di.kernel.registry import di_method
from di.kernel.value import Value
from di.modules.call_control.maker import ChainMaker

_MOST_S = 86_400 * 30


class ControlledCalls:
    """Functions `control.…`."""

    def __init__(self, sessions: Sessions, maker: ChainMaker) -> None:
        self._sessions = sessions
        self._maker = maker

    @di_method("list", changes=False)
    def listed(self) -> list[Value]:
        """Return the calls that a control counts: call, account, used and left seconds (-1: without limit), who refuses more."""
        now_ns = self._sessions.clock.now_ns()
        found: list[Value] = []
        for session in self._sessions:
            admission = session.admission
            if admission is None or not any(True for _ in admission):
                continue
            granted_s, used_s = admission.granted_s(), admission.used_s(now_ns)
            account, charge_id = admission.charge()
            found.append(
                {
                    "call": session.id,
                    "account": account,
                    "charge_id": charge_id,
                    "used_s": round(used_s, 3),
                    "left_s": -1.0 if granted_s is None else round(granted_s - used_s, 3),
                    "no_more_from": [one.control.name for one in admission if one.refused is not None],
                }
            )
        return found

    @di_method("extend", dangerous=True)
    def extend(self, call: str, seconds: int) -> list[Value]:
        """Let a call last longer than it was granted (negative: shorter); the controls are not asked and not charged for it."""
        if abs(seconds) > _MOST_S:
            raise OutOfBounds(f"{seconds} s; right is up to {_MOST_S} s")
        session = self._sessions.find(call)
        if session is None:
            return [404, "call does not exist"]
        if session.admission is None or not session.admission.extend(seconds):
            return [409, "the call has no limit now"]
        return [200, "OK"]

    @di_method("add", dangerous=True)
    def add(self, call: str, controls: str) -> list[Value]:
        """Ask further controls about a call: `NAME, MODULE;KEY=VALUE;KEY="…"`. One that refuses ends it; time counts from now, or its answer."""
        try:
            links = self._maker.make_all(controls)
        except ValueError as error:
            return [400, str(error)]
        if not links:
            return [400, "controls is empty; right is NAME, or MODULE;KEY=VALUE"]
        session = self._sessions.find(call)
        admission = session.admission if session is not None else None
        if session is None or admission is None:
            return [404, "call does not exist"]
        if not session.ask(lambda: None if session.dialog.ending else admission.add(links)):
            return [503, "the call is busy"]
        return [202, "Accepted"]

    @di_method("end")
    def end(self, call: str) -> list[Value]:
        """End a call as a control would: BYE with a Reason header."""
        session = self._sessions.find(call)
        if session is None:
            return [404, "call does not exist"]
        session.run(
            lambda: session.stop(402, "Payment Required", ('Reason: Q.850;cause=31;text="ended by an operator"',), "operator")
        )
        return [200, "OK"]
