# SPDX-License-Identifier: GPL-2.0-or-later
"""What hub and SIP process say to each other about requests that belong to no call.

Subscriptions: Subscribe → SubscriptionChanged… → SubscriptionChanged with `final`, exactly once. Their numbers are the hub's, apart from
those of calls.
Outside dialogs: SendOutside → OutsideReplied; TakeOutside, then OutsideReceived → ReplyOutside.

Header lines and texts from outside are as in `di.sip.records`.
"""

from __future__ import annotations

from dataclasses import field
from typing import TypeAlias

from media.control.quick_records import record


# ---------------------------------------------------------------------------------------------------------------- commands
@record(frozen=True, slots=True)
class Subscribe:
    """Begin a subscription outside any call (RFC 6665). It is refreshed until Unsubscribe.

    `from_uri`/`to_uri`: complete header values without tags, `event`: value of Event (`reg;id=7`), `expires_s` above 0, `next_hop` as
    in Dial. Credentials answer challenges for `realm` (empty: any).
    """

    subscription: int
    request_uri: str
    from_uri: str
    to_uri: str
    event: str
    expires_s: int
    accept: str = ""
    headers: tuple[str, ...] = ()
    next_hop: str = ""
    realm: str = ""
    username: str = ""
    password: str = field(default="", repr=False)


@record(frozen=True, slots=True)
class RefreshSubscription:
    """Refresh now, for so many seconds; 0: as many as before."""

    subscription: int
    expires_s: int = 0


@record(frozen=True, slots=True)
class Unsubscribe:
    """End a subscription. SubscriptionChanged `terminated` follows, when the notifier has said so or after a while."""

    subscription: int


@record(frozen=True, slots=True)
class TakeOutside:
    """Which methods outside dialogs the hub wants to see from now on (OPTIONS, MESSAGE, NOTIFY, REGISTER, PUBLISH …).

    A request of another method is answered by the SIP process: OPTIONS as SetOptionsReply says, the rest is refused with Allow (REFER 488,
    NOTIFY, BYE, PRACK and UPDATE 481, others 501: spec core.md §5, §6.4).
    """

    methods: tuple[str, ...]


@record(frozen=True, slots=True)
class SendOutside:
    """Send a request outside any dialog, e.g. MESSAGE, NOTIFY, OPTIONS, REGISTER. Its final reply comes as OutsideReplied.

    `from_uri`/`to_uri`: complete header values without tags. `next_hop` as in Dial. Credentials answer one challenge for `realm`
    (empty: any). `call_id`, `cseq` and `from_tag`: empty and 0 for new ones, given to go on with a registration or an unsolicited NOTIFY;
    with a `call_id` the last challenge is remembered, so that the next request need not be challenged. `contact_user`: a Contact of ours
    with that user part is added, which leads to where the request leaves from. `route`: values of Route, in order, instead of `next_hop`.
    """

    token: int
    method: str
    request_uri: str
    from_uri: str
    to_uri: str
    headers: tuple[str, ...] = ()
    content_type: str = ""
    body: bytes = b""
    next_hop: str = ""
    realm: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    call_id: str = ""
    cseq: int = 0
    from_tag: str = ""
    contact_user: str = ""
    route: tuple[str, ...] = ()


@record(frozen=True, slots=True)
class ReplyOutside:
    """Answer a request that came as OutsideReceived, with a final reply; the same is given to each retransmission."""

    token: int
    code: int
    reason: str = ""
    headers: tuple[str, ...] = ()
    content_type: str = ""
    body: bytes = b""


# ------------------------------------------------------------------------------------------------------------------ events
@record(frozen=True, slots=True)
class SubscriptionChanged:
    """A NOTIFY came, or a subscription ended. With `final` it is over: `terminated`, `failed` or `timeout`.

    `state`: active, pending, unknown (an extension of the notifier's), terminated; failed (a SUBSCRIBE was refused, `code` and
    `reason` are the reply's); timeout (408: no NOTIFY, or not refreshed in time). `reason` of a NOTIFY: that of its Subscription-State.
    `expires_s`: what is left; `retry_after_s`: the notifier's wish, 0 without one.
    """

    subscription: int
    state: str
    code: int = 0
    reason: str = ""
    expires_s: int = 0
    retry_after_s: int = 0
    content_type: str = ""
    body: bytes = b""
    final: bool = False


@record(frozen=True, slots=True)
class OutsideReceived:
    """A request outside any dialog, of a method that TakeOutside named. Waits for ReplyOutside; after a while (30 s) it is answered 480.

    A SUBSCRIBE may be of a dialog: then its To has a tag. `to_tag`: that one, or the one that the reply will have.
    """

    token: int
    method: str
    request_uri: str
    from_header: str
    to_header: str
    call_id: str
    source_ip: str
    source_port: int
    headers: tuple[tuple[str, str], ...]
    content_type: str = ""
    body: bytes = b""
    to_tag: str = ""


@record(frozen=True, slots=True)
class OutsideReplied:
    """The final reply to SendOutside; 408 and 503 are also made here when none came, 500 when it cannot be sent: then `source_ip` is empty.

    `cseq`: the last number that was used, which a challenge may have raised. `contact`: the URI that `contact_user` became.
    """

    token: int
    code: int
    reason: str
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = ""
    body: bytes = b""
    source_ip: str = ""
    cseq: int = 0
    contact: str = ""


OutsideCommand: TypeAlias = Subscribe | RefreshSubscription | Unsubscribe | TakeOutside | SendOutside | ReplyOutside
OutsideEvent: TypeAlias = SubscriptionChanged | OutsideReceived | OutsideReplied
