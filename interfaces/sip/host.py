# SPDX-License-Identifier: GPL-2.0-or-later
"""What a call needs of the SIP process around it."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Protocol

from di.sip.records import CallEvent
from interfaces.sip.keying import Unprotected
from interfaces.sip.placeholders import Placeholders
from interfaces.sip.reader import DescriptionReader
from interfaces.sip.session_timer import Interval

if TYPE_CHECKING:
    from interfaces.sip.call import SipCall


class Host(Protocol):
    """`server.SipServer`, as its calls see it."""

    codecs: frozenset[str]
    """Upper-case `NAME/clock` of what may be negotiated."""

    offered: frozenset[str]
    """Those of them that our own offers name."""

    reader: DescriptionReader
    """What the descriptions of the peers say."""

    placeholders: Placeholders
    """For bytes that pjsua2 does not take."""

    nat_handling: bool
    """Requests inside a call go to where its peer's messages come from."""

    random: Random
    """For waits that two sides must not choose alike."""

    unprotected: Unprotected
    """Told of offers that are refused for their keys."""

    def now_ns(self) -> int:
        """Monotonic."""

    def emit(self, record: CallEvent) -> None:
        """Send a record to the hub."""

    def update(self, call: SipCall, headers: tuple[tuple[str, str], ...]) -> None:
        """Send an UPDATE without an offer. Raises CannotSend."""

    def contact(self, call: SipCall, value: str) -> bool:
        """What our messages in its dialog name. False: it is no Contact."""

    def send_to(self, call: SipCall, uri: str, always: bool) -> bool:
        """Where requests in its dialog go, if no proxy stands in their way, or `always`. False: it is no URI."""

    def look_at(self, call: SipCall) -> None:
        """Let it `work` once pjsip is no longer on the stack."""

    def release(self, call: SipCall) -> None:
        """The call is over: let go of it once pjsip is no longer on the stack."""

    def identified(self, call: SipCall) -> None:
        """`call_id` and `local_tag` have become known."""

    def refreshed(self, call: SipCall, interval: Interval) -> None:
        """A 2xx set the interval in which the call has to be refreshed."""
