# SPDX-License-Identifier: GPL-2.0-or-later
"""Host names that pjsip wants to know the addresses of: of proxies and registrars, and whatever a peer's Contact or Record-Route names. Pure.

    asked ─► known and fresh: at once │ known, older: at once, and looked up again │ else it waits ─► look_up ─► found ─► answer
                                                                                     └ too long, or too many names: no address (502)

Nothing waits in the SIP process: whoever looks names up does so elsewhere and calls `found`.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable

log = logging.getLogger(__name__)

_S = 1_000_000_000
FRESH_NS = 30 * _S
"""The system's resolver does not say for how long an answer holds."""
PATIENCE_NS = 8 * _S
"""A silent name server is asked again after 5 s, usually; who sends a request gives up after 32 s."""
MOST_WAITING = 64
MOST_KNOWN = 1000


class HostNames:
    """`look_up(name)` begins to look one up, `answer(number, name, addresses)` tells pjsip; `now_ns` is monotonic."""

    def __init__(
        self,
        look_up: Callable[[str], None],
        answer: Callable[[int, str, tuple[str, ...]], None],
        now_ns: Callable[[], int],
    ) -> None:
        self._look_up, self._answer, self._now_ns = look_up, answer, now_ns
        self._known: OrderedDict[str, tuple[int, tuple[str, ...]]] = OrderedDict()
        self._waiting: dict[str, list[int]] = {}
        self._since_ns: dict[str, int] = {}
        """When each name that is being looked up was first asked for."""

    def asked(self, number: int, name: str) -> None:
        """pjsip wants a name's addresses; each number is answered once."""
        name = name.lower()
        now_ns = self._now_ns()
        until_ns, addresses = self._known.get(name, (0, ()))
        if name not in self._since_ns and now_ns >= until_ns:
            if len(self._since_ns) >= MOST_WAITING:
                if not addresses:
                    log.warning("host name %s is not looked up: %d others are", name, MOST_WAITING)
                    self._answer(number, name, ())
                    return
            else:
                self._since_ns[name] = now_ns
                self._look_up(name)
        if addresses or now_ns < until_ns:
            self._answer(number, name, addresses)
        else:
            self._waiting.setdefault(name, []).append(number)

    def found(self, name: str, addresses: tuple[str, ...]) -> None:
        """It has been looked up; without addresses there are none, and one that was known before goes on to be used."""
        self._since_ns.pop(name, None)
        if not addresses:
            log.warning("host name %s cannot be resolved: what should go there fails", name)
            addresses = self._known.get(name, (0, ()))[1]
        self._known[name] = (self._now_ns() + FRESH_NS, addresses)
        self._known.move_to_end(name)
        while len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
        self._tell(name, addresses)

    def second_passed(self) -> None:
        """Who has waited for too long gets no address; the answer may still come for the next one."""
        now_ns = self._now_ns()
        for name in [
            name for name, since_ns in self._since_ns.items() if now_ns - since_ns >= PATIENCE_NS and name in self._waiting
        ]:
            log.warning("host name %s is still being looked up after %d s: what should go there fails", name, PATIENCE_NS // _S)
            self._tell(name, ())

    def _tell(self, name: str, addresses: tuple[str, ...]) -> None:
        for number in self._waiting.pop(name, ()):
            self._answer(number, name, addresses)
