# SPDX-License-Identifier: GPL-2.0-or-later
"""Sound files by HTTP: who gets them, which part, and what becomes of slow ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import given
from hypothesis import strategies as st

from di.kernel.registry import Caller
from interfaces.web import sounds
from interfaces.web.sounds import PATH, Part, SoundPages, asked_part

DATA = bytes(range(256)) * 1000
NOBODY = Caller("nobody", "http", "", lambda module, method: False, lambda module, method: False)


class Sound:
    def __init__(self) -> None:
        self.size, self.tag, self.closed = len(DATA), "t1", 0
        self.broken = 0

    async def read(self, at: int, count: int) -> bytes:
        return b"" if self.broken and at >= self.broken else DATA[at : at + count]

    async def close(self) -> None:
        self.closed += 1


class Files:
    permission = ("recordings", "listen")

    def __init__(self) -> None:
        self.sound = Sound()
        self.opened: list[str] = []

    def bearer(self, ticket: str, file: str) -> Caller | None:
        return Caller() if (ticket, file) == ("good", "x.wav") else None

    async def open(self, file: str) -> Sound | None:
        self.opened.append(file)
        if file == "sick.wav":
            raise OSError(5, "Input/output error")
        return self.sound if file == "x.wav" else None


class Site:
    def __init__(self) -> None:
        self.files: Files | None = Files()
        self.caller = Caller()

    async def login(self, request: web.Request) -> Caller:
        return self.caller


@pytest.fixture
async def site() -> Site:
    return Site()


@pytest.fixture
async def client(site: Site) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    app = web.Application()
    app.router.add_get(PATH, SoundPages(lambda: site.files, site.login).handle)
    async with TestClient(TestServer(app)) as client:
        yield client


Client = TestClient[web.Request, web.Application]


async def test_the_whole_file(client: Client, site: Site) -> None:
    answer = await client.get("/recordings/x.wav")
    assert (answer.status, await answer.read()) == (200, DATA)
    assert answer.headers["Content-Type"] == "audio/wav"
    assert answer.headers["Content-Length"] == str(len(DATA))
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert site.files is not None and site.files.sound.closed == 1
    head = await client.head("/recordings/x.wav")
    assert (head.status, head.headers["Content-Length"], await head.read()) == (200, str(len(DATA)), b"")


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("bytes=0-0", 0, 0), ("bytes=100-", 100, len(DATA) - 1), ("bytes=-7", len(DATA) - 7, len(DATA) - 1), ("BYTES=5-99999999", 5, len(DATA) - 1)],
)  # fmt: skip
async def test_a_part(client: Client, asked: str, first: int, last: int) -> None:
    answer = await client.get("/recordings/x.wav", headers={"Range": asked})
    assert (answer.status, await answer.read()) == (206, DATA[first : last + 1])
    assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{len(DATA)}"


async def test_a_part_of_what_it_was(client: Client) -> None:
    for tag, status in (('"t1"', 206), ('"t0"', 200), ('W/"t1"', 200)):
        assert (await client.get("/recordings/x.wav", headers={"Range": "bytes=1-2", "If-Range": tag})).status == status
    answer = await client.get("/recordings/x.wav", headers={"Range": f"bytes={len(DATA)}-"})
    assert (answer.status, answer.headers["Content-Range"]) == (416, f"bytes */{len(DATA)}")


async def test_who_may_hear(client: Client, site: Site) -> None:
    site.caller = NOBODY
    assert (await client.get("/recordings/x.wav")).status == 403
    assert (await client.get("/recordings/x.wav?ticket=good")).status == 200
    for wrong in ("/recordings/x.wav?ticket=bad", "/recordings/x.wav?ticket=", "/recordings/y.wav?ticket=good"):
        assert (await client.get(wrong)).status == 403
    assert site.files is not None and site.files.opened == ["x.wav"], "nothing is opened for others"


async def test_what_is_not_there(client: Client, site: Site) -> None:
    assert (await client.get("/recordings/y.wav")).status == 404
    assert (await client.get("/recordings/sick.wav")).status == 503
    for path in ("/recordings/", "/recordings/a/x.wav"):
        assert (await client.get(path)).status == 404
    assert (await client.post("/recordings/x.wav")).status == 405
    assert site.files is not None
    await client.get("/recordings/..%2fx.wav")
    assert site.files.opened[-1] == "../x.wav", "a name that the keeper judges, as one"
    site.files = None
    assert (await client.get("/recordings/x.wav")).status == 404


async def test_a_file_that_became_shorter_ends_the_connection(client: Client, site: Site) -> None:
    assert site.files is not None
    site.files.sound.broken = 70_000
    answer = await client.get("/recordings/x.wav")
    with pytest.raises(Exception, match=r"not completed|[Dd]isconnect|[Rr]eset|payload"):
        await answer.read()
    assert site.files.sound.closed == 1


async def test_a_listener_who_takes_nothing_is_let_go(client: Client, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sounds, "_WRITE_LIMIT_S", 0.05)
    assert site.files is not None
    sound = site.files.sound
    sound.size = 1 << 30
    monkeypatch.setattr(Sound, "read", lambda self, at, count: asyncio.sleep(0, bytes(count)))
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    writer.write(b"GET /recordings/x.wav HTTP/1.1\r\nHost: x\r\n\r\n")
    for _ in range(1000):
        if sound.closed:
            break
        await asyncio.sleep(0.01)
    assert sound.closed == 1
    writer.close()
    assert reader is not None


@given(st.one_of(st.text(max_size=30), st.from_regex(r"\Abytes=[0-9]{0,5}-[0-9]{0,5}\Z")), st.integers(0, 5000))
def test_a_part_is_always_inside_the_file(header: str, size: int) -> None:
    part = asked_part(header, size)
    if part is not None:
        assert part.first >= 0 and part.first + part.count <= size
        assert part.whole or part.count > 0
        assert not part.whole or part == Part(0, size, size, True)
