# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import asyncio
import base64
import os
import threading
from collections.abc import Awaitable
from pathlib import Path

import pytest

from di.access import Access, is_loopback
from di.access import file as access_file
from di.access.file import hash_secret, new_token, rewrite
from di.access.options import AccessOptions
from di.access.rules import Unauthenticated
from di.kernel.errors import ConfigError, Forbidden
from di.kernel.registry import Caller, Registry, di_method

AWAY = "192.0.2.7"
TOKEN, TOKEN_HASH = new_token("panel")
PASSWORD_HASH = hash_secret("correct horse")
LINES = [f"token panel operator {TOKEN_HASH}", f"user alice admin {PASSWORD_HASH}", f"token viewer reader {TOKEN_HASH}"]
ALICE = "Basic " + base64.b64encode(b"alice:correct horse").decode()


class Module:
    @di_method("get", changes=False)
    def get(self) -> int:
        """Read."""
        return 1

    @di_method("kick")
    def kick(self, who: str) -> int:
        """Change."""
        return 2

    @di_method("load", dangerous=True)
    def load(self, path: str) -> int:
        """Dangerous."""
        return 3


class Clock:
    now_ns = 10**12

    def __call__(self) -> int:
        return self.now_ns


class Place:
    """An access file in a folder, and what reads it."""

    def __init__(self, folder: Path, lines: list[str] | None, options: AccessOptions | None = None) -> None:
        self.path = folder / "access.secrets"
        self.clock = Clock()
        self.registry = Registry()
        self.registry.register("m", Module())
        if lines is not None:
            rewrite(self.path, lines)
        self.access = Access(self.path, options or AccessOptions(), self.registry, self.clock)

    async def login(self, header: str, source: str = AWAY, transport: str = "http") -> Caller:
        answer = self.access.authenticate(transport, source, header)
        return await answer if isinstance(answer, Awaitable) else answer

    def may(self, caller: Caller) -> str:
        """The methods of `m` that a caller may call, as initials."""
        done = ""
        for method, args in (("get", []), ("kick", ["x"]), ("load", ["x"])):
            try:
                self.registry.invoke("m", method, args, caller)
            except Forbidden:
                continue
            done += method[0]
        return done


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, LINES)


async def test_without_a_file_loopback_is_open_and_nothing_else(tmp_path: Path) -> None:
    place = Place(tmp_path, None)
    assert not place.access.restricted
    for source in ("127.0.0.1", "::1", "127.8.8.8", ""):
        assert place.may(await place.login("", source)) == "gkl"
    with pytest.raises(Unauthenticated):
        await place.login("", AWAY)
    with pytest.raises(Unauthenticated):
        await place.login(f"Bearer {TOKEN}", AWAY)


async def test_roles_decide(place: Place) -> None:
    assert place.may(await place.login(f"Bearer {TOKEN}")) == "gk"
    assert place.may(await place.login(ALICE)) == "gkl"
    viewer = TOKEN.replace("panel", "viewer")
    assert place.may(await place.login(f"Bearer {viewer}")) == "g"
    caller = await place.login(f"Bearer {TOKEN}", AWAY, "ws")
    assert (caller.name, caller.transport, caller.source) == ("panel", "ws", AWAY)


async def test_with_a_file_loopback_has_to_log_in_too(place: Place) -> None:
    with pytest.raises(Unauthenticated, match="credentials are needed"):
        await place.login("", "127.0.0.1")


async def test_anonymous_callers_of_a_transport(tmp_path: Path) -> None:
    place = Place(tmp_path, ["anonymous stats reader"])
    assert place.may(await place.login("", AWAY, "stats")) == "g"
    with pytest.raises(Unauthenticated):
        await place.login("", AWAY, "http")


@pytest.mark.parametrize(
    "header", ["Bearer panel.wrong", "Bearer nobody.wrong", "Basic !", "Nonsense", "Bearer viewer." + "x" * 43]
)
async def test_wrong_credentials(place: Place, header: str) -> None:
    with pytest.raises(Unauthenticated, match="wrong credentials") as caught:
        await place.login(header)
    assert caught.value.status == 401
    assert place.access.failures == 1


async def test_unknown_names_cost_a_check_too(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str] = []
    real = access_file.verify_secret
    monkeypatch.setattr(access_file, "verify_secret", lambda secret, hashed: checked.append(hashed) or real(secret, hashed))
    for name in ("panel", "nobody"):
        with pytest.raises(Unauthenticated):
            await place.login(f"Bearer {name}.wrong")
    assert [h.split(":")[0] for h in checked] == ["sha256", "scrypt", "scrypt"], "a wrong secret takes as long as an unknown name"


async def test_a_good_credential_is_checked_once_and_off_the_loop(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []
    real = access_file.verify_secret
    monkeypatch.setattr(access_file, "verify_secret", lambda s, h: threads.append(threading.get_ident()) or real(s, h))
    await place.login(ALICE)
    assert isinstance(place.access.authenticate("http", AWAY, ALICE), Caller)
    assert isinstance(place.access.authenticate("ws", "127.0.0.1", ALICE), Caller)
    assert len(threads) == 1 and threads[0] != threading.get_ident()
    assert b"correct horse" not in repr(place.access.__dict__).encode()


BOB = "Basic " + base64.b64encode(b"bob:correct horse").decode()


async def guess(place: Place, what: str, times: int = 5) -> None:
    for number in range(times):
        with pytest.raises(Unauthenticated, match="wrong"):
            await place.login(f"{what}{number}")


async def test_guessing_locks_a_source_out_but_nobody_else(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    rewrite(place.path, [*LINES, f"user bob admin {PASSWORD_HASH}"])
    place.clock.now_ns += 2 * 10**9
    await place.login(ALICE)
    await guess(place, "Bearer panel.")
    with pytest.raises(Unauthenticated, match="locked out") as caught:
        await place.login(BOB)
    assert caught.value.retry_after_s == 60
    with pytest.raises(Unauthenticated, match="locked out"):
        await place.login("Bearer panel.5")
    assert (await place.login(BOB, "192.0.2.8")).name == "bob"
    assert (await place.login(ALICE)).name == "alice", "who was known before can go on"
    place.clock.now_ns += 60 * 10**9
    assert (await place.login(BOB)).name == "bob"
    assert caplog.text.count("login failed source=192.0.2.7 transport=http name=panel") == 5
    assert "panel.0" not in caplog.text


@pytest.mark.parametrize("made", ["now", "before, with a slow hash"])
async def test_a_good_token_passes_for_the_first_time_from_where_others_guess(tmp_path: Path, made: str) -> None:
    hashed = TOKEN_HASH if made == "now" else hash_secret(TOKEN.partition(".")[2])
    place = Place(tmp_path, [f"token panel operator {hashed}", f"user alice admin {PASSWORD_HASH}"])
    await guess(place, "Bearer nobody.")
    with pytest.raises(Unauthenticated, match="locked out"):
        await place.login(ALICE)
    assert (await place.login(f"Bearer {TOKEN}")).name == "panel"


async def test_a_good_token_passes_though_its_address_sends_too_much(tmp_path: Path) -> None:
    place = Place(tmp_path, LINES, AccessOptions(requests_per_s=5))
    for _ in range(10):
        with pytest.raises(Unauthenticated, match="needed"):
            await place.login("")
    with pytest.raises(Unauthenticated, match="too many requests"):
        await place.login("")
    assert (await place.login(f"Bearer {TOKEN}")).name == "panel"
    for _ in range(9):
        await place.login(f"Bearer {TOKEN}")
    with pytest.raises(Unauthenticated, match="too many requests"):
        await place.login(f"Bearer {TOKEN}")  # it has a limit of its own


async def test_addresses_of_those_who_have_logged_in_are_known(place: Place) -> None:
    assert not place.access.knows(AWAY)
    await guess(place, "Bearer nobody.", 1)
    assert not place.access.knows(AWAY)
    await place.login(f"Bearer {TOKEN}")
    assert place.access.knows(AWAY) and not place.access.knows("192.0.2.8")


async def test_a_volley_of_guesses_gets_no_more_tries_than_a_queue(place: Place) -> None:
    answers = []
    for number in range(50):
        try:
            answers.append(place.access.authenticate("http", AWAY, f"Bearer panel.{number}"))
        except Unauthenticated:
            continue
        await asyncio.sleep(0)
    results = await asyncio.gather(
        *(asyncio.ensure_future(a) for a in answers if isinstance(a, Awaitable)), return_exceptions=True
    )
    assert all(isinstance(r, Unauthenticated) for r in results)
    assert place.access.failures <= 6


async def test_rate_limit_is_for_others_than_this_machine(tmp_path: Path) -> None:
    place = Place(tmp_path, ["anonymous stats reader"], AccessOptions(requests_per_s=5))
    with pytest.raises(Unauthenticated) as caught:
        for _ in range(11):
            await place.login("", AWAY, "stats")
    assert caught.value.status == 429
    for _ in range(100):
        await place.login("", "127.0.0.1", "stats")


async def test_a_new_file_counts_within_a_second(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    place = Place(tmp_path, None)
    await place.login("", "127.0.0.1")
    rewrite(place.path, LINES)
    place.clock.now_ns += 2 * 10**9
    with pytest.raises(Unauthenticated):
        await place.login("", "127.0.0.1")
    assert (await place.login(ALICE)).name == "alice"
    rewrite(place.path, LINES[:1])
    place.clock.now_ns += 2 * 10**9
    with pytest.raises(Unauthenticated):
        await place.login(ALICE)


async def test_a_removed_or_broken_file_opens_nothing(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    place.path.write_text("nonsense\n")
    place.clock.now_ns += 2 * 10**9
    with pytest.raises(Unauthenticated):
        await place.login("", "127.0.0.1")
    assert "the rules read before stay" in caplog.text
    place.path.unlink()
    place.clock.now_ns += 2 * 10**9
    with pytest.raises(Unauthenticated):
        await place.login("", "127.0.0.1")
    assert (await place.login(ALICE)).name == "alice"


async def test_a_broken_first_file_shuts_the_door(tmp_path: Path) -> None:
    place = Place(tmp_path, None)
    await place.login("", "127.0.0.1")
    rewrite(place.path, ["nonsense"])
    place.clock.now_ns += 2 * 10**9
    with pytest.raises(Unauthenticated):
        await place.login("", "127.0.0.1")


async def test_a_withdrawn_credential_ends_open_connections_too(place: Place) -> None:
    caller = await place.login(f"Bearer {TOKEN}")
    assert place.may(caller) == "gk"
    rewrite(place.path, LINES[1:])
    place.clock.now_ns += 2 * 10**9
    assert place.may(caller) == ""


async def test_a_broken_file_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is none of"):
        Place(tmp_path, ["nonsense here"])


async def test_denials_are_logged(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    place.may(await place.login(f"Bearer {TOKEN}"))
    assert "denied caller=panel transport=http source=192.0.2.7 call='m.load'" in caplog.text


@pytest.mark.parametrize(
    ("ip", "local"),
    [
        *[(ip, True) for ip in ("127.0.0.1", "127.1.2.3", "::1", "localhost", "::ffff:127.0.0.1")],
        *[(ip, False) for ip in ("0.0.0.0", "::", "", "192.0.2.1", "10.0.0.1", "host", "::ffff:192.0.2.1")],
    ],
)
def test_addresses_of_this_machine(ip: str, local: bool) -> None:
    assert is_loopback(ip) == local


def test_where_one_may_listen(tmp_path: Path) -> None:
    open_place = Place(tmp_path, None)
    open_place.access.check_bind("127.0.0.1", "server_ip", "f", 3)
    for ip in ("0.0.0.0", "", "192.0.2.1", "::"):
        with pytest.raises(
            ConfigError, match=r"f:3: server_ip: .*nobody would have to log in; use 127.0.0.1, or run `cordboard token"
        ):
            open_place.access.check_bind(ip, "server_ip", "f", 3)
    place = Place(tmp_path, [*LINES, "anonymous stats reader"])
    place.access.check_bind("0.0.0.0", "server_ip", "f", 3)
    place.access.check_bind("0.0.0.0", "monit_udp_ip", "etc/stats.conf", 3, transport="stats")
    place.access.check_bind("127.0.0.1", "server_ip", "etc/web.conf", 3)
    assert place.access.exposed == ["f at 0.0.0.0", "stats at 0.0.0.0"] and not open_place.access.exposed
    with pytest.raises(ConfigError, match="cannot carry credentials"):
        place.access.check_bind("0.0.0.0", "server_ip", "f", 3, transport="netstring")


def test_load_reads_the_configuration_folder(tmp_path: Path) -> None:
    rewrite(tmp_path / "my.secrets", LINES)
    (tmp_path / "access.conf").write_text("access_file=my.secrets\nlockout_failures=2\n")
    registry = Registry()
    assert Access.load(tmp_path, {}, registry).restricted
    assert len(registry.observers) == 1
    assert not Access.load(tmp_path, {"CORDBOARD_ACCESS_ACCESS_FILE": os.devnull + "x"}, registry).restricted


async def test_denials_by_the_thousand_are_a_few_lines(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    caller = await place.login(f"Bearer {TOKEN}")
    for _ in range(1000):
        assert not caller.allows("m", "load")
    assert sum("denied caller" in line for line in caplog.messages) == 10
