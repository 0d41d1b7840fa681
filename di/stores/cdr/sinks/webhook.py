# SPDX-License-Identifier: GPL-2.0-or-later
"""Records as signed POSTs (`di.kernel.webhooks`). `webhook-id` is the record's id."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import aiohttp

from di.kernel.webhooks import signed_headers
from di.stores.cdr.sinks.sink import EntryRefused, SinkDown
from di.stores.cdr.spool import DueRecord

_FOR_GOOD = frozenset((400, 410, 413, 415, 422))
"""Answers after which the same record would be refused again; others, 401 and 404 among them, a person may mend."""


class Webhook:
    """One POST a record, in order. `key` as `parse_secret` gives it."""

    name = "webhook"
    batch = 50

    def __init__(self, url: str, key: bytes, timeout_s: float, epoch_s: Callable[[], float]) -> None:
        self._url = url
        self._key = key
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._epoch_s = epoch_s
        self._http: aiohttp.ClientSession | None = None

    async def deliver(self, entries: Sequence[DueRecord]) -> None:
        """POST each. Raises SinkDown for no answer and any that is no 2xx, EntryRefused for what will never be taken."""
        if self._http is None:
            self._http = aiohttp.ClientSession(timeout=self._timeout, headers={"User-Agent": "cordboard"})
        for number, entry in enumerate(entries):
            status = await self._post(self._http, entry)
            if status in _FOR_GOOD:
                raise EntryRefused(number, f"{self._url} answered {status}")
            if not 200 <= status < 300:
                raise SinkDown(f"{self._url} answered {status}")

    async def _post(self, http: aiohttp.ClientSession, entry: DueRecord) -> int:
        timestamp_s = int(self._epoch_s())
        body = b'{"type":"call.ended","timestamp":%s,"data":%s}' % (
            json.dumps(entry.record.end).encode(),
            entry.text.encode("utf-8", "replace"),
        )
        headers = signed_headers(self._key, entry.record.id, timestamp_s, body)
        try:
            async with http.post(self._url, data=body, headers=headers, allow_redirects=False) as answer:
                return answer.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise SinkDown(f"{self._url}: {str(error) or type(error).__name__}") from error

    async def close(self) -> None:
        """Close the connections."""
        http, self._http = self._http, None
        if http is not None:
            await http.close()
