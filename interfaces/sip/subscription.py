# SPDX-License-Identifier: GPL-2.0-or-later
"""One subscription of ours as a notifier sees it (RFC 6665 §4.1). Pure: messages and `now_ns` in, requests, replies and news out.

    start ─► SUBSCRIBE ─► 2xx … NOTIFY ─► pending/active ─► refresh before the end ─► … ─► SUBSCRIBE Expires 0 ─► NOTIFY terminated
               │ 401/407: once more with an answer            │ no NOTIFY, no 2xx in time: timeout
               │ 423: once more with Min-Expires               │ 481 and the like, terminated: over
               └ other: failed

The NOTIFY makes the dialog, not the 2xx, which may come later, carry no To tag, or come from another fork. The first NOTIFY's sender is
the notifier; what other forks send gets 481 (§4.1.2.4 lets an application want one only). Left out: subscriptions inside a call, and
doing anything about a subscription that is over.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from di.sip.outside_records import Subscribe, SubscriptionChanged
from interfaces.sip.digest import Login
from interfaces.sip.exchange import OutRequest
from interfaces.sip.message import Message, header_pairs, header_values, route_of, tag_of, uri_of
from interfaces.sip.notify import BadNotify, Notify, seconds_of, with_parameters

_S = 1_000_000_000
_NOTIFY_WAIT_NS = 34 * _S
"""Timer N is 64·T1 = 32 s (§4.1.2.4); a little longer, so that a SUBSCRIBE which nobody answers is told as 408."""
_LINGER_NS = 34 * _S
"""How long a finished subscription still knows what it answered to a NOTIFY that comes again."""
_MAX_MARGIN_NS = 64 * _S
_RETRY_NS = 10 * _S
_MAX_SECONDS = 2**31 - 1
_REMEMBERED_REPLIES = 16
_OVER_CODES = frozenset((404, 405, 408, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 502, 604))
"""Replies to a refresh that end the subscription or its dialog (RFC 5057 §5.1); after others it goes on to its end."""

Reply = tuple[int, str, tuple[tuple[str, str], ...]]
"""Code, reason, headers."""


class SubscriptionState(Enum):
    """Where it is. OVER: only repeated NOTIFYs are answered."""

    WAITING = auto()
    PENDING = auto()
    ACTIVE = auto()
    ENDING = auto()
    OVER = auto()


@dataclass(frozen=True, slots=True)
class Remote:
    """The notifier's side of the dialog."""

    tag: str
    to_value: str
    target: str
    routes: tuple[str, ...]


class Subscription:
    """`token()` gives random hexadecimal text. After each input take what is in `requests` and `news`."""

    def __init__(self, wish: Subscribe, call_id: str, local_tag: str, token: Callable[[], str]) -> None:
        self.wish = wish
        self.number = wish.subscription
        self.call_id, self.local_tag = call_id, local_tag
        self.state = SubscriptionState.WAITING
        self.requests: deque[OutRequest] = deque()
        self.news: deque[SubscriptionChanged] = deque()
        self.in_flight = False
        self._token = token
        self._expires_s = wish.expires_s
        self._sent_expires_s = 0
        self._remote: Remote | None = None
        self._notified = False
        self._cseq = 0
        self._remote_cseq = -1
        self._authorization: tuple[tuple[str, str], ...] = ()
        self._login = Login(wish.realm, wish.username, wish.password)
        self._again: int | None = None
        self._lengthened = False
        self._end_ns: int | None = None
        self._refresh_ns: int | None = None
        self._notify_by_ns: int | None = None
        self._forget_ns: int | None = None
        self._replies: OrderedDict[int, Reply] = OrderedDict()

    # ------------------------------------------------------------------------------------------------------------- commands
    def start(self, now_ns: int) -> None:
        """Send the first SUBSCRIBE."""
        self._subscribe(self._expires_s, now_ns)

    def refresh(self, expires_s: int, now_ns: int) -> None:
        """Ask for a further while; 0: as long as before."""
        if self.state in (SubscriptionState.ENDING, SubscriptionState.OVER):
            return
        self._expires_s = expires_s or self._expires_s
        self._subscribe_soon(self._expires_s, now_ns)

    def unsubscribe(self, now_ns: int) -> None:
        """End it: Expires 0 as soon as there is a dialog to say so in, then wait for the last NOTIFY."""
        if self.state in (SubscriptionState.ENDING, SubscriptionState.OVER):
            return
        self.state = SubscriptionState.ENDING
        self._end_ns = self._refresh_ns = None
        self._notify_by_ns = now_ns + _NOTIFY_WAIT_NS
        if self._remote is not None:
            self._subscribe_soon(0, now_ns)

    # ------------------------------------------------------------------------------------------------------- replies to ours
    def handle_reply(self, code: int, reason: str, message: Message | None, source: str, now_ns: int) -> None:
        """The final reply to the SUBSCRIBE in flight; without a message none came (408) or it could not be sent (503)."""
        self.in_flight = False
        if self.state is SubscriptionState.OVER:
            return
        if message is not None and self._said_again(code, message, source, now_ns):
            return
        if code < 300:
            self._accepted(message, now_ns)
        else:
            self._refused(code, reason, message, now_ns)
        self._send_waiting(now_ns)

    def _said_again(self, code: int, message: Message, source: str, now_ns: int) -> bool:
        """Whether the same SUBSCRIBE has gone out once more, as the reply wants it."""
        if self.state is SubscriptionState.ENDING and self._sent_expires_s:
            return False
        if code in (401, 407):
            return self._answered(message, source, now_ns)
        if code == 423 and not self._lengthened and self._sent_expires_s:
            least = seconds_of(message.header("Min-Expires"))
            if least is not None and self._sent_expires_s < least <= _MAX_SECONDS:
                self._lengthened = True
                self._expires_s = least
                self._send(least, now_ns)
                return True
        return False

    def _answered(self, message: Message, source: str, now_ns: int) -> bool:
        """Answer a challenge: with a password, from where the first reply came from, and not for ever."""
        self._authorization = self._login.answer(message, source, "SUBSCRIBE", self._target(), self._token())
        if not self._authorization:
            return False
        self._send(self._sent_expires_s, now_ns)
        return True

    def _accepted(self, message: Message | None, now_ns: int) -> None:
        if message is not None and not self._notified:
            self._dialog_of_reply(message)
        if self.state is SubscriptionState.ENDING:
            self._take_back()
            return
        if self._sent_expires_s:
            granted = seconds_of(message.header("Expires")) if message is not None else None
            self._lasts(min(granted or self._sent_expires_s, self._sent_expires_s), now_ns)

    def _refused(self, code: int, reason: str, message: Message | None, now_ns: int) -> None:
        if self.state is SubscriptionState.ENDING:
            self._over("terminated", now_ns, code=code, reason=reason)
        elif not self._notified or code in _OVER_CODES or self._end_ns is None:
            self._over("failed", now_ns, code=code, reason=reason)
        else:
            wait_s = seconds_of(message.header("Retry-After")) if message is not None else None
            self._refresh_ns = now_ns + (wait_s * _S if wait_s else max((self._end_ns - now_ns) // 2, _RETRY_NS))

    def _dialog_of_reply(self, message: Message) -> None:
        tag = tag_of(message.header("To"))
        if tag:
            routes = tuple(reversed(header_values(message, "Record-Route")))
            self._remote = Remote(tag, message.header("To"), _bare(uri_of(message.header("Contact"))) or self._target(), routes)

    # ---------------------------------------------------------------------------------------------------------------- NOTIFY
    def handle_notify(self, message: Message, now_ns: int) -> Reply:
        """A NOTIFY with our Call-ID and tag. Returns what to answer; never raises."""
        try:
            notify = Notify.read(message)
        except BadNotify as bad:
            return bad.code, bad.reason, ()
        if notify.cseq in self._replies and self._remote is not None and notify.tag == self._remote.tag:
            return self._replies[notify.cseq]
        reply = self._judge(notify) or self._taken(notify, message, now_ns)
        if self._remote is not None and notify.tag == self._remote.tag:
            self._replies[notify.cseq] = reply
            while len(self._replies) > _REMEMBERED_REPLIES:
                self._replies.popitem(last=False)
        return reply

    def _judge(self, notify: Notify) -> Reply | None:
        """Why a NOTIFY is not for us, None when it is."""
        package, ours = with_parameters(self.wish.event)
        stranger = self._notified and self._remote is not None and notify.tag != self._remote.tag
        if self.state is SubscriptionState.OVER or stranger:
            return 481, "Subscription does not exist", ()
        if notify.package.lower() != package.lower():
            return 489, "Bad Event", (("Allow-Events", package),)
        if notify.id != ours.get("id", ""):
            return 481, "Subscription does not exist", ()
        if notify.cseq <= self._remote_cseq and self._notified:
            return 500, "Server Internal Error", ()  # RFC 3261 §12.2.2: out of order
        return None

    def _taken(self, notify: Notify, message: Message, now_ns: int) -> Reply:
        self._dialog_of_notify(notify, message)
        self._remote_cseq = notify.cseq
        if notify.ends:
            self._over("terminated", now_ns, notify=notify)
            return 200, "OK", ()
        if self.state is SubscriptionState.ENDING:
            self._take_back()
            self._send_waiting(now_ns)
            return 200, "OK", ()
        self._notify_by_ns = None
        self.state = SubscriptionState.PENDING if notify.state == "pending" else SubscriptionState.ACTIVE
        if notify.expires_s is not None:
            self._lasts(notify.expires_s, now_ns)
        elif self._end_ns is None:
            self._lasts(self._sent_expires_s, now_ns)
        left_s = ((self._end_ns or now_ns) - now_ns) // _S
        self._tell(notify.state if notify.state in ("active", "pending") else "unknown", notify=notify, expires_s=left_s)
        self._send_waiting(now_ns)
        return 200, "OK", ()

    def _take_back(self) -> None:
        """A SUBSCRIBE that was under way when the end was asked for has made or prolonged the subscription: the end follows it."""
        if self._sent_expires_s:
            self._again = 0

    def _dialog_of_notify(self, notify: Notify, message: Message) -> None:
        target = _bare(uri_of(message.header("Contact")))
        if self._notified and self._remote is not None:
            self._remote = Remote(notify.tag, self._remote.to_value, target or self._remote.target, self._remote.routes)
            return
        routes = header_values(message, "Record-Route")
        self._remote = Remote(notify.tag, message.header("From"), target or self._target(), routes)
        self._notified = True

    # ------------------------------------------------------------------------------------------------------------------ time
    def deadline_ns(self) -> int | None:
        """When `handle_timeout` wants to be called, None: not at all."""
        known = (self._end_ns, self._refresh_ns, self._notify_by_ns, self._forget_ns)
        return min((at for at in known if at is not None), default=None)

    def handle_timeout(self, now_ns: int) -> None:
        """The deadline has come."""
        if self.state is SubscriptionState.OVER:
            return
        if self._due(self._notify_by_ns, now_ns):
            ending = self.state is SubscriptionState.ENDING
            self._over("terminated" if ending else "timeout", now_ns, code=0 if ending else 408, reason="no NOTIFY came")
        elif self._due(self._end_ns, now_ns):
            self._over("timeout", now_ns, code=408, reason="not refreshed in time")
        elif self._due(self._refresh_ns, now_ns):
            self._refresh_ns = None
            self._subscribe_soon(self._expires_s, now_ns)

    def forgotten(self, now_ns: int) -> bool:
        """Whether it is over and may be dropped."""
        return self.state is SubscriptionState.OVER and self._due(self._forget_ns, now_ns)

    @staticmethod
    def _due(at: int | None, now_ns: int) -> bool:
        return at is not None and now_ns >= at

    def _lasts(self, seconds: int, now_ns: int) -> None:
        """It ends in so many seconds; refresh before, in time for one that is sent again and again."""
        length_ns = min(seconds, _MAX_SECONDS) * _S
        self._end_ns = now_ns + length_ns
        self._refresh_ns = self._end_ns - min(length_ns // 2, _MAX_MARGIN_NS)

    # -------------------------------------------------------------------------------------------------------------- outwards
    def _subscribe_soon(self, expires_s: int, now_ns: int) -> None:
        """Only one SUBSCRIBE is under way at a time, and a second needs a dialog."""
        if self.in_flight or self._remote is None:
            self._again = expires_s
        else:
            self._subscribe(expires_s, now_ns)

    def _send_waiting(self, now_ns: int) -> None:
        """What had to wait for a reply or for a dialog."""
        if (
            self._again is not None
            and self.state is not SubscriptionState.OVER
            and not self.in_flight
            and self._remote is not None
        ):
            again, self._again = self._again, None
            self._subscribe(again, now_ns)

    def _subscribe(self, expires_s: int, now_ns: int) -> None:
        self._login.begin()
        self._lengthened = False
        self._send(expires_s, now_ns)

    def _send(self, expires_s: int, now_ns: int) -> None:
        self._cseq += 1
        self.in_flight = True
        self._sent_expires_s = expires_s
        self._notify_by_ns = now_ns + _NOTIFY_WAIT_NS
        wish, remote = self.wish, self._remote
        routes = remote.routes if remote is not None else ((route_of(wish.next_hop),) if wish.next_hop else ())
        headers = [("Route", route) for route in routes]
        headers += [("Event", wish.event), ("Expires", str(expires_s))]
        headers += [("Accept", wish.accept)] if wish.accept else []
        headers += header_pairs(wish.headers)
        headers += self._authorization
        to_value = remote.to_value if remote is not None else wish.to_uri
        from_value = f"{wish.from_uri};tag={self.local_tag}"
        request = OutRequest("SUBSCRIBE", self._target(), from_value, to_value, self.call_id, self._cseq, tuple(headers))
        self._authorization = ()
        self.requests.append(request)

    def _target(self) -> str:
        return self._remote.target if self._remote is not None else self.wish.request_uri

    # ------------------------------------------------------------------------------------------------------------------ news
    def _tell(
        self,
        state: str,
        *,
        notify: Notify | None = None,
        code: int = 0,
        reason: str = "",
        expires_s: int = 0,
        final: bool = False,
    ) -> None:
        self.news.append(
            SubscriptionChanged(
                self.number, state, code, notify.reason if notify is not None else reason, expires_s,
                notify.retry_after_s if notify is not None else 0,
                notify.content_type if notify is not None else "", notify.body if notify is not None else b"", final,
            )
        )  # fmt: skip

    def _over(self, state: str, now_ns: int, *, notify: Notify | None = None, code: int = 0, reason: str = "") -> None:
        self.state = SubscriptionState.OVER
        self._end_ns = self._refresh_ns = self._notify_by_ns = self._again = None
        self._forget_ns = now_ns + _LINGER_NS
        self._tell(state, notify=notify, code=code, reason=reason, final=True)


def _bare(uri: str) -> str:
    """A peer's Contact without `?headers`: they would become headers of our requests."""
    return uri.partition("?")[0]
