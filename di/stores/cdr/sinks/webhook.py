# SPDX-License-Identifier: GPL-2.0-or-later
"""Records as signed POSTs, after the Standard Webhooks specification: any of its libraries verifies them.

`webhook-id` is the record's id, the same in each attempt; `webhook-signature` is `v1,` and the HMAC-SHA256 of `id.timestamp.body`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable, Sequence

import aiohttp

from di.stores.cdr.sinks.sink import EntryRefused, SinkDown
from di.stores.cdr.spool import DueRecord

_PREFIX = "whsec_"
_SHORTEST_SECRET = 24
_FOR_GOOD = frozenset((400, 410, 413, 415, 422))
"""Answers after which the same record would be refused again; others, 401 and 404 among them, a person may mend."""


def parse_secret(text: str) -> bytes:
    """The key behind `whsec_`, in base64. Raises ValueError for what is none, or shorter than the specification's 24 bytes."""
    try:
        key = base64.b64decode(text.strip().removeprefix(_PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("right is whsec_ and base64") from error
    if len(key) < _SHORTEST_SECRET:
        raise ValueError(f"the key has {len(key)} bytes; right are {_SHORTEST_SECRET} to 64")
    return key


def sign(key: bytes, id: str, timestamp_s: int, body: bytes) -> str:
    """The value of `webhook-signature`."""
    digest = hmac.new(key, f"{id}.{timestamp_s}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


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
        headers = {
            "content-type": "application/json",
            "webhook-id": entry.record.id,
            "webhook-timestamp": str(timestamp_s),
            "webhook-signature": sign(self._key, entry.record.id, timestamp_s, body),
        }
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
