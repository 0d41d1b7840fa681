# SPDX-License-Identifier: GPL-2.0-or-later
"""All registrations: which requests leave now, and when to look again.

    add, remove, refresh ─► due at some time ─► poll ─► requests, as many as the pace allows ─► answered ─► news, next time

Requests that are due wait their turn in the order in which they became due. Nothing is lost by waiting: refreshes are due long before
the end of what was granted.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator
from random import Random

from di.sip.registration.account import RegisterAccount, RegisterPolicy
from di.sip.registration.binding import Binding, Happened, RegisterReply, RegisterRequest, RegisterState
from di.sip.registration.pacing import NS, RegisterPace, Seconds

_LEAVING_EVERY_NS = NS // 100
"""At the server's end; few registrations are taken back sooner than within all the time there is."""


class RegistrationBook:
    """Bindings by handle. `new_call_id()` makes a Call-ID that nobody else has."""

    def __init__(self, policy: RegisterPolicy, pace: RegisterPace, random: Random, new_call_id: Callable[[], str]) -> None:
        self._policy, self._pace, self._random, self._new_call_id = policy, pace, random, new_call_id
        self._plan = Seconds(random)
        self._bindings: dict[str, Binding] = {}
        self._order = itertools.count()
        self._due: list[tuple[int, int, Binding]] = []
        self._lapses: list[tuple[int, int, Binding]] = []

    def __len__(self) -> int:
        return len(self._bindings)

    def __iter__(self) -> Iterator[Binding]:
        yield from list(self._bindings.values())

    def find(self, handle: str) -> Binding | None:
        """The binding of a handle."""
        return self._bindings.get(handle)

    # -------------------------------------------------------------------------------------------------------------- orders
    def add(self, account: RegisterAccount, now_ns: int, policy: RegisterPolicy | None = None) -> Binding:
        """Register an account; whatever had its handle is dropped, with what is under way for it."""
        self.drop(account.handle)
        binding = Binding(account, policy or self._policy, self._new_call_id(), now_ns, self._plan, self._random)
        self._bindings[account.handle] = binding
        self._keep(binding)
        return binding

    def resume(self, account: RegisterAccount, granted_until_ns: int, interval_ns: int, now_ns: int) -> Binding:
        """Go on with what a former run of ours has registered until then, for so long in all."""
        binding = self.add(account, now_ns)
        binding.resume(granted_until_ns, now_ns, interval_ns)
        self._keep(binding)
        return binding

    def change(self, account: RegisterAccount, now_ns: int) -> bool:
        """Register other values under a known handle, at once. False: there is no such handle."""
        return self._step(account.handle, lambda binding: binding.change(account, now_ns))

    def refresh(self, handle: str, now_ns: int) -> bool:
        """Register now. False: there is no such handle."""
        return self._step(handle, lambda binding: binding.refresh(now_ns))

    def remove(self, handle: str, now_ns: int) -> list[Happened]:
        """Take a registration back; unknown handles are ignored."""
        binding = self._bindings.get(handle)
        return self._took(binding, binding.remove(now_ns)) if binding is not None else []

    def remove_all(self, now_ns: int, within_ns: int) -> list[Happened]:
        """Take all back, faster than the pace allows, so that the last request has left after `within_ns` at most."""
        self._pace.hurry(max(min(within_ns // max(len(self._bindings), 1), _LEAVING_EVERY_NS), 1))
        return [news for binding in self for news in self._took(binding, binding.remove(now_ns))]

    def drop(self, handle: str) -> None:
        """Forget a registration without a word to the registrar."""
        binding = self._bindings.pop(handle, None)
        if binding is not None:
            binding.drop()

    # --------------------------------------------------------------------------------------------------------------- time
    def poll(self, now_ns: int) -> tuple[list[RegisterRequest], list[Happened]]:
        """What is to be sent now, and what has run out."""
        happened: list[Happened] = []
        while self._lapses and self._lapses[0][0] <= now_ns:
            at_ns, _, binding = heapq.heappop(self._lapses)
            binding.noted_lapse_ns = None if binding.noted_lapse_ns == at_ns else binding.noted_lapse_ns
            if self._known(binding) and binding.lapses_ns == at_ns:
                happened += self._took(binding, binding.lapsed(now_ns))
        requests: list[RegisterRequest] = []
        while self._skip_stale() and self._due[0][0] <= now_ns and self._pace.take(now_ns):
            requests.append(self._pop_due().request())
        return requests, happened

    def deadline_ns(self) -> int | None:
        """When to poll again; None: nothing is planned."""
        times = [self._lapses[0][0]] if self._lapses else []
        if self._skip_stale():
            times.append(max(self._due[0][0], self._pace.next_ns() if self._pace.every_ns else 0))
        return min(times, default=None)

    def _skip_stale(self) -> bool:
        while self._due and not (self._known(self._due[0][2]) and self._due[0][2].due_ns == self._due[0][0]):
            self._pop_due()
        return bool(self._due)

    def _pop_due(self) -> Binding:
        at_ns, _, binding = heapq.heappop(self._due)
        binding.noted_due_ns = None if binding.noted_due_ns == at_ns else binding.noted_due_ns
        return binding

    # -------------------------------------------------------------------------------------------------------------- answers
    def answered(self, request: RegisterRequest, reply: RegisterReply, now_ns: int) -> list[Happened]:
        """The answer to a request of `poll`, or the lack of one."""
        binding = self._of(request)
        return self._took(binding, binding.answered(request.attempt, reply, now_ns)) if binding is not None else []

    def not_sent(self, request: RegisterRequest, now_ns: int) -> None:
        """It could not leave, for our own SIP side was not there."""
        binding = self._of(request)
        if binding is not None:
            binding.not_sent(request.attempt, now_ns)
            self._keep(binding)

    def _of(self, request: RegisterRequest) -> Binding | None:
        binding = self._bindings.get(request.account.handle)
        return binding if binding is not None and binding.call_id == request.call_id else None

    # ------------------------------------------------------------------------------------------------------------- the rest
    def _step(self, handle: str, step: Callable[[Binding], None]) -> bool:
        binding = self._bindings.get(handle)
        if binding is None:
            return False
        step(binding)
        self._keep(binding)
        return True

    def _took(self, binding: Binding, happened: list[Happened]) -> list[Happened]:
        if binding.state is RegisterState.GONE:
            self.drop(binding.account.handle)
        else:
            self._keep(binding)
        return happened

    def _keep(self, binding: Binding) -> None:
        """Note when it wants something next, once; older notes of it are skipped when their time comes."""
        if binding.due_ns is not None and binding.due_ns != binding.noted_due_ns:
            binding.noted_due_ns = binding.due_ns
            heapq.heappush(self._due, (binding.due_ns, next(self._order), binding))
        if binding.lapses_ns is not None and binding.lapses_ns != binding.noted_lapse_ns:
            binding.noted_lapse_ns = binding.lapses_ns
            heapq.heappush(self._lapses, (binding.lapses_ns, next(self._order), binding))

    def _known(self, binding: Binding) -> bool:
        return self._bindings.get(binding.account.handle) is binding
