# SPDX-License-Identifier: GPL-2.0-or-later
"""GET /recordings/<file>: sound files that others keep (`di.kernel.ports.SoundFiles`), whole or a range of them (RFC 9110 §14).

Who asks shows credentials as for a call, or a ticket that such a caller was given. Files are read by the keeper's threads, in pieces, and a
listener who takes nothing for a while is let go: neither a slow disk nor a slow peer holds anything else up.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from di.kernel.ports import SoundFile, SoundFiles
from di.kernel.registry import Caller

PATH = "/recordings/{file}"
_PIECE_BYTES = 1 << 16
_WRITE_LIMIT_S = 20.0
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
_HEADERS = {
    "Content-Type": "audio/wav",
    "Accept-Ranges": "bytes",
    "Cache-Control": "private, no-store",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class Part:
    """What of a file is sent: `count` bytes from `first` on; of a file of `size` bytes. `whole`: it was not a range that was asked for."""

    first: int
    count: int
    size: int
    whole: bool = False

    @property
    def content_range(self) -> str:
        """The header that says so."""
        return f"bytes {self.first}-{self.first + self.count - 1}/{self.size}"


def asked_part(header: str, size: int) -> Part | None:
    """What a Range header asks for; None when there is nothing of it (416). Several ranges, and what is none, count as not asked."""
    match = _RANGE.fullmatch(header.strip().lower())
    if match is None or match[1] == match[2] == "":
        return Part(0, size, size, whole=True)
    if not match[1]:  # the last so many
        count = min(int(match[2]), size)
        return Part(size - count, count, size) if count else None
    first = int(match[1])
    last = min(int(match[2]), size - 1) if match[2] else size - 1
    if match[2] and int(match[2]) < first:
        return Part(0, size, size, whole=True)  # RFC 9110 §14.1.1: invalid, so ignored
    return Part(first, last - first + 1, size) if first < size else None


class SoundPages:
    """The handler. `find` gives who keeps sound files, or None; `login` says who sent a request, or raises the refusal."""

    def __init__(self, find: Callable[[], SoundFiles | None], login: Callable[[web.Request], Awaitable[Caller]]) -> None:
        self._find, self._login = find, login

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        files, name = self._find(), request.match_info["file"]
        if files is None:
            raise web.HTTPNotFound(text="no module that keeps recordings is loaded\n")
        await self._admit(request, files, name)
        try:
            sound = await files.open(name)
        except OSError:
            raise web.HTTPServiceUnavailable(text="the file cannot be read now\n") from None
        if sound is None:
            raise web.HTTPNotFound(text="there is no such recording\n")
        try:
            return await self._send(request, sound, name)
        finally:
            await sound.close()

    async def _admit(self, request: web.Request, files: SoundFiles, name: str) -> None:
        ticket = request.query.get("ticket")
        if ticket is None:
            caller = await self._login(request)
            if not caller.allows(*files.permission):
                raise web.HTTPForbidden(text=f"this needs {'.'.join(files.permission)}\n")
        elif files.bearer(ticket, name) is None:
            raise web.HTTPForbidden(text=f"this address is good no more; {'.'.join(files.permission)} gives another\n")

    async def _send(self, request: web.Request, sound: SoundFile, name: str) -> web.StreamResponse:
        tag = f'"{sound.tag}"'
        same = request.headers.get("If-Range", tag).strip() == tag
        part = asked_part(request.headers.get("Range", "") if same else "", sound.size)
        if part is None:
            raise web.HTTPRequestRangeNotSatisfiable(headers={"Content-Range": f"bytes */{sound.size}"})
        headers = {**_HEADERS, "ETag": tag, "Content-Disposition": f'inline; filename="{name}"'}
        if not part.whole:
            headers["Content-Range"] = part.content_range
        response = web.StreamResponse(status=200 if part.whole else 206, headers=headers)
        response.content_length = part.count
        await response.prepare(request)
        if request.method != "HEAD":
            await self._write(request, response, sound, part)
        return response

    async def _write(self, request: web.Request, response: web.StreamResponse, sound: SoundFile, part: Part) -> None:
        at, end = part.first, part.first + part.count
        while at < end:
            data = await sound.read(at, min(_PIECE_BYTES, end - at))
            if not data:  # it has become shorter: the length that was promised cannot be kept
                break
            try:
                await asyncio.wait_for(response.write(data), _WRITE_LIMIT_S)
            except TimeoutError:
                break
            at += len(data)
        if at < end and request.transport is not None:
            request.transport.abort()
