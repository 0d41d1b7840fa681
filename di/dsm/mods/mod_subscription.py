# SPDX-License-Identifier: GPL-2.0-or-later
"""mod_subscription: subscriptions to other servers' events, outside the call (spec dsm.md §5.14).

Their news comes as `subscription` events; a NOTIFY's body is the object SipSubscriptionBody during the event. They end with their call.
"""

from __future__ import annotations

from di.calls.subscriptions import SubscriptionOrder
from di.dsm.language.library import NameRes, Res, action, hook
from di.dsm.language.numbers import unsigned
from di.dsm.run.engine import Run


@action("subscription.create")
def create(run: Run, name: NameRes) -> None:
    """Subscribe as `$s.user`, `.domain`, `.from_user`, `.event` … say; `$s.handle` is empty when that cannot be."""

    def field(key: str) -> str:
        return run.vars.get(f"{name}.{key}", "")

    order = SubscriptionOrder(
        field("user"), field("domain"), field("from_user"), field("event"), field("pwd"), field("proxy"), field("accept"),
        field("id"), unsigned(field("expires")) or 0,
    )  # fmt: skip
    handle, reason = run.session.hub.subscribe(order, run.session.id)
    run.vars[f"{name}.handle"] = handle
    if handle:
        run.ok()
    else:
        run.fail("arg", f"could not subscribe: {reason}")


@action("subscription.refresh")
def refresh(run: Run, handle: Res, expires: Res = "") -> None:
    """Refresh now."""
    if run.session.hub.refresh_subscription(handle, unsigned(expires) or 0):
        run.ok()
    else:
        run.fail("general", f"there is no subscription {handle!r}")


@action("subscription.remove")
def remove(run: Run, handle: Res) -> None:
    """Unsubscribe."""
    run.session.hub.unsubscribe(handle)


@hook("on_destroy")
def on_destroy(run: Run) -> None:
    """The call is over."""
    run.session.hub.unsubscribe_all(run.session.id)
