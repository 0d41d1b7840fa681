# SPDX-License-Identifier: GPL-2.0-or-later
"""After an announcement the call goes on to whom it was for: a second leg to its Request-URI.

The second leg's INVITE carries the URI in a header of ours. One that comes back for the same URI, because nobody but us is behind it,
would be announced and sent on for ever, so it is refused.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from di.apps.api import CallInfo, Pair, PairOptions, Refused, Seldom, Session, Target, end_to_end, uri_of

log = logging.getLogger(__name__)
_SEEN = "X-Announced"
_FOR_US = ("p-app-", "p-final-reply-", "p-b2b", "p-refer-to", "p-language")
"""Beginnings of headers that a proxy wrote for this server."""


class OnwardRule:
    """Whether a call may be sent on: who chooses the Request-URI has us dial. One an application; `now_ns` is monotonic.

    What is refused is in the log, ten lines a second of a kind at most: callers make them, and any of them can write the header.
    """

    def __init__(self, application: str, now_ns: Callable[[], int]) -> None:
        self._application, self._now_ns = application, now_ns
        self._strangers, self._loops = Seldom(), Seldom()

    def check(self, info: CallInfo, call: str) -> None:
        """`call`: the call's id. Raises Refused: 403 for one from none of `trusted_peers`, 482 for one that we have sent on ourselves."""
        if not info.trusted:
            if (more := self._strangers.line(self._now_ns())) is not None:
                log.warning(
                    "call %s: %s: %s wants to be connected with %s and is refused: it is none of trusted_peers in sems.conf, whose calls "
                    "alone go on%s", call, self._application, info.source_ip, info.request_uri, more,
                )  # fmt: skip
            raise Refused(403, "Forbidden")
        if any(name.lower() == _SEEN.lower() and value == info.request_uri for name, value in info.headers):
            if (more := self._loops.line(self._now_ns())) is not None:
                log.error(
                    "call %s: %s: %s is where we sent it on to, and it has come back: give the proxy a route that leads past this server, "
                    "or set next_hop in %s.conf%s", call, self._application, info.request_uri, self._application, more,
                )  # fmt: skip
            raise Refused(482, "Loop Detected")


def passed_on(headers: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Headers of an INVITE, as lines, that belong to the caller and not to us."""
    return end_to_end((name, value) for name, value in headers if not name.lower().startswith(_FOR_US))


def connect_onward(session: Session, application: str, next_hop: str, *, relay_invite: bool = False) -> Pair:
    """Call the Request-URI as second leg, from the caller, to the To of the INVITE. `relay_invite`: its replies are the caller's."""
    info = session.info
    target = Target(
        info.request_uri,
        to_header=f"<{uri_of(info.to_header)}>",
        headers=(*passed_on(info.headers), f"{_SEEN}: {info.request_uri}"),
        next_hop=next_hop,
    )
    pair = Pair(session, PairOptions(relay_invite=relay_invite, early_media=True, application=application))
    pair.connect([target])
    return pair
