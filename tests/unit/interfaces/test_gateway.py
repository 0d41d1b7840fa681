# SPDX-License-Identifier: GPL-2.0-or-later
"""Who comes in: origins of browsers' pages, credentials."""

from __future__ import annotations

from collections.abc import Awaitable

import pytest

from di.access.rules import Unauthenticated
from di.kernel.registry import Caller
from interfaces.gateway import Authenticator, ForeignOrigin, OpenAccess, names, origin_check, waits
from interfaces.http1 import BadRequest, HttpRequest

ORIGINS = [
    # origin, Host, whether a page may call while nobody has to log in, and while callers have to
    ("", "anything.example:8080", True, True),
    ("http://127.0.0.1:8080", "127.0.0.1:8080", True, True),
    ("http://LocalHost:8080", "localhost:8080", True, True),
    ("http://[::1]:8080", "[::1]:8080", True, True),
    ("http://192.0.2.7:8080", "192.0.2.7:8080", True, True),
    ("https://panel.example.org", "127.0.0.1:8080", True, True),
    ("HTTPS://Panel.Example.Org", "127.0.0.1:8080", True, True),
    ("http://here.example:8080", "here.example:8080", False, True),  # a name may lead here by somebody else's DNS
    ("http://127.0.0.1:9000", "127.0.0.1:8080", False, False),  # the page of another program of this machine
    ("http://localhost:3000", "localhost:8080", False, False),
    ("http://localhost:8080", "127.0.0.1:8080", False, False),
    ("http://127.0.0.1", "127.0.0.1:8080", False, False),
    ("https://panel.example.org:444", "127.0.0.1:8080", False, False),
    ("http://panel.example.org", "127.0.0.1:8080", False, False),
    ("http://localhost.evil.example:8080", "localhost:8080", False, False),
    ("http://localhost@evil.example", "localhost", False, False),
    ("null", "127.0.0.1:8080", False, False),
    ("null", "null", False, False),
    ("file://", "", False, False),
    ("http://[", "127.0.0.1:8080", False, False),
]


@pytest.mark.parametrize(("origin", "host", "open_door", "login"), ORIGINS)
def test_origins(origin: str, host: str, open_door: bool, login: bool) -> None:
    for restricted, allowed in ((False, open_door), (True, login)):
        access = Asked(Caller("ann", "http", ""), False)
        access.restricted = restricted
        authenticator = Authenticator(access, origin_check(["https://panel.example.org/"]))
        try:
            authenticator.admit("http", origin, host, "127.0.0.1", "")
        except ForeignOrigin:
            assert not allowed and access.asked == []
        else:
            assert allowed


HOSTS = [
    ("", True), ("127.0.0.1", True), ("127.0.0.1:8080", True), ("[::1]:8080", True), ("[::1]", True), ("localhost:8080", True),
    ("a.localhost", True), ("LOCALHOST.", True), ("panel.example.org", True), ("evil.example:8080", False), ("evil.example", False),
    ("127.0.0.1.evil.example", False), ("localhost.evil.example:80", False),
]  # fmt: skip


@pytest.mark.parametrize(("host", "allowed"), HOSTS)
def test_a_page_whose_name_was_led_here_reads_nothing(host: str, allowed: bool) -> None:
    access = Asked(Caller("ann", "http", ""), False)
    authenticator = Authenticator(access, origin_check(["https://panel.example.org"]))
    try:
        authenticator.admit_page("metrics", "", host, "127.0.0.1", "")
    except ForeignOrigin:
        assert not allowed and access.asked == []
    else:
        assert allowed
    access.restricted = True
    authenticator.admit_page("metrics", "", host, "127.0.0.1", "")


def test_a_star_allows_every_origin() -> None:
    assert origin_check(["*"])("https://evil.example")


def test_open_access_is_for_everybody() -> None:
    caller = OpenAccess().authenticate("xmlrpc", "127.0.0.1", "")
    assert caller.allows("core", "calls") and caller.transport == "xmlrpc"


class Asked:
    """Access that writes down what it was asked, and answers at once or later."""

    def __init__(self, outcome: Caller | Unauthenticated, later: bool) -> None:
        self.outcome, self.later = outcome, later
        self.asked: list[tuple[str, str, str]] = []
        self.restricted = False

    def authenticate(self, transport: str, source_ip: str, authorization: str) -> Caller | Awaitable[Caller]:
        self.asked.append((transport, source_ip, authorization))

        async def wait() -> Caller:
            return self._decide()

        return wait() if self.later else self._decide()

    def _decide(self) -> Caller:
        if isinstance(self.outcome, Unauthenticated):
            raise self.outcome
        return self.outcome

    def knows(self, source_ip: str) -> bool:
        return True

    def check_bind(self, ip: str, key: str, file: str, line: int) -> None: ...


def posted(**headers: bytes) -> HttpRequest:
    return HttpRequest(b"/", True, {name.encode(): value for name, value in headers.items()}, b"body", "192.0.2.1")


async def through(authenticator: Authenticator, request: HttpRequest) -> bytes:
    answer = authenticator.answer("http", request, lambda body, caller: body + b" of " + caller.name.encode())
    return answer if isinstance(answer, bytes) else await answer


@pytest.mark.parametrize("later", [False, True])
async def test_a_request_runs_for_whom_its_credentials_name(later: bool) -> None:
    access = Asked(Caller("ann", "http", ""), later)
    assert await through(Authenticator(access, lambda origin: True), posted(authorization=b"Bearer x.y")) == b"body of ann"
    assert access.asked == [("http", "192.0.2.1", "Bearer x.y")]


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize(("wait_s", "head"), [(0, b"HTTP/1.1 401 "), (7, b"HTTP/1.1 429 ")])
async def test_without_valid_credentials_nothing_runs(later: bool, wait_s: int, head: bytes) -> None:
    answer = await through(Authenticator(Asked(Unauthenticated("no", wait_s), later), lambda origin: True), posted())
    assert answer.startswith(head) and b"body" not in answer
    assert (b"Retry-After: 7\r\n" in answer) is (wait_s == 7) and (b"WWW-Authenticate: " in answer) is (wait_s == 0)


async def test_a_foreign_page_is_turned_away_before_its_credentials_are_looked_at() -> None:
    access = Asked(Caller("ann", "http", ""), False)
    authenticator = Authenticator(access, origin_check(()))
    with pytest.raises(BadRequest, match="403"):
        await through(authenticator, posted(origin=b"http://evil.example", authorization=b"Bearer x.y"))
    with pytest.raises(ForeignOrigin):
        authenticator.admit("ws", "http://evil.example", "here.example", "192.0.2.1", "Bearer x.y")
    assert access.asked == []
    assert await through(authenticator, posted(origin=b"http://localhost:80", host=b"localhost:80")) == b"body of ann"


def test_lists_in_configuration() -> None:
    assert names(" a;b ;;c") == ("a", "b", "c") and names("") == ()


async def test_only_awaitables_wait() -> None:
    async def later() -> int:
        return 1

    answer = later()
    assert waits(answer) and await answer == 1
    assert not any(waits(value) for value in (None, 1, "x", b"", [], {}, (), object()))
