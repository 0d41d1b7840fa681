# SPDX-License-Identifier: GPL-2.0-or-later
"""A stand-in for CGRateS: what its BiJSON port does to sessions of prepaid accounts, from its published structures. In a thread.

There is no CGRateS where these tests run; names of methods, members, errors and units are those of its sources (sessions/sessions.go,
utils/consts.go). Messages leave it in pieces, without line ends and with their members in any order.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import math
import random
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from tests.support.ports import free_port

_GRANTING = frozenset(("SessionSv1.AuthorizeEvent", "SessionSv1.InitiateSession", "SessionSv1.UpdateSession"))
_UNLIMITED_S = 3 * 3600.0
Message = dict[str, Any]


class CgratesError(Exception):
    """An error as its text."""


@dataclass
class StandInSession:
    """One that is up: what was taken from the balance for it."""

    event: Message
    account: str
    debited_s: float = 0.0


@dataclass
class CgratesStandIn:
    """`balances`: seconds by account. `trouble`: `slow`, `lie`, `fail` or nothing. Usage is charged in whole seconds, rounded up."""

    balances: dict[str, float] = field(default_factory=dict)
    trouble: str = ""
    delay_s: float = 3.0
    sessions: dict[str, StandInSession] = field(default_factory=dict)
    cdrs: dict[str, Message] = field(default_factory=dict)
    got: list[tuple[str, Message]] = field(default_factory=list)
    effective: dict[str, float] = field(default_factory=dict)
    """Seconds that were granted in order and in time, by account: each has one call."""
    answers: list[Message] = field(default_factory=list)
    """What the other side has answered to our calls."""

    def __post_init__(self) -> None:
        self.port = free_port()
        self._cache: dict[str, object] = {}
        self._dying = False
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Future[None]] = set()
        self._chance = random.Random(7)
        self._waiting: dict[int, asyncio.Future[Message]] = {}
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self.listen()

    # --------------------------------------------------------------------------------------------------------- for the test
    def do(self, work: Awaitable[Any]) -> Any:
        """Run something in its loop and wait for it."""

        async def wait() -> Any:
            return await work

        return asyncio.run_coroutine_threadsafe(wait(), self._loop).result(20)

    def listen(self) -> None:
        """Be there."""

        async def begin() -> None:
            self._dying = False
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

        self.do(begin())

    def die(self) -> None:
        """Be gone, with every connection; balances and sessions are in its database."""

        async def end() -> None:
            if self._server is not None:
                self._server.close()
            self._dying = True  # no more answers; those that are on their way arrive
            await asyncio.sleep(0.3)
            for writer in self._writers:
                writer.transport.abort()
            self._writers.clear()

        self.do(end())

    def close(self) -> None:
        """End."""
        self.die()
        self._loop.call_soon_threadsafe(self._loop.stop)

    def call(self, method: str, argument: object) -> Message:
        """Call the other side on the connection that it opened; its answer."""

        async def ask() -> Message:
            id = 1000 + len(self._waiting)
            self._waiting[id] = self._loop.create_future()
            self._send(self._writers[-1], {"params": [argument], "id": id, "method": method})
            return await asyncio.wait_for(self._waiting[id], 10)

        answer: Message = self.do(ask())
        return answer

    def of(self, method: str, origin_id: str = "") -> list[Message]:
        """What was asked by a method, of one session or all."""
        return [one for name, one in self.got if name == f"SessionSv1.{method}" and origin_id in one["Event"]["OriginID"]]

    # ------------------------------------------------------------------------------------------------------------- the wire
    def _send(self, writer: asyncio.StreamWriter, message: Message) -> None:
        names = list(message)
        self._chance.shuffle(names)
        data = json.dumps({name: message[name] for name in names}, indent=self._chance.choice((None, 1))).encode()
        cut = self._chance.randrange(len(data))
        writer.write(data[:cut])
        writer.write(data[cut:])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        decoder, text = json.JSONDecoder(), ""
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                text = (text + data.decode()).lstrip()
                while text:
                    try:
                        message, end = decoder.raw_decode(text)
                    except ValueError:
                        break
                    text = text[end:].lstrip()
                    if "method" not in message:
                        self.answers.append(message)
                        self._waiting[message["id"]].set_result(message)
                        continue
                    task = asyncio.ensure_future(self._handle(writer, message))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)

    async def _handle(self, writer: asyncio.StreamWriter, message: Message) -> None:
        assert list(message) == ["method", "params", "id"] and len(message["params"]) == 1
        method, argument = message["method"], message["params"][0]
        if self._dying:
            return
        well = not self.trouble
        if self.trouble == "slow":
            await asyncio.sleep(self.delay_s)
        answer: Message = {"id": message["id"], "result": None, "error": None}
        try:
            if self.trouble == "fail":
                raise CgratesError("SERVER_ERROR: connection refused by database")
            if self.trouble == "lie" and method in _GRANTING:
                answer["result"] = {"MaxUsage": self._chance.choice(("soon", -5_000_000_000, True, [1]))}
            else:
                answer["result"] = self._once(method, argument)
            if well and method in _GRANTING:
                self._note(method, argument["Event"]["Account"], answer["result"])
        except CgratesError as error:
            answer["error"] = str(error)
        self._send(writer, answer)

    def _note(self, method: str, account: str, result: object) -> None:
        assert isinstance(result, dict)
        seconds = result["MaxUsage"] / 1e9
        if seconds > 0:
            before = self.effective.get(account, 0.0) if method.endswith("UpdateSession") else 0.0
            self.effective[account] = before + seconds

    # -------------------------------------------------------------------------------------------------------- what it does
    def _once(self, method: str, argument: Message) -> object:
        """A repeat of a step's ID is answered from the cache (caches: *rpc_responses)."""
        if method == "SessionSv1.Ping":
            return "Pong"
        key = f"{method}:{argument['ID']}"
        if key in self._cache:
            return self._cache[key]
        self.got.append((method, argument))
        does: dict[str, Callable[[Message, Message], object]] = {
            "SessionSv1.AuthorizeEvent": self._authorize,
            "SessionSv1.InitiateSession": self._initiate,
            "SessionSv1.UpdateSession": self._update,
            "SessionSv1.TerminateSession": self._terminate,
            "SessionSv1.ProcessCDR": self._cdr,
        }
        if method not in does:
            raise CgratesError(f"rpc: can't find service {method}")
        event = argument["Event"]
        for name in ("OriginID", "OriginHost", "Account", "Destination", "SetupTime", "RequestType", "ToR"):
            if not event.get(name):
                raise CgratesError(f"MANDATORY_IE_MISSING: [{name}]")
        result = does[method](argument, event)
        self._cache[key] = result
        return result

    def _name(self, event: Message) -> str:
        return hashlib.sha1((event["OriginID"] + event["OriginHost"]).encode()).hexdigest()

    def _seconds(self, text: str) -> float:
        assert text.endswith("s")
        return float(text[:-1])

    def _free(self, event: Message) -> float:
        account = event["Account"]
        if account not in self.balances:
            raise CgratesError("RALS_ERROR:ACCOUNT_NOT_FOUND")
        return self.balances[account]

    def _authorize(self, argument: Message, event: Message) -> object:
        assert argument["GetMaxUsage"] is True
        free_s = min(self._free(event), self._seconds(event["Usage"]) if "Usage" in event else _UNLIMITED_S)
        if free_s <= 0:
            raise CgratesError(
                "RALS_ERROR:INSUFFICIENT_CREDIT_BALANCE_BLOCKER" if self._chance.random() < 0.5 else "INSUFFICIENT_CREDIT"
            )
        return {"MaxUsage": round(free_s * 1e9), "Attributes": None}

    def _debit(self, session: StandInSession, event: Message) -> object:
        taken_s = min(self._free(event), self._seconds(event["Usage"]))
        self.balances[session.account] -= taken_s
        session.debited_s += taken_s
        return {"MaxUsage": round(taken_s * 1e9)}

    def _initiate(self, argument: Message, event: Message) -> object:
        assert argument["InitSession"] is True and event["AnswerTime"]
        if self._name(event) in self.sessions:
            raise CgratesError("RALS_ERROR:EXISTS")
        session = self.sessions[self._name(event)] = StandInSession(event, event["Account"])
        if "Usage" not in event:  # it debits by itself: `disconnect` plays the end
            return {"MaxUsage": -1}
        return self._debit(session, event)

    def _update(self, argument: Message, event: Message) -> object:
        assert argument["UpdateSession"] is True
        session = self.sessions.setdefault(self._name(event), StandInSession(event, event["Account"]))
        if self._free(event) <= 0:
            raise CgratesError("RALS_ERROR:INSUFFICIENT_CREDIT")
        return self._debit(session, event)

    def _terminate(self, argument: Message, event: Message) -> object:
        assert argument["TerminateSession"] is True and event["DisconnectCause"]
        session = self.sessions.pop(self._name(event), StandInSession(event, event["Account"]))
        used_s = math.ceil(self._seconds(event["Usage"]))
        self.balances[session.account] += session.debited_s - used_s
        return "OK"

    def _cdr(self, argument: Message, event: Message) -> object:
        if self._name(event) in self.cdrs:
            raise CgratesError("SERVER_ERROR: EXISTS")
        self.cdrs[self._name(event)] = event
        return "OK"


class CgratesPurse:
    """A `tests.support.credit.Purse`."""

    def __init__(self, cgrates: CgratesStandIn) -> None:
        self._cgrates = cgrates

    def give(self, account: str, seconds: int) -> None:
        self._cgrates.balances[account] = seconds

    def left(self, account: str) -> float:
        return self._cgrates.balances[account]

    def granted(self, account: str) -> float | None:
        return self._cgrates.effective.get(account, 0.0)

    def trouble(self, kind: str) -> Awaitable[None]:
        def turn() -> None:
            if kind == "dead":
                self._cgrates.die()
            elif not kind and not self._cgrates.trouble:
                self._cgrates.listen()
            self._cgrates.trouble = kind if kind in ("slow", "lie") else ""

        return asyncio.to_thread(turn)
