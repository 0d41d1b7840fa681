# SPDX-License-Identifier: GPL-2.0-or-later
"""Accounts of the database, their registrations, and what is written of them; the DI functions `db_reg_agent`.

    rows ─► by status: register now, go on, take back, leave alone ─► Registering ─► news ─► row

At the server's end registrations stand: the next start goes on with them by the times in the table, so a restart makes no burst.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily

from di.calls.registering import Registering
from di.kernel.registry import di_method
from di.kernel.value import Value
from di.modules.db_reg_agent.options import Options
from di.modules.db_reg_agent.rows import RowChange, RowStatus, SubscriberRow, read_subscribers, read_time
from di.modules.db_reg_agent.writer import RowWriter
from di.sip.registration.account import RegisterAccount
from di.sip.registration.binding import Happened, RegisterNews
from di.stores.mysql_client import DbError

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from di.server.plugin import Closer
    from di.server.services import Services

log = logging.getLogger(__name__)

_CANNOT_SEND = (480, "unable to send request")
OK: list[Value] = [200, "OK"]


class DbRegAgent:
    """Subscribers by id, each with the handle of its registration."""

    def __init__(self, services: Services, options: Options) -> None:
        self._services, self._options = services, options
        self.registering = Registering(services.sessions, options.policy(), options.pace(services.clock.now_ns()), "db_reg_agent")
        self.writer = RowWriter(options.target, options.registrations_table, services.clock.now_ns)
        self._accounts: dict[int, RegisterAccount] = {}
        self._ids: dict[str, int] = {}
        self.registering.listen(self._on_news)

    # --------------------------------------------------------------------------------------------------------------- start
    async def load(self) -> None:
        """Read all accounts, and begin with each as its row says."""
        try:
            time, result = await self.writer.read(self._options.joined_query)
            subscribers, problems = read_subscribers(result)
        except (DbError, ValueError) as error:
            log.error("db_reg_agent: no account is read: %s: mend joined_query in db_reg_agent.conf and start again", error)
            return
        for problem in problems:
            log.error("db_reg_agent: %s; it is left out", problem)
        now = read_time((time.rows[0][0] or b"").decode("ascii", "replace")) or datetime.min
        for subscriber in subscribers:
            if subscriber.id not in self._accounts:  # an RPC came first
                self._begin(subscriber, now)
        log.info("db_reg_agent: %d accounts read", len(subscribers))

    def _begin(self, subscriber: SubscriberRow, now: datetime) -> None:
        status, left_s = subscriber.status, subscriber.left_s(now)
        if status is RowStatus.REMOVED:
            return
        account = self._account(subscriber.id, subscriber.user, subscriber.password, subscriber.realm, subscriber.contact)
        if status is RowStatus.TO_BE_REMOVED:
            self._take_back(subscriber.id, account)
        elif status is RowStatus.ACTIVE and left_s > 0 and not account.problem():
            self._know(subscriber.id, account)
            self.registering.resume(account, left_s, subscriber.interval_s(now, self._options.expires))
        else:
            self._register(subscriber.id, account)

    # -------------------------------------------------------------------------------------------------------------- orders
    @di_method("createRegistration", dangerous=True)
    def create(self, id: int, user: str, pwd: str, realm: str, contact: str = "") -> list[Value]:
        """Register a subscriber that is new; answers [200, "OK"] at once."""
        self._register(id, self._account(id, user, pwd, realm, contact))
        return OK

    @di_method("updateRegistration", dangerous=True)
    def update(self, id: int, user: str, pwd: str, realm: str, contact: str = "") -> list[Value]:
        """Register a subscriber whose values have changed, at once; an unknown one is new."""
        known, account = self._accounts.get(id), self._account(id, user, pwd, realm, contact)
        if known is None or self.registering.book.find(known.handle) is None or account.problem():
            self._register(id, account)
        elif account != known:
            self._know(id, account)
            self.registering.change(account)
        return OK

    @di_method("removeRegistration")
    def remove(self, id: int) -> list[Value]:
        """Take a subscriber's registration back; its row is deleted when that is done."""
        account = self._accounts.get(id)
        if account is not None:
            self._take_back(id, account)
        return OK

    @di_method("refreshRegistration")
    def refresh(self, id: int) -> list[Value]:
        """Register a subscriber now, whatever was planned."""
        account = self._accounts.get(id)
        if account is not None and not self.registering.refresh(account.handle):
            self._register(id, account)
        return OK

    def _account(self, id: int, user: str, password: str, realm: str, contact: str) -> RegisterAccount:
        """As it is registered: contact of the row if that is wanted, else of the configuration, else our own."""
        known = self._accounts.get(id)
        options = self._options
        if not (options.db_read_contact and contact):
            contact = f"sip:{user}@{options.contact_hostport}" if options.contact_hostport else ""
        handle = known.handle if known is not None else self._services.sessions.new_id()
        return RegisterAccount(handle, realm, user, "", user, password, options.outbound_proxy, contact)

    def _know(self, id: int, account: RegisterAccount) -> None:
        self._accounts[id], self._ids[account.handle] = account, id

    def _register(self, id: int, account: RegisterAccount) -> None:
        self._know(id, account)
        if problem := account.problem():
            log.error("db_reg_agent: subscriber %d cannot be registered: %s", id, problem)
            self.writer.write(id, RowChange(RowStatus.FAILED, *_CANNOT_SEND))
            return
        self.writer.write(id, RowChange(RowStatus.PENDING))
        self.registering.add(account)

    def _take_back(self, id: int, account: RegisterAccount) -> None:
        self._know(id, account)
        if account.problem():
            self._removed(id, good=False, code=_CANNOT_SEND[0], reason=_CANNOT_SEND[1])
            return
        self.writer.write(id, RowChange(RowStatus.TO_BE_REMOVED))
        if self.registering.book.find(account.handle) is None:  # of a former run: the registrar may know it
            self.registering.resume(account, self._options.expires, self._options.expires)
        self.registering.remove(account.handle)

    # ---------------------------------------------------------------------------------------------------------------- news
    def _on_news(self, news: Happened) -> None:
        id = self._ids.get(news.handle)
        if id is None:
            return
        binding = news.binding
        if binding.leaving:
            if news.over:
                self._removed(id, good=news.news is RegisterNews.NO_CONTACT, code=news.code, reason=news.reason)
        elif news.news is RegisterNews.SUCCESS:
            now_ns = self.registering.now_ns()
            contacts = ", ".join(binding.all_contacts) if self._options.save_contacts else None
            change = RowChange(RowStatus.ACTIVE, news.code, news.reason, binding.granted_s, contacts, now_ns)
            self.writer.write(id, change)
        else:
            stands = binding.expires_left_s(self.registering.now_ns()) > 0
            code = 408 if news.news is RegisterNews.TIMEOUT and news.code < 300 else news.code
            self.writer.write(id, RowChange(None if stands else RowStatus.FAILED, code, news.reason))

    def _removed(self, id: int, *, good: bool, code: int, reason: str) -> None:
        account = self._accounts.pop(id, None)
        if account is not None:
            self._ids.pop(account.handle, None)
        options = self._options
        delete = options.delete_removed_registrations if good else options.delete_failed_deregistrations
        status = RowStatus.REMOVED if good else RowStatus.TO_BE_REMOVED
        self.writer.write(id, RowChange(delete=True) if delete else RowChange(status, code, reason))

    def metrics(self) -> Iterator[Metric]:
        """Registrations by state, and changes that wait for the database."""
        states = GaugeMetricFamily("cordboard_db_registrations", "Registrations of the database by state", labels=("state",))
        for state, count in self.registering.states().items():
            states.add_metric((state,), count)
        yield states
        yield GaugeMetricFamily("cordboard_db_registrations_unwritten", "Changes that wait for the database", len(self.writer))


def start(services: Services, options: Options) -> Closer:
    """Check the options, then read the accounts. Raises ConfigError."""
    options.check()
    agent = DbRegAgent(services, options)
    services.registry.register("db_reg_agent", agent)
    if services.trial:
        return lambda: services.registry.unregister("db_reg_agent")
    services.metric_sources.append(agent.metrics)
    services.sessions.spawn(agent.load())
    services.sessions.spawn(agent.writer.run())

    async def close() -> None:
        services.registry.unregister("db_reg_agent")
        services.metric_sources.remove(agent.metrics)
        await agent.registering.close(leave=False)
        await agent.writer.close()

    return close
