# SPDX-License-Identifier: GPL-2.0-or-later
"""One registration: what is sent for it when, and what each answer makes of it.

    PENDING ─ 2xx ─► ACTIVE ─ refused, or its time has run out ─► EXPIRED ─ tried again, `give_up`: forgotten ─► …
    any ─ remove ─► LEAVING ─ answered, or not ─► GONE

The book (`book.py`) asks `due_ns`, takes `request`, brings `answered` or `not_sent`, and looks at `lapses_ns`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, IntEnum
from random import Random

from di.sip.registration.account import RegisterAccount, RegisterPolicy
from di.sip.registration.contacts import Headers, contacts, granted_s, seconds
from di.sip.registration.pacing import NS, Seconds

FIRST_CSEQ = 50
_NOT_UP_NS = 2 * NS
_LEAST_INTERVAL_NS = 5 * NS
"""A registrar that grants a second or two does not make us flood it."""
_MAX_TOO_BRIEF = 3
"""423 in a row; a registrar that wants ever more is refused what it wants."""
_MOST_ASKED_S = 604_800
"""A week: no sane registrar wants at least more."""
_MAX_WAIT_S = 3600
"""A registrar cannot keep us away for longer."""
_TRANSIENT = frozenset((408, 430, 480, 491, 500, 502, 503, 504, 513, 580))


class RegisterState(Enum):
    """Where a registration stands."""

    PENDING = "pending"
    ACTIVE = "active"
    EXPIRED = "expired"
    LEAVING = "leaving"
    GONE = "gone"


class RegisterNews(IntEnum):
    """What happened, by SEMS's numbers (spec applications.md §6)."""

    SUCCESS = 0
    FAILED = 1
    NO_CONTACT = 2
    TIMEOUT = 3
    SEND_TIMEOUT = 4


@dataclass(frozen=True, slots=True)
class Happened:
    """News of a registration. `code`: the reply's, 0 without one. `over`: it is forgotten now. `wait_s`: until the next attempt, 0: none."""

    binding: Binding
    news: RegisterNews
    code: int
    reason: str
    over: bool = False
    wait_s: int = 0

    @property
    def handle(self) -> str:
        """Whose it is."""
        return self.binding.account.handle


@dataclass(frozen=True, slots=True)
class RegisterRequest:
    """A REGISTER to send. `contact`: a URI; empty: our own. `attempt` comes back with the answer."""

    account: RegisterAccount
    attempt: int
    call_id: str
    cseq: int
    expires_s: int
    contact: str


@dataclass(frozen=True, slots=True)
class RegisterReply:
    """How a request ended. `heard`: a reply came, else `code` is what was made of its absence. `cseq`, `contact`: what was sent."""

    code: int
    reason: str
    headers: Headers = ()
    heard: bool = True
    cseq: int = 0
    contact: str = ""


class Binding:
    """`plan` spreads refreshes. Times are monotonic ns; `due_ns` None: nothing is to be sent."""

    def __init__(
        self, account: RegisterAccount, policy: RegisterPolicy, call_id: str, at_ns: int, plan: Seconds, random: Random
    ) -> None:
        self.account, self.policy = account, policy
        self.call_id, self._cseq = call_id, FIRST_CSEQ - 1
        self._plan, self._random = plan, random
        self._planned_ns: int | None = None
        self.state = RegisterState.PENDING
        self.due_ns: int | None = at_ns
        self.lapses_ns: int | None = None
        self.noted_due_ns: int | None = None
        self.noted_lapse_ns: int | None = None
        """What the book has noted of the two; its own business."""
        self.contact = account.contact
        self.code, self.reason = 0, ""
        self.granted_s = 0
        """For how long it was bound by the last 2xx."""
        self.all_contacts: tuple[str, ...] = ()
        """Everything that the registrar said to be bound to the address, as written."""
        self.leaving = False
        """It was removed, by whoever asked for it; kept when it is gone."""
        self._expires_s = policy.expires_s
        self._attempt = 0
        self.in_flight = False
        self._failures = self._too_brief = 0
        self._again = False

    def resume(self, granted_until_ns: int, now_ns: int, interval_ns: int) -> None:
        """It was bound by a former run of ours, until then and for so long in all: it goes on as if nothing had happened."""
        self.state, self.lapses_ns = RegisterState.ACTIVE, granted_until_ns
        self._refresh_between(granted_until_ns - interval_ns, granted_until_ns, now_ns)

    def expires_left_s(self, now_ns: int) -> int:
        """For how long it is bound yet."""
        return max((self.lapses_ns - now_ns) // NS, 0) if self.lapses_ns is not None else 0

    # ------------------------------------------------------------------------------------------------------------ outwards
    def request(self) -> RegisterRequest:
        """What is to be sent now; nothing further is due until its answer has come."""
        self._unplan()
        self.due_ns, self.in_flight, self._again = None, True, False
        self._attempt += 1
        self._cseq += 1
        leaving = self.state is RegisterState.LEAVING
        contact = self.contact if leaving else self.account.contact
        return RegisterRequest(self.account, self._attempt, self.call_id, self._cseq, 0 if leaving else self._expires_s, contact)

    def refresh(self, now_ns: int) -> None:
        """Register now, whatever was planned."""
        if self.state is RegisterState.LEAVING:
            return
        if self.in_flight:
            self._again = True
        else:
            self._due(now_ns)

    def change(self, account: RegisterAccount, now_ns: int) -> None:
        """Go on with other values, at once."""
        self.account = account
        self._failures = 0
        self.refresh(now_ns)

    def remove(self, now_ns: int) -> list[Happened]:
        """Take it back at the registrar. What was never bound and is not being asked for is gone at once."""
        if self.state in (RegisterState.LEAVING, RegisterState.GONE):
            return []
        bound = self.lapses_ns is not None or self.in_flight
        self.state, self.leaving, self._again = RegisterState.LEAVING, True, False
        if self.in_flight:
            self._again = True
            return []
        if bound:
            self._due(now_ns)
            return []
        return [self._gone(RegisterNews.NO_CONTACT, 0, "removed")]

    # ------------------------------------------------------------------------------------------------------------- inwards
    def not_sent(self, attempt: int, now_ns: int) -> None:
        """Our own SIP side was not there: that says nothing of the registrar."""
        if attempt != self._attempt or not self.in_flight:
            return
        self.in_flight = False
        self._due(now_ns + _NOT_UP_NS + self._random.randrange(NS))

    def answered(self, attempt: int, reply: RegisterReply, now_ns: int) -> list[Happened]:
        """The answer to a request, or the lack of one."""
        if attempt != self._attempt or not self.in_flight:
            return []
        self.in_flight = False
        self._cseq = max(self._cseq, reply.cseq)
        self.code, self.reason = reply.code, reply.reason
        if self.state is RegisterState.LEAVING:
            return self._left(reply, now_ns)
        if 200 <= reply.code < 300:
            return self._bound(reply, now_ns)
        if reply.code == 423 and reply.heard and self._longer(reply):
            self._due(now_ns)
            return []
        return self._failed(reply, now_ns)

    def lapsed(self, now_ns: int) -> list[Happened]:
        """Its time at the registrar may have run out."""
        if self.lapses_ns is None or now_ns < self.lapses_ns:
            return []
        self.lapses_ns = None
        if self.state is not RegisterState.ACTIVE:
            return []  # it is being taken back
        text = "not refreshed in time" + (f": {self.reason}" if self.code >= 300 else "")
        if self.policy.give_up and not self.in_flight:
            return [self._gone(RegisterNews.TIMEOUT, self.code, text)]
        self.state = RegisterState.EXPIRED
        return [Happened(self, RegisterNews.TIMEOUT, self.code, text, wait_s=self._wait_s(now_ns))]

    def _bound(self, reply: RegisterReply, now_ns: int) -> list[Happened]:
        contact = reply.contact or self.account.contact
        granted = granted_s(reply.headers, contact, self.policy.granted_without_word_s)
        if not granted:
            self.lapses_ns = None
            return self._refused(RegisterNews.NO_CONTACT, replace(reply, reason="our contact is not in the reply"), now_ns)
        self.state, self.contact = RegisterState.ACTIVE, contact
        self.all_contacts = tuple(contacts(reply.headers))
        self._failures = self._too_brief = 0
        self.granted_s, self.lapses_ns = granted, now_ns + granted * NS
        if self._again:
            self._due(now_ns)
        else:
            self._refresh_between(now_ns, self.lapses_ns, now_ns)
        return [Happened(self, RegisterNews.SUCCESS, reply.code, reply.reason, wait_s=self._wait_s(now_ns))]

    def _refresh_between(self, begin_ns: int, end_ns: int, now_ns: int) -> None:
        whole = end_ns - begin_ns
        first, last = begin_ns + int(whole * self.policy.earliest), begin_ns + int(whole * self.policy.latest)
        soonest = max(begin_ns + _LEAST_INTERVAL_NS, now_ns)
        self._due(self._plan.plan(max(first, soonest), max(last, soonest)))
        self._planned_ns = self.due_ns

    def _longer(self, reply: RegisterReply) -> bool:
        """Whether what a registrar wants at least can be asked for (RFC 3261 §10.2.8)."""
        least = seconds(reply.headers, "Min-Expires")
        self._too_brief += 1
        if least is None or not self._expires_s < least <= _MOST_ASKED_S or self._too_brief > _MAX_TOO_BRIEF:
            return False
        self._expires_s = least
        return True

    def _failed(self, reply: RegisterReply, now_ns: int) -> list[Happened]:
        transient = not reply.heard or reply.code in _TRANSIENT
        if not transient:
            return self._refused(RegisterNews.FAILED, reply, now_ns)
        news = RegisterNews.FAILED if reply.heard else RegisterNews.SEND_TIMEOUT
        bound = self.lapses_ns is not None and now_ns < self.lapses_ns
        if self.policy.give_up and not bound:
            return [self._gone(news, reply.code, reply.reason)]
        self._failures += 1
        if self.policy.retry_s:
            wait_s = min(self.policy.retry_s << min(self._failures - 1, 20), self.policy.retry_most_s)
            asked_s = seconds(reply.headers, "Retry-After") or 0
            self._wait(max(wait_s, min(asked_s, _MAX_WAIT_S)), now_ns, at_least=asked_s > 0)
        if not bound:
            self.state = RegisterState.EXPIRED
        return [Happened(self, news, reply.code, reply.reason, wait_s=self._wait_s(now_ns))]

    def _refused(self, news: RegisterNews, reply: RegisterReply, now_ns: int) -> list[Happened]:
        """The registrar does not want it: asking the same again at once would only make noise, and lock accounts."""
        self._too_brief = 0
        if self.policy.give_up:
            return [self._gone(news, reply.code, reply.reason)]
        self._failures += 1
        self.state = RegisterState.EXPIRED
        self.lapses_ns = None
        if self._again:
            self._due(now_ns)
        elif self.policy.refused_s:
            wait_s = min(self.policy.refused_s << min(self._failures - 1, 20), self.policy.refused_most_s)
            asked_s = seconds(reply.headers, "Retry-After") or 0
            self._wait(max(wait_s, min(asked_s, _MAX_WAIT_S)), now_ns, at_least=True)
        return [Happened(self, news, reply.code, reply.reason, wait_s=self._wait_s(now_ns))]

    def _left(self, reply: RegisterReply, now_ns: int) -> list[Happened]:
        if self._again:  # what has been answered is the request before the removal
            if 200 <= reply.code < 300:
                self.contact = reply.contact or self.contact
                self._due(now_ns)
                return []
            if self.lapses_ns is not None or not reply.heard:
                self._due(now_ns)
                return []
        news = RegisterNews.NO_CONTACT if 200 <= reply.code < 300 else RegisterNews.FAILED
        return [self._gone(news if reply.heard else RegisterNews.SEND_TIMEOUT, reply.code, reply.reason)]

    def _gone(self, news: RegisterNews, code: int, reason: str) -> Happened:
        self.drop()
        return Happened(self, news, code, reason, over=True)

    def drop(self) -> None:
        """It is forgotten without a word."""
        self._unplan()
        self.state, self.due_ns, self.lapses_ns = RegisterState.GONE, None, None

    # ------------------------------------------------------------------------------------------------------------ plans
    def _wait(self, wait_s: int, now_ns: int, at_least: bool) -> None:
        """So long, and a little more or less: accounts that failed together must not come back together."""
        low = 1.0 if at_least else 0.75
        self._due(now_ns + int(wait_s * NS * self._random.uniform(low, low + 0.5)))

    def _wait_s(self, now_ns: int) -> int:
        return -((now_ns - self.due_ns) // NS) if self.due_ns is not None else 0

    def _due(self, at_ns: int) -> None:
        self._unplan()
        self.due_ns = at_ns

    def _unplan(self) -> None:
        if self._planned_ns is not None:
            self._plan.done(self._planned_ns)
            self._planned_ns = None
