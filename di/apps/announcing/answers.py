# SPDX-License-Identifier: GPL-2.0-or-later
"""What a database has answered, for as long as it is trusted, and longer while the database is down.

known lately ─► that            known, but long ago ─► ask; meanwhile others get what is known
down ─► what is known, however old, else AudioUnavailable; it is asked again after some seconds, not by each call
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from di.apps.announcing.audio_cache import LARGEST_BYTES, AudioCache, suffix_for
from di.apps.announcing.database import AudioQuery, AudioSource, AudioUnavailable
from di.kernel.ports import Clock

log = logging.getLogger(__name__)
_MOST_KNOWN = 10_000
_PAUSE_NS = 3 * 10**9
"""After a failure the database is left alone for so long: calls are not held up for a timeout each."""


@dataclass
class _Known:
    path: Path | None
    answered_ns: int


class AudioAnswers:
    """`trusted_s`: how long an answer counts without asking again; `timeout_s`: how long a question may take."""

    def __init__(self, source: AudioSource, cache: AudioCache, clock: Clock, trusted_s: int, timeout_s: int) -> None:
        self._source, self._cache, self._clock = source, cache, clock
        self._trusted_ns, self._timeout_s = trusted_s * 10**9, timeout_s
        self._known: OrderedDict[AudioQuery, _Known] = OrderedDict()
        self._asked: dict[AudioQuery, asyncio.Event] = {}
        """Questions under way; set when one is over."""
        self._down_until_ns = 0
        self._why_down = ""

    async def find(self, query: AudioQuery, call: str) -> Path | None:
        """The file for a question, None where the database has none. Raises AudioUnavailable. `call`: the call's id, for the log."""
        began_ns = self._clock.now_ns()
        while True:
            known, now_ns = self._known.get(query), self._clock.now_ns()
            if known is not None and self._counts(known, query, began_ns, now_ns):
                return known.path
            if now_ns < self._down_until_ns:
                return self._while_down(known, call, self._why_down)
            answered = self._asked.get(query)
            if answered is None:
                return await self._ask(query, known, call)
            await answered.wait()  # then it is known, or down, or the one who asked has gone

    def _counts(self, known: _Known, query: AudioQuery, began_ns: int, now_ns: int) -> bool:
        """Whether an answer may be taken without asking: it is new, came while one waited, or another asks at this moment."""
        new = known.answered_ns >= began_ns or now_ns - known.answered_ns < self._trusted_ns
        return (new or query in self._asked) and _still_there(known.path)

    async def _ask(self, query: AudioQuery, known: _Known | None, call: str) -> Path | None:
        answered = self._asked[query] = asyncio.Event()
        try:
            async with asyncio.timeout(self._timeout_s):
                data = await self._source.fetch(query)
            path = await self._keep(data, query, call)
        except (AudioUnavailable, TimeoutError, OSError) as error:
            why = str(error) or f"no answer in {self._timeout_s} s"
            self._down_until_ns, self._why_down = self._clock.now_ns() + _PAUSE_NS, why
            return self._while_down(known, call, why)
        finally:
            del self._asked[query]
            answered.set()
        self._known[query] = _Known(path, self._clock.now_ns())
        self._known.move_to_end(query)
        if len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)
        return path

    def _while_down(self, known: _Known | None, call: str, why: str) -> Path | None:
        if known is None or not _still_there(known.path):
            raise AudioUnavailable(why)
        log.warning("call %s: the database cannot be asked, what it said before is played: %s", call, why)
        return known.path

    async def _keep(self, data: bytes | None, query: AudioQuery, call: str) -> Path | None:
        if data is None:
            return None
        suffix = suffix_for(data) if len(data) <= LARGEST_BYTES else ""
        if not suffix:
            log.error(
                "call %s: the audio of %s/%s for user %r, domain %r, languages %s cannot be played: %d bytes that are no WAV, FLAC, Ogg, "
                "AIFF, AU or MP3 (at most %d); put a file of one of these into the row",
                call, query.application, query.message, query.user, query.domain, "/".join(query.languages), len(data), LARGEST_BYTES,
            )  # fmt: skip
            return None
        return await asyncio.to_thread(self._cache.keep, data, suffix, self._clock.now_ns())

    def close(self) -> None:
        """Give connections back; files stay, calls may be playing them."""
        self._source.close()


def _still_there(path: Path | None) -> bool:
    return path is None or path.is_file()
