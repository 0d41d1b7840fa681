# SPDX-License-Identifier: GPL-2.0-or-later
"""Registrations of our own, as they happen: the book of `di.sip.registration` with the clock, the SIP process, log and monitoring store.

    order (DI, configuration, database) ─► book ─► REGISTER by `sessions.outside` ─► reply ─► book ─► news: log, store, listeners

While the SIP process is away nothing is sent and nothing counts as failed. An incoming call to a registered contact is a call as any:
its application is chosen by the Request-URI, whose user part is the account's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace

from di.calls.outside import OutsideRequest
from di.calls.register_flows import RegisterFlows, seen_as
from di.calls.sessions import Sessions
from di.kernel.capabilities import Capability
from di.kernel.ports import TimerHandle
from di.sip.credentials import Credential
from di.sip.outside_records import OutsideReplied
from di.sip.registration.account import RegisterAccount, RegisterPolicy
from di.sip.registration.binding import Binding, Happened, RegisterNews, RegisterReply, RegisterRequest, RegisterState
from di.sip.registration.book import RegistrationBook
from di.sip.registration.pacing import NS, RegisterPace

log = logging.getLogger(__name__)

_UNTIL_UP_NS = NS
CLOSE_S = 4.0
"""How long a stop waits for registrars; the hub gives a plug-in 5 s."""
_LEAVING_WITHIN_NS = 2 * NS


class Registering:
    """One book and its errands. `module`: whose it is, for the log."""

    def __init__(
        self,
        sessions: Sessions,
        policy: RegisterPolicy,
        pace: RegisterPace,
        module: str,
    ) -> None:
        self._sessions, self._module = sessions, module
        self._listeners: list[Callable[[Happened], None]] = []
        self._clock = sessions.surroundings.clock
        self.policy = policy
        self.book = RegistrationBook(policy, pace, self._clock.random, lambda: f"{self._clock.random.getrandbits(128):032x}")
        self.flows = RegisterFlows(policy.keepalive_s, self._clock.random)
        self._learned: dict[str, tuple[str, str]] = {}
        """By handle: the Contact that was learned, and the one that it takes the place of until that REGISTER is answered."""
        self._timer: TimerHandle | None = None
        self._said: dict[str, tuple[RegisterNews, int]] = {}
        self._empty: asyncio.Event | None = None

    def listen(self, listener: Callable[[Happened], None]) -> None:
        """Tell somebody of everything that happens from now on, one at a time."""
        self._listeners.append(listener)

    def now_ns(self) -> int:
        """The time that the book goes by."""
        return self._clock.now_ns()

    # -------------------------------------------------------------------------------------------------------------- orders
    def add(self, account: RegisterAccount, policy: RegisterPolicy | None = None) -> None:
        """Register an account and keep it registered. What had its handle is replaced."""
        self._learned.pop(account.handle, None)
        self._show(self.book.add(account, self.now_ns(), policy))
        self.wake()

    def resume(self, account: RegisterAccount, left_s: int, interval_s: int) -> None:
        """Go on with what a former run has registered for `interval_s`, of which `left_s` are left."""
        now_ns = self.now_ns()
        self._learned.pop(account.handle, None)
        self._show(self.book.resume(account, now_ns + left_s * NS, interval_s * NS, now_ns))
        self.wake()

    def change(self, account: RegisterAccount) -> bool:
        """Register a known handle with other values, at once. False: it is not known."""
        self._learned.pop(account.handle, None)
        known = self.book.change(account, self.now_ns())
        self.wake()
        return known

    def refresh(self, handle: str) -> bool:
        """Register a known handle at once. False: it is not known."""
        known = self.book.refresh(handle, self.now_ns())
        self.wake()
        return known

    def remove(self, handle: str) -> None:
        """Take a registration back."""
        self._tell(self.book.remove(handle, self.now_ns()))
        self.wake()

    async def close(self, leave: bool = True) -> None:
        """The server stops. `leave`: every registration is taken back, within `CLOSE_S`; else they stand until they run out."""
        if leave and len(self.book) and self._sessions.sip_is_up:
            self._empty = asyncio.Event()
            self._tell(self.book.remove_all(self.now_ns(), _LEAVING_WITHIN_NS))
            self.wake()
            try:
                await asyncio.wait_for(self._empty.wait(), CLOSE_S)
            except TimeoutError:
                log.warning("%s: %d registrations could not be taken back in %.0f s", self._module, len(self.book), CLOSE_S)
        for binding in self.book:
            self.book.drop(binding.account.handle)
        if self._timer is not None:
            self._timer.cancel()

    # ---------------------------------------------------------------------------------------------------------------- time
    def wake(self) -> None:
        """Send what is due, and come back when more is."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._empty is not None and not len(self.book):
            self._empty.set()
            return
        now_ns = self.now_ns()
        if not self._sessions.sip_is_up:
            if len(self.book):
                self._timer = self._clock.call_later(_UNTIL_UP_NS, self.wake)
            return
        requests, happened = self.book.poll(now_ns)
        for request in requests:
            self._send(request)
        self._tell(happened)
        for handle in self.flows.due(now_ns):
            self._keep_alive(handle)
        ends = [at_ns for at_ns in (self.book.deadline_ns(), self.flows.deadline_ns()) if at_ns is not None]
        deadline_ns = min(ends, default=None)
        if deadline_ns is not None and self._timer is None:
            self._timer = self._clock.call_later(max(deadline_ns - self.now_ns(), 0), self.wake)

    def _keep_alive(self, handle: str) -> None:
        """An OPTIONS by the way of its REGISTERs; any answer will do."""
        binding = self.book.find(handle)
        if binding is None or binding.in_flight:
            return
        account = binding.account

        def answered(reply: OutsideReplied) -> None:
            if not reply.source_ip and self._sessions.sip_is_up and self.refresh(handle):
                log.warning("%s: nobody answers at the registrar of %s: it is registered anew", self._module, account.address)

        where = f"sip:{account.domain}"
        self._sessions.outside.send(
            OutsideRequest("OPTIONS", where, account.party, f"<{where}>", next_hop=account.next_hop), answered
        )

    def _learn(self, request: RegisterRequest, reply: RegisterReply) -> None:
        """Register the address that the registrar sees, if it is another one than the Contact's: at once, but once a refresh.

        A NAT that shows another port each time would be followed without end. Its next port is learned with the next refresh.
        """
        account, binding = request.account, self.book.find(request.account.handle)
        if binding is None or binding.account != account:
            return  # it has other values by now
        if account.contact and account.handle not in self._learned:
            return  # it was given
        seen = seen_as(reply.contact, reply.headers)
        follows = bool(self._learned.get(account.handle, ("", ""))[1])
        if seen and follows:
            log.info("%s: %s is seen as %s already: that waits for the next refresh", self._module, reply.contact, seen)
        if seen and not follows:
            log.info("%s: %s is seen as %s: that is registered", self._module, reply.contact, seen)
            self._learned[account.handle] = (seen, reply.contact)
            self.book.change(replace(account, contact=seen), self.now_ns())
        elif account.handle in self._learned:
            self._learned[account.handle] = (reply.contact, "")

    def _send(self, request: RegisterRequest) -> None:
        account = request.account
        learned, old = self._learned.get(account.handle, ("", ""))
        taken_back = (f"Contact: <{old}>;expires=0",) if old and request.contact == learned and request.expires_s else ()
        problem = self._sessions.outside.send(
            OutsideRequest(
                "REGISTER",
                f"sip:{account.domain}",
                account.party,
                account.party,
                (*((f"Contact: <{request.contact}>",) if request.contact else ()), *taken_back, f"Expires: {request.expires_s}"),
                next_hop=account.next_hop,
                credential=Credential("", account.auth_user or account.user, account.password),
                call_id=request.call_id,
                cseq=request.cseq,
                from_tag=account.handle,
                contact_user="" if request.contact else account.user,
            ),
            lambda reply: self._replied(request, reply),
        )
        if problem:
            self._answered(request, RegisterReply(480, f"unable to send request: {problem}", heard=False))

    # -------------------------------------------------------------------------------------------------------------- answers
    def _replied(self, request: RegisterRequest, reply: OutsideReplied) -> None:
        if not self._sessions.sip_is_up:
            self.book.not_sent(request, self.now_ns())
            self.wake()
            return
        contact = reply.contact or request.contact
        self._answered(
            request, RegisterReply(reply.code, reply.reason, reply.headers, bool(reply.source_ip), reply.cseq, contact)
        )

    def _answered(self, request: RegisterRequest, reply: RegisterReply) -> None:
        self._tell(self.book.answered(request, reply, self.now_ns()))
        handle = request.account.handle
        if 200 <= reply.code < 300 and request.expires_s:
            self.flows.registered(handle, self.now_ns())
            if self.policy.learn_contact:
                self._learn(request, reply)
        self._clock.call_soon(self.wake)

    def _tell(self, happened: list[Happened]) -> None:
        for news in happened:
            self._log(news)
            if news.over:
                self.flows.forget(news.handle)
                self._learned.pop(news.handle, None)
            self._show(news.binding, news.over)
            for listener in self._listeners:
                listener(news)

    def _log(self, news: Happened) -> None:
        """A line when something is other than before; what repeats itself is for those who look closely."""
        told = (news.news, news.code)
        repeated = self._said.get(news.handle) == told
        self._said[news.handle] = told
        if news.over:
            del self._said[news.handle]
        binding, account = news.binding, news.binding.account
        good = news.news is RegisterNews.SUCCESS or (news.over and binding.leaving and news.news is RegisterNews.NO_CONTACT)
        level = logging.DEBUG if repeated and not news.over else logging.INFO if good else logging.WARNING
        log.log(
            level, "%s: registration %s of %s at %s: %s", self._module, news.handle, account.address,
            account.next_hop or account.domain, _sentence(news, self.now_ns()),
        )  # fmt: skip

    def _show(self, binding: Binding, over: bool = False) -> None:
        """Keep the record in the monitoring store."""
        monitoring, account = self._sessions.surroundings.monitoring, binding.account
        left_s = binding.expires_left_s(self.now_ns())
        monitoring.log(
            account.handle,
            registration=account.address,
            registrar=account.next_hop or account.domain,
            module=self._module,
            reg_state=binding.state.value,
            reg_code=binding.code,
            reg_reason=binding.reason,
            reg_contact=binding.contact,
            reg_until=int(self._clock.epoch_s()) + left_s if left_s else 0,
        )
        if over:
            monitoring.mark_finished(account.handle)

    def states(self) -> dict[str, int]:
        """How many registrations are in each state."""
        counts = {state.value: 0 for state in RegisterState if state is not RegisterState.GONE}
        for binding in self.book:
            counts[binding.state.value] += 1
        return counts


def _sentence(news: Happened, now_ns: int) -> str:
    binding = news.binding
    answer = f"{news.code} {news.reason}".strip() if news.code else news.reason
    if news.news is RegisterNews.SUCCESS:
        return f"active for {binding.granted_s} s"
    if news.over and binding.leaving:
        return f"taken back ({answer})" if news.news is RegisterNews.NO_CONTACT else f"not taken back: {answer}"
    if news.code in (401, 407):
        answer += ": user, password or realm is wrong there"
    then = "given up" if news.over else f"tried again in {news.wait_s} s" if news.wait_s else "not tried again"
    then = "an answer is on its way" if binding.in_flight else then
    left_s = binding.expires_left_s(now_ns)
    return f"{answer}; {then}" + (f", it stands for another {left_s} s" if left_s else "")


REGISTRATIONS: Capability[Registering] = Capability("registrations")
"""Under this key stand the registrations of `registrar_client`."""
