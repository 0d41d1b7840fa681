# SPDX-License-Identifier: GPL-2.0-or-later
"""The web gateway: JSON-RPC over POST (by the front server or by aiohttp), WebSocket, OpenRPC document, metrics, health, the panel.

Every way in asks `access` who calls; what he may do is the registry's decision.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from di.access.rules import Unauthenticated
from di.kernel.errors import Forbidden
from di.kernel.ports import SoundFiles
from di.kernel.registry import Caller, Registry
from interfaces.gateway import AccessControl, Authenticator, ForeignOrigin
from interfaces.http1 import HttpRequest
from interfaces.jsonrpc.strict import dumps
from interfaces.large import Pieces, Text
from interfaces.program_door import PATH as PROGRAMS_PATH
from interfaces.program_door import ProgramDoor
from interfaces.web.files import StaticFiles
from interfaces.web.pages import Page
from interfaces.web.programs import ProgramSockets
from interfaces.web.rpc import Context, Special, handle
from interfaces.web.sounds import PATH as SOUNDS_PATH
from interfaces.web.sounds import SoundPages

log = logging.getLogger(__name__)

_BODY_LIMIT_S = 10.0
_NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"


class _NoTracebacks(logging.Filter):
    """A peer's broken request is a line in the log, not a traceback; an error of ours keeps its traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, (HttpProcessingError, ConnectionError)):
            reason = " ".join(str(error).partition(" b'")[0].split())  # what follows are the peer's bytes
            record.msg, record.args, record.exc_info = f"request refused: {reason[:200]}", (), None
            record.levelno, record.levelname = logging.INFO, "INFO"
        return True


http_log = logging.getLogger("cordboard.http")
"""For the framework's own lines."""
http_log.addFilter(_NoTracebacks())


@dataclass
class WebGateway:
    """The request handlers of the web port. `pages`: path → content made by other parts."""

    registry: Registry
    access: AccessControl
    origin_allowed: Callable[[str], bool] = lambda origin: True
    max_body_bytes: int = 1 << 20
    pages: dict[str, Page] = field(default_factory=dict)
    specials: dict[str, Special] = field(default_factory=dict)
    files: StaticFiles = field(default_factory=StaticFiles)
    find_sounds: Callable[[], SoundFiles | None] = lambda: None
    find_door: Callable[[], ProgramDoor | None] = lambda: None
    authenticator: Authenticator = field(init=False)

    def __post_init__(self) -> None:
        self.authenticator = Authenticator(self.access, self.origin_allowed)

    # ------------------------------------------------------------------------------------------------------ front server
    def post(self, request: HttpRequest) -> bytes | Awaitable[Text]:
        """Answer one JSON-RPC post. Raises BadRequest for a page of a foreign origin."""
        return self.authenticator.answer("http", request, self._run_http)

    def _run_http(self, body: bytes, caller: Caller) -> bytes | Awaitable[Text]:
        answer = self.run(body, caller)
        return http_answer(answer) if isinstance(answer, bytes) else _later(answer)

    def run(self, text: bytes | str, caller: Caller, specials: dict[str, Special] | None = None) -> bytes | Awaitable[Text]:
        """Run a JSON-RPC message for a known caller."""
        return handle(text, Context(caller, self.registry, self.specials if specials is None else specials))

    # -------------------------------------------------------------------------------------------------------- aiohttp
    def application(self, websocket: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.Application:
        """The aiohttp application behind the front server."""
        app = web.Application(client_max_size=self.max_body_bytes)
        app.router.add_post("/jsonrpc", self._post_aiohttp)
        app.router.add_get("/ws", websocket)
        app.router.add_get("/openrpc.json", self._openrpc_aiohttp)
        app.router.add_get(PROGRAMS_PATH, ProgramSockets(self.find_door, lambda request: self.login(request, "ws")).handle)
        app.router.add_get(
            SOUNDS_PATH, SoundPages(self.find_sounds, lambda request: self.login(request, "http", page=True)).handle
        )
        for path in self.files.paths():
            app.router.add_get(path, self._file_aiohttp)
        for path, page in self.pages.items():
            app.router.add_get(path, self._page_handler(page))
        app.on_response_prepare.append(_name_server)
        return app

    async def login(self, request: web.Request, transport: str, page: bool = False) -> Caller:
        """Say who sent an aiohttp request, perhaps one for a page to be read. Raises the HTTP refusal."""
        headers = request.headers
        admit = self.authenticator.admit_page if page else self.authenticator.admit
        try:
            origin, host = headers.get("Origin", ""), headers.get("Host", "")
            caller = admit(transport, origin, host, request.remote or "", headers.get("Authorization", ""))
            return caller if isinstance(caller, Caller) else await caller
        except ForeignOrigin:
            raise web.HTTPForbidden(
                text="this origin, or the name by which this server was asked, is not in allowed_origins\n"
            ) from None
        except Unauthenticated as error:
            if error.retry_after_s:
                raise web.HTTPTooManyRequests(headers={"Retry-After": str(error.retry_after_s)}) from None
            challenge = {"WWW-Authenticate": 'Basic realm="cordboard", charset="UTF-8"'}
            raise web.HTTPUnauthorized(headers=challenge) from None

    async def _post_aiohttp(self, request: web.Request) -> web.StreamResponse:
        caller = await self.login(request, "http")
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise web.HTTPUnsupportedMediaType(text="compressed requests are not taken\n")
        try:
            body = await asyncio.wait_for(request.read(), _BODY_LIMIT_S)
        except TimeoutError:
            raise web.HTTPRequestTimeout from None
        except ConnectionError:
            raise web.HTTPBadRequest(text="the body is incomplete\n") from None
        answer = self.run(body, caller)
        text = answer if isinstance(answer, bytes) else await answer
        if not isinstance(text, bytes):
            return await _in_pieces(request, text)
        return web.Response(body=text, content_type="application/json") if text else web.Response(status=204)

    async def _openrpc_aiohttp(self, request: web.Request) -> web.StreamResponse:
        caller = await self.login(request, "http", page=True)
        try:
            document = await self.registry.call("rpc", "discover", [], caller)
        except Forbidden as error:
            raise web.HTTPForbidden(text=f"this needs {error.what}\n") from None
        return web.Response(body=dumps(document), content_type="application/json")

    async def _file_aiohttp(self, request: web.Request) -> web.StreamResponse:
        headers = request.headers
        answer = self.files.answer(request.path, headers.get("If-None-Match", ""), headers.get("Accept-Encoding", ""))
        return web.Response(status=answer.status, body=answer.body, headers=answer.headers)

    def _page_handler(self, page: Page) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def show(request: web.Request) -> web.StreamResponse:
            if page.permission:
                caller = await self.login(request, "metrics", page=True)
                if not caller.allows(*page.permission):
                    raise web.HTTPForbidden(text=f"this needs {'.'.join(page.permission)}\n")
            status, content_type, body = page.content()
            return web.Response(status=status, body=body, headers={"Content-Type": content_type})

        return show


def http_answer(text: bytes) -> bytes:
    """A JSON text with its head; 204 when there is nothing to answer."""
    if not text:
        return _NO_CONTENT
    return _head(len(text)) + text


def _head(length_bytes: int) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % length_bytes


async def _in_pieces(request: web.Request, text: Pieces) -> web.StreamResponse:
    """Send a long JSON text as it was made."""
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(text.length_bytes)})
    await response.prepare(request)
    for piece in text.leaving():
        await response.write(piece)
    await response.write_eof()
    return response


async def _name_server(request: web.Request, response: web.StreamResponse) -> None:
    """Say neither library nor version."""
    response.headers["Server"] = "cordboard"


async def _later(answer: Awaitable[Text]) -> Text:
    text = await answer
    return http_answer(text) if isinstance(text, bytes) else Pieces([_head(text.length_bytes), *text])
