# SPDX-License-Identifier: GPL-2.0-or-later
"""May this call be, for how long, and who is told of its end: one chain for calls in, calls out and second legs.

    gate      before there is a session: the server's own limits, by direction, without any waiting
    admit     each control in turn, as the call's first event; one may wait (a billing system), refuse, or grant so many seconds
    answered  the clock runs; before a grant is used up its control is asked for more, or the call ends
    ended     every control that had admitted the call is told exactly once, also of a call that a later control refused

Time counts from the answer, each grant by itself, and the smallest holds:

    admitted ── answer ──► counting ── ask_before_s before the end ──► asked ── more ──► counting
                                                                        │ refused, or no answer by the end
                                                                        ▼
                                                    warned (warn_s before the end), ended at the end

A control that thinks holds up the beginning of its call, and nothing once the call is up: neither a BYE nor the other grants. Controls
stand in `CallControl.controls` (`di.calls.gate`); modules add theirs at start, and an application further ones for its own call
(`Admission.add`). One whose service speaks up by itself finds its call's `Admission` and says `warn`, `ask_again`, `limit` or `cut`.

The BYE has a way to go, so a call is ended a moment before its time is up (`EndLead`): at the phone, too, none lasts longer than granted.
"""

from __future__ import annotations

from dataclasses import dataclass

from di.calls.call_changes import NO_CHANGES, CallChanges


@dataclass(frozen=True, slots=True)
class Grant:
    """What a control allows. `seconds` from the answer, or from where the last grant ended; None: without limit.

    `ask_before_s`: how long before its end the control is asked for more, so that one that thinks has the time; it goes on meanwhile.
    `go_on_s`: how long the call may go on when the control has not answered by then. `final`: there will be no more, nobody is asked.
    `warn_s`, `warn_path`: a sound that the call hears so long before its end, once it is certain that there is no more.
    `account`: who pays; `charge_id`: the control's own name of this charge; both stand in the call record.
    `changes`: what the call sends otherwise; only the first grant's count. `vars`: name and value of what goes into the record's `vars`.
    """

    seconds: float | None = None
    ask_before_s: float = 0.0
    go_on_s: float = 0.0
    final: bool = False
    warn_s: float = 0.0
    warn_path: str = ""
    account: str = ""
    charge_id: str = ""
    changes: CallChanges = NO_CHANGES
    vars: tuple[tuple[str, str], ...] = ()
