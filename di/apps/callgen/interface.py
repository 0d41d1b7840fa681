# SPDX-License-Identifier: GPL-2.0-or-later
"""DI `callgen`, which is `call_gen` too: order calls, and see how far it is."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from di.apps.api import (
    Application,
    Caller,
    CallOut,
    Closer,
    ConfigError,
    Dialler,
    OutOfBounds,
    Refused,
    Services,
    Session,
    TimerHandle,
    Value,
    configured,
    di_method,
    is_sip_uri,
    where,
)
from di.apps.callgen.app import NAME_OF_KEY, GeneratedCall
from di.apps.callgen.generator import STEP_NS, CallPlan, Generator, Series, Standing
from di.apps.callgen.options import Options
from di.apps.prompts import Prompts

NAMES = ("callgen", "call_gen")
_MOST_CALLS = 1_000_000
_MOST_DIGITS = 30
_LONGEST_S = 86_400 * 7


class CallGenerator:
    """The functions, and the timer that keeps the generator going while there is something to do."""

    def __init__(self, services: Services, options: Options, play_file: str, prompts: Prompts) -> None:
        self._services = services
        self._from = f"<sip:callgen@{options.from_host}>"
        self.play_file, self.prompts = play_file, prompts
        self.generator = Generator(self._place, services.clock.random, options.calls_per_second)
        self._timer: TimerHandle | None = None

    # ----------------------------------------------------------------------------------------------------------- functions
    @di_method("createCalls", dangerous=True)
    async def create_calls(
        self, caller: Caller, ncalls: int, wait_base: int, wait_rand: int, ruri_user: str, ruri_host: str,
        ruri_rand_digits: int, play_rand_digits: int, call_time_base: int, call_time_rand: int,
    ) -> list[Value]:  # fmt: skip
        """Place so many calls one after the other, so many seconds apart, and answer when all are placed."""
        plan = _plan(
            "createCalls", caller, ruri_user, ruri_host, ruri_rand_digits, play_rand_digits, call_time_base, call_time_rand
        )
        _check(ncalls=(ncalls, _MOST_CALLS), wait_base=(wait_base, _LONGEST_S), wait_rand=(wait_rand, _LONGEST_S))
        if not ncalls:
            return [0, "OK"]
        placed: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def done(failed: int) -> None:
            if not placed.done():  # whoever asked may have gone
                placed.set_result(failed)

        self.generator.series.append(Series(plan, ncalls, 0, wait_base, wait_rand, done))
        self._go_on()
        failed = await placed
        return [0, "OK"] if not failed else [1, f"{failed} of {ncalls} calls could not be placed; the log says why"]

    @di_method("scheduleCalls", dangerous=True)
    def schedule_calls(
        self, caller: Caller, ncalls: int, wait_base: int, wait_rand: int, ruri_user: str, ruri_host: str,
        ruri_rand_digits: int, play_rand_digits: int, call_time_base: int, call_time_rand: int, calls_per_sec: int = 1,
    ) -> None:  # fmt: skip
        """Place so many calls from now on, so many a second; the waits count for `createCalls` only."""
        plan = _plan(
            "scheduleCalls", caller, ruri_user, ruri_host, ruri_rand_digits, play_rand_digits, call_time_base, call_time_rand
        )
        _check(ncalls=(ncalls, _MOST_CALLS), wait_base=(wait_base, _LONGEST_S), wait_rand=(wait_rand, _LONGEST_S))
        _check(calls_per_sec=(calls_per_sec - 1, _MOST_CALLS))
        if self.generator.scheduled + ncalls > _MOST_CALLS:
            raise OutOfBounds(f"there would be more than {_MOST_CALLS} scheduled calls")
        if ncalls:
            self.generator.series.append(Series(plan, ncalls, calls_per_sec))
            self._go_on()

    @di_method("setTarget", dangerous=True)
    def set_target(
        self, caller: Caller, ncalls: int, wait_base: int, wait_rand: int, ruri_user: str, ruri_host: str,
        ruri_rand_digits: int, play_rand_digits: int, call_time_base: int, call_time_rand: int, calls_per_sec: int = 1,
    ) -> None:  # fmt: skip
        """Keep so many calls up from now on, placing at most so many a second; 0 places no more, those that are up go on."""
        plan = _plan(
            "setTarget", caller, ruri_user, ruri_host, ruri_rand_digits, play_rand_digits, call_time_base, call_time_rand
        )
        _check(ncalls=(ncalls, _MOST_CALLS), wait_base=(wait_base, _LONGEST_S), wait_rand=(wait_rand, _LONGEST_S))
        _check(calls_per_sec=(calls_per_sec - 1, _MOST_CALLS))
        self.generator.standing = Standing(plan, ncalls, calls_per_sec) if ncalls else None
        self._go_on()

    @di_method("stop")
    def stop(self) -> list[Value]:
        """Place no more calls, and hang up all that were generated."""
        self.generator.stop()
        for session in self._services.sessions:
            if isinstance(session.app, GeneratedCall):
                session.run(session.stop)
        return [0, "OK"]

    @di_method("callGenStats", changes=False)
    def call_gen_stats(self) -> list[Value]:
        """Return the counters as a text."""
        generator = self.generator
        return [
            f"CallGen statistics: \n {generator.active} active calls\n {generator.target} current target\n "
            f"{generator.scheduled} scheduled\n {generator.total} total calls\n "
        ]

    @di_method("status", changes=False)
    def status(self) -> dict[str, Value]:
        """Return the counters as a struct; `results` counts calls that are over by what became of them."""
        generator = self.generator
        return {
            "active": generator.active,
            "target": generator.target,
            "scheduled": generator.scheduled,
            "total": generator.total,
            "refused": generator.refused,
            "results": dict(generator.results),
        }

    @di_method("help", changes=False)
    def help(self) -> list[Value]:
        """Return the usage of the functions as a text."""
        order = "<ncalls> <wait_base> <wait_rand> <ruri_user> <ruri_host> <ruri_rand_digits> <play_rand_digits> <call_time_base> <call_time_rand>"
        return [
            f"createCalls {order}\nscheduleCalls {order} [<calls_per_sec>]\nsetTarget {order} [<calls_per_sec>]\ncallGenStats\nstop\n"
        ]

    # ------------------------------------------------------------------------------------------------------------- placing
    def _place(self, plan: CallPlan) -> bool:
        uri = plan.uri(self._services.clock.random)
        by = Dialler(plan.way, plan.caller)
        order = CallOut("callgen", uri, self._from, f"<{uri}>", by=by)
        return self._services.sessions.dial(order, lambda session: GeneratedCall(session, self, plan)) is not None

    def _go_on(self) -> None:
        if self._timer is None and not self.generator.idle:
            self._timer = self._services.clock.call_later(STEP_NS, self._step)

    def _step(self) -> None:
        self._timer = None
        self.generator.step(self._services.clock.now_ns())
        self._go_on()

    def close(self) -> None:
        """The plug-in goes: nothing more is placed."""
        self.generator.stop()
        if self._timer is not None:
            self._timer.cancel()


def _plan(
    function: str, caller: Caller, user: str, host: str, user_digits: int, keys: int, time_base_s: int, time_rand_s: int
) -> CallPlan:
    """Raises OutOfBounds for what cannot be."""
    _check(
        ruri_rand_digits=(user_digits, _MOST_DIGITS),
        play_rand_digits=(keys, _MOST_DIGITS),
        call_time_base=(time_base_s, _LONGEST_S),
        call_time_rand=(time_rand_s, _LONGEST_S),
    )
    if not is_sip_uri(f"sip:{user}0@{host}") or "?" in user + host or "@" in user + host:
        raise OutOfBounds(f"sip:{user}…@{host} is no SIP URI; right are a user and a host, e.g. room and 127.0.0.1:5060")
    by = Dialler.of(f"callgen.{function}", caller)
    return replace(CallPlan(user, host, user_digits, keys, time_base_s, time_rand_s), caller=by.caller, way=by.way)


def _check(**ranges: tuple[int, int]) -> None:
    for name, (value, most) in ranges.items():
        if not 0 <= value <= most:
            raise OutOfBounds(f"{name} {value} is not within its range, which ends at {most}")


def _declines(_session: Session) -> Application:
    raise Refused(603, "Decline")


def start(services: Services, options: Options) -> Closer:
    """Register the functions under both names. Raises ConfigError when the file to play is missing."""
    play_file = configured(options.play_file, services.conf_dir)
    if not play_file.is_file():
        hint = f"there is no file {play_file}; name an existing one (`cordboard prompts` makes the samples)"
        raise ConfigError(*where(options, "play_file"), "play_file", hint)
    services.sessions.preload(str(play_file))
    folder = configured(options.digits_dir, services.conf_dir) if options.digits_dir else None
    names = NAME_OF_KEY.values()
    prompts = Prompts("callgen", {name: folder / f"{name}.wav" if folder is not None else None for name in names})
    shared = CallGenerator(services, options, str(play_file), prompts)
    for name in NAMES:
        services.registry.register(name, shared)
    services.applications.register("callgen", _declines)

    def close() -> None:
        shared.close()
        services.applications.unregister("callgen")
        for name in NAMES:
            services.registry.unregister(name)

    return close
