# SPDX-License-Identifier: GPL-2.0-or-later
"""CPU that the SIP process needs for a whole call (INVITE to BYE) and for an idle one: `python -m tests.benches.bench_sip`.

sipp places calls at a rate, a hub inside this program answers at once. Figures are CPU time of the SIP process alone (user and system),
so another load on the machine changes the retransmissions but hardly the CPU.
"""

from __future__ import annotations

import argparse
import asyncio

from di.media_control.codecs import choose
from di.sip.records import CallConfirmed, CallEnded, Listen, MediaNegotiated
from media.codecs import formats
from tests.support.sip_process import SipProcess
from tests.support.sipp import Sipp, SippResult
from tests.support.usage import cpu_us, resident_kb

BUDGET_US = 1500
"""All processes together: design.md, "a call set up and torn down"."""


def listen() -> Listen:
    """As the hub says it: with the codecs of the media process."""
    choice = choose(formats(), (), ())
    accepted, offered = (tuple(known.codec for known in part) for part in (choice.accepted, choice.offered))
    return Listen("127.0.0.1", 0, codecs=accepted, formats=choice.accepted, offered=offered)


async def churn(rate: int, seconds: int) -> str:
    """Calls of 200 ms at a rate."""
    sip = await SipProcess.start(listen())
    calls = rate * seconds
    before, memory = cpu_us(sip.pid), resident_kb(sip.pid)
    caller = Sipp(
        "call", sip.port, calls=calls, rate=rate, hold_ms=200, media_port_base=10000, trace=False, timeout_s=60 + seconds
    )
    result: SippResult = await asyncio.to_thread(caller.wait)
    used = cpu_us(sip.pid) - before
    grown = resident_kb(sip.pid) - memory
    seen = len(sip.of(MediaNegotiated)), len(sip.of(CallConfirmed)), len(sip.of(CallEnded))
    await sip.stop()
    return (
        f"churn     {rate:4d} calls/s: {result.successful} of {calls} completed, failed {result.failed}, "
        f"retransmissions {result.retransmissions}; {used / calls:6.0f} us CPU a call ({used / calls / BUDGET_US:.2f} of the budget "
        f"for all processes); negotiated/confirmed/ended {seen}; memory +{grown} kB"
    )


async def idle(calls: int, seconds: int) -> str:
    """Calls that do nothing."""
    sip = await SipProcess.start(listen())
    empty = resident_kb(sip.pid)
    with Sipp("call", sip.port, calls=calls, rate=200, hold_ms=600000, media_port_base=10000, trace=False):
        await sip.wait_until(lambda: len(sip.of(CallConfirmed)) >= calls, 60)
        memory = (resident_kb(sip.pid) - empty) / calls
        before = cpu_us(sip.pid)
        await asyncio.sleep(seconds)
        used = (cpu_us(sip.pid) - before) / seconds
    await sip.stop()
    return f"idle      {calls:4d} calls: {used / 1e4:.2f} % of a core, {memory:.0f} kB a call"


async def main() -> None:
    """Run both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=300)
    parser.add_argument("--seconds", type=int, default=6)
    parser.add_argument("--idle", type=int, default=500)
    options = parser.parse_args()
    print(await churn(options.rate, options.seconds))
    print(await idle(options.idle, 4))


if __name__ == "__main__":
    asyncio.run(main())
