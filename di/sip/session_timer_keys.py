# SPDX-License-Identifier: GPL-2.0-or-later
"""Session timer keys that applications take in their own files (spec core.md §10.1): an Options class has them by inheriting from this one."""

from __future__ import annotations

from dataclasses import dataclass

from di.kernel.errors import ConfigError
from di.kernel.options import option, where
from di.sip.records import SessionTimer

LEAST_S = 90
"""RFC 4028 §5: no interval may be shorter."""


@dataclass(frozen=True)
class SessionTimerOptions:
    """Whether an application's calls have a session interval of our own. `session_timer` gives it."""

    enable_session_timer: bool = option(
        False, help="Ask for a session interval in this application's calls; `no`: what the peer wants is done."
    )
    session_expires: int = option(120, help="The interval that is asked for.", unit="s", minimum=LEAST_S, maximum=86400)
    minimum_timer: int = option(
        90, help="The least that a peer may ask for; less is refused with 422.", unit="s", minimum=LEAST_S, maximum=86400
    )
    maximum_timer: int = option(
        900,
        help="The most that a peer's 422 may ask for in a call out; more ends it. 0: whatever it wants.",
        unit="s",
        maximum=86400,
    )
    session_refresh_method: str = option(
        "UPDATE_FALLBACK_INVITE",
        help="How our part is refreshed: by UPDATE where the peer allows it, else by INVITE; or always by one of the two.",
        choices=("UPDATE_FALLBACK_INVITE", "UPDATE", "INVITE"),
    )
    accept_501_reply: bool = option(
        True, help="A refresh of ours that the peer answers with 501 counts; `no`: the call ends with its interval."
    )

    def session_timer(self) -> SessionTimer | None:
        """The interval; None: none of our own. Raises ConfigError."""
        if not self.enable_session_timer:
            return None
        if self.session_expires < self.minimum_timer:
            hint = f"{self.session_expires} is below minimum_timer={self.minimum_timer}"
            raise ConfigError(*where(self, "session_expires"), "session_expires", hint)
        if 0 < self.maximum_timer < self.minimum_timer:
            hint = f"{self.maximum_timer} is below minimum_timer={self.minimum_timer}"
            raise ConfigError(*where(self, "maximum_timer"), "maximum_timer", hint)
        return SessionTimer(
            self.session_expires, self.minimum_timer, self.maximum_timer, self.session_refresh_method, self.accept_501_reply
        )
