# SPDX-License-Identifier: GPL-2.0-or-later
"""The media processes of a hub: started together, each with its part of the RTP ports and a socket to every other one.

A process that dies ends its own legs only and is started again. The hub keeps both ends of each socket between processes, so that a
process that comes again finds the others.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from di.kernel.child import Child, ChildKind, StartFailed
from di.kernel.server_options import interfaces_of
from di.media_control.port_ranges import port_ranges
from di.media_control.router import MediaRouter
from media.control import records
from media.control.link import RecordLink
from media.control.records import RtpAddress

if TYPE_CHECKING:
    from di.kernel.ports import Clock, TimerHandle
    from di.kernel.server_options import CoreOptions
    from di.media_control.port import MediaPort
    from media.control.turn import Turn

log = logging.getLogger(__name__)

_REPORT_NS = 5 * 10**9
"""So often the processes tell what they have to do."""

_FORMATS_TIMEOUT_S = 20.0


class LegOwner(Protocol):
    """Who has the legs (`di.calls.sessions.Sessions`)."""

    @property
    def clock(self) -> Clock:
        """Time."""

    def on_media_event(self, record: records.Event) -> None:
        """Take a record of a media process."""

    def media_up(self, media: MediaPort) -> None:
        """A media process is in service."""

    def process_silent(self, role: str, why: str) -> None:
        """A process does not answer, and why; an empty text: it does again."""

    def media_lost(self, reason: str, legs: Collection[int] | None = None) -> None:
        """A media process is gone, and the legs that it had; None: all."""


class MediaProcesses:
    """As many as `media_processor_threads` says. `calls.media` is their router while one of them is up."""

    def __init__(self, core: CoreOptions, calls: LegOwner, turn: Turn | None = None) -> None:
        count = core.media_processor_threads
        self.router = MediaRouter(count, calls.on_media_event, calls.clock.now_ns, core.media_process_legs)
        self._calls = calls
        self._turn = turn
        self._replace_s = core.watchdog_time
        self._idle_ports = ("--idle-ms", str(core.rtp_port_idle_time * 1000), "--kept-ports", str(core.rtp_ports_kept))
        self._pairs = list(_pairs(count))
        self._formats: asyncio.Future[tuple[records.AudioFormat, ...]] = asyncio.get_running_loop().create_future()
        rtp = interfaces_of(core).rtp
        parts = [port_ranges(address.port_low, address.port_high, count) for address in rtp]
        self.children = [
            self._child(process, [RtpAddress(address.ip, *part[process]) for address, part in zip(rtp, parts, strict=True)])
            for process in range(count)
        ]
        self._timer: TimerHandle | None = None

    def _child(self, process: int, rtp: Sequence[RtpAddress]) -> Child[records.Command, records.Event]:
        links = {}
        for first, second, ours, theirs in self._pairs:
            if process in (first, second):
                links[second if process == first else first] = (ours if process == first else theirs).fileno()
        arguments = [*self._idle_ports]
        for address in rtp:
            arguments += ["--address", str(address)]
        for peer, descriptor in links.items():
            arguments += ["--span-link", f"{peer}:{descriptor}"]
        kind = ChildKind("media", "media.io.process", tuple(arguments), records.EVENTS, tuple(links.values()))

        async def on_up(link: RecordLink[records.Command, records.Event]) -> None:
            self.router.up(process, link)
            self._calls.media_up(self.router)

        return Child(
            kind,
            lambda event: self._on_record(process, event),
            on_up,
            lambda reason: self._lost(process, reason),
            lambda why: self._silent(process, why),
            self._replace_s,
            self._turn,
        )

    def _silent(self, process: int, why: str) -> None:
        """Nobody is placed in a process that does not answer; where none does, new calls are refused."""
        self.router.set_silent(process, bool(why))
        self._calls.process_silent("media", "" if self.router.anybody_answers else "the media process does not answer")

    def _on_record(self, process: int, record: records.Event) -> None:
        if isinstance(record, records.CodecsAvailable):
            if not self._formats.done():
                self._formats.set_result(record.formats)
            return
        self.router.on_event(process, record)

    async def formats(self) -> tuple[records.AudioFormat, ...]:
        """The codecs that the processes have; all have the same, being one installation. Raises StartFailed."""
        try:
            return await asyncio.wait_for(asyncio.shield(self._formats), _FORMATS_TIMEOUT_S)
        except TimeoutError:
            raise StartFailed("no media process has said which codecs it has: run make setup") from None

    def _lost(self, process: int, reason: str) -> None:
        legs = self.router.lost(process)
        log.warning("%d calls had their media in process %d; %d are left", len(legs), process, len(self.router))
        self._calls.media_lost(reason, set(legs) if len(self.router) else None)

    # ------------------------------------------------------------------------------------------------------ start and stop
    async def spawn(self) -> None:
        """Start all without waiting for them. Raises StartFailed."""
        for child in self.children:
            await child.spawn()

    async def ready(self) -> None:
        """Wait until all are in service, then keep them running. Raises StartFailed."""
        await asyncio.gather(*(child.ready() for child in self.children))
        self._report()

    def _report(self) -> None:
        self.router.ask_load()
        self._timer = self._calls.clock.call_later(_REPORT_NS, self._report)

    async def stop(self, last: records.Command, grace_s: float) -> None:
        """End all of them for good."""
        if self._timer is not None:
            self._timer.cancel()
        await asyncio.gather(*(child.stop(last, grace_s) for child in self.children))
        for _, _, ours, theirs in self._pairs:
            ours.close()
            theirs.close()

    def kill(self) -> None:
        """End all of them at once (forced stop)."""
        for child in self.children:
            child.kill()

    # ------------------------------------------------------------------------------------------------------------- figures
    def figures(self) -> dict[int, Mapping[str, float]]:
        """What each process reported last, with its `legs` now, the share of a `cpu` that it uses, and `restarts`."""
        load = self.router.load
        return {
            process: {
                **load.processes[process].counters,
                "legs": load.processes[process].legs,
                "cpu": load.share(process),
                "restarts": child.restarts,
            }
            for process, child in enumerate(self.children)
        }


def _pairs(count: int) -> Iterator[tuple[int, int, socket.socket, socket.socket]]:
    """A connected pair of datagram sockets for each two processes: (first, second, first's end, second's end)."""
    for second in range(count):
        for first in range(second):
            yield first, second, *socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
