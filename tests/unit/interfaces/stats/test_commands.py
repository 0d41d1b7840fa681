# SPDX-License-Identifier: GPL-2.0-or-later
"""Dialogues with the statistics server: command and answer, as spec core.md §10.3 has them."""

from __future__ import annotations

from collections.abc import Awaitable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from di.kernel import logs
from di.kernel.errors import CallFailed
from di.kernel.registry import Caller, di_method
from di.kernel.value import Value
from interfaces.stats.commands import MAX_ANSWER_BYTES, Commands, reply_bytes, request_line
from tests.support.bare_hub import HandClock, bare_services

HERE = Caller("anyone", "stats", "127.0.0.1")


class Module:
    @di_method("echo", changes=False)
    def echo(self, *args: Value) -> list[Value]:
        """Return the arguments."""
        return list(args)

    @di_method("number", changes=False)
    def number(self, n: int) -> int:
        """Take a number."""
        return n

    @di_method("fail")
    def fail(self, how: str) -> None:
        """Fail."""
        raise CallFailed("no such thing") if how == "call" else RuntimeError("broken")

    @di_method("wait")
    async def wait(self) -> dict[str, Value]:
        """Answer later."""
        return {"b": 1, "a": "x"}


class Talk:
    def __init__(self) -> None:
        self.services, self.clock = bare_services()
        self.services.registry.register("m", Module())
        self.commands = Commands(self.services.registry, "cordboard 0.1")

    def __call__(self, line: str, caller: Caller = HERE) -> str:
        answer = self.commands.execute(line, caller)
        assert isinstance(answer, str)
        return answer


@pytest.fixture
def talk() -> Talk:
    return Talk()


FRESH = [
    ("calls", "Active calls: 0\n"),
    ("get_sessioncount", "sessioncount is 0.\n"),
    ("get_callsavg", "Average active calls: 0\n"),
    ("get_callsmax", "Maximum active calls: 0\n"),
    ("get_cpsavg", "Average calls per second: 0\n"),
    ("get_cpsmax", "Maximum calls per second: 0\n"),
    ("get_cpslimit", "CPS hard limit: 0, CPS limit: 0\n"),
    ("get_shutdownmode", "Shutdownmode inactive!\n"),
    ("get_rtp_mux_mtu_threshold", "rtp_mux_mtu_threshold=1200\n"),
    ("get_rtp_mux_max_frame_age_ms", "rtp_mux_max_frame_age_ms=60\n"),
    ("version", "cordboard 0.1\n"),
    ("dump_transactions", "200 OK"),
    ("nonsense", "Unknown command: 'nonsense'\n"),
    ("", "Unknown command: ''\n"),
    ("CALLS", "Unknown command: 'CALLS'\n"),
    ("calls ", "Unknown command: 'calls '\n"),
    ("set_nonsense 1", "Unknown set command: 'set_nonsense 1'\n"),
    ("set_cpslimit x", "invalid CPS limit\n"),
    ("set_cpslimit", "invalid CPS limit\n"),
    ("set_cpslimit -1", "invalid CPS limit\n"),
    ("set_loglevel x", "invalid loglevel value.\n"),
    ("set_loglevel 4", "invalid loglevel value.\n"),
    ("set_shutdownmode yes", "invalid shutdownmode\n"),
    ("set_rtp_mux_mtu_threshold x", "invalid rtp_mux_mtu_threshold\n"),
    ("set_rtp_mux_max_frame_age_ms", "invalid rtp_mux_max_frame_age_ms\n"),
    ("DI", "could not parse DI factory name.\n"),
    ("DI ", "could not parse DI factory name.\n"),
    ("DI m", "could not parse function name.\n"),
    ("DI m ", "could not parse function name.\n"),
    ("DI m echo", "[]"),
    ("DI m echo 1 two", "['1', 'two']"),
    ("DI m echo ", "[]"),
    ("DI m echo a  b", "['a', '', 'b']"),
    ("DI m number 5", "Exception occured.\n"),
    ("DI m number", "Exception occured.\n"),
    ("DI m nothing", "Exception occured: AmDynInvoke::NotImplemented 'nothing'\n"),
    ("DI none echo", "could not get 'none' factory\n"),
    ("DI m fail call", "Exception occured: no such thing\n"),
    ("DI m fail other", "Exception occured: broken\n"),
    ("DI m _list", "['echo', 'number', 'fail', 'wait']"),
]


@pytest.mark.parametrize(("line", "answer"), FRESH)
def test_answers_of_a_fresh_server(talk: Talk, line: str, answer: str) -> None:
    assert talk(line) == answer


def test_set_and_get(talk: Talk) -> None:
    assert talk("set_cpslimit 7") == "CPS limit set to 7.\n"
    assert talk("get_cpslimit") == "CPS hard limit: 7, CPS limit: 7\n"
    assert talk("set_shutdownmode 1") == "Shutdownmode activated!\n"
    assert talk("get_shutdownmode") == "Shutdownmode active!\n"
    assert talk("set_shutdownmode 0") == "Shutdownmode deactivated!\n"
    assert talk("set_rtp_mux_mtu_threshold 900") == "rtp_mux_mtu_threshold=900\n"
    assert talk("get_rtp_mux_mtu_threshold") == "rtp_mux_mtu_threshold=900\n"


def test_loglevel(talk: Talk) -> None:
    before = logs.level()
    try:
        assert talk("set_loglevel 1") == "loglevel set to 1.\n"
        assert talk("get_loglevel") == "loglevel is 1.\n"
        assert talk("set_loglevel error") == "loglevel set to 0.\n"
    finally:
        logs.set_level(before)


def test_counters_count(talk: Talk) -> None:
    limits, clock = talk.services.sessions.limits, talk.clock
    assert isinstance(clock, HandClock)
    for _ in range(11):
        limits.begin(clock.now_ns())
    limits.end(clock.now_ns())
    assert talk("get_sessioncount") == "sessioncount is 11.\n"
    assert talk("get_callsmax") == "Maximum active calls: 11\n"
    assert talk("get_callsmax") == "Maximum active calls: 10\n"
    assert talk("get_cpsavg") == "Average calls per second: 2\n"


def test_which_names_every_command(talk: Talk) -> None:
    text = talk("which")
    for line, _ in FRESH[:12]:
        assert line.split()[0] in text


async def test_an_answer_that_has_to_be_waited_for(talk: Talk) -> None:
    answer = talk.commands.execute("DI m wait", HERE)
    assert isinstance(answer, Awaitable)
    assert await answer == "{'a': 'x', 'b': 1}"


def test_permission_is_asked_for_every_command(talk: Talk) -> None:
    reader = Caller("r", "stats", "x", lambda module, method: method in ("calls", "get_cpslimit", "echo"))
    allowed = {"calls", "get_cpslimit", "get_rtp_mux_mtu_threshold", "get_rtp_mux_max_frame_age_ms", "DI m echo 1"}
    for line in [line for line, _ in FRESH[:9]] + ["DI m echo 1", "DI m fail call", "set_cpslimit 5", "set_shutdownmode 1"]:
        denied = talk(line, reader).startswith("Exception occured: not allowed: ")
        assert denied == (line not in allowed), line
    assert talk("set_rtp_mux_mtu_threshold 5", reader) == "Exception occured: not allowed: core.set_rtp_mux_mtu_threshold\n"
    assert talk("get_cpslimit") == "CPS hard limit: 0, CPS limit: 0\n"


@pytest.mark.parametrize(
    ("datagram", "line"),
    [
        (b"calls", "calls"),
        (b"calls\n", "calls"),
        (b"calls\r\nmore", "calls"),
        (b"calls\0\0", "calls"),
        (b"", ""),
        (b"\xff", "\udcff"),
    ],
)
def test_the_first_line_is_the_command(datagram: bytes, line: str) -> None:
    assert request_line(datagram) == line


def test_answers_end_with_a_nul_and_fit(talk: Talk) -> None:
    assert reply_bytes("x\n") == b"x\n\0"
    assert reply_bytes("x" * MAX_ANSWER_BYTES) == b"x" * MAX_ANSWER_BYTES + b"\0"
    assert b"does not fit" in reply_bytes("x" * (MAX_ANSWER_BYTES + 1))


COMMAND_WORDS = st.sampled_from(
    ["DI", "m", "echo", "calls", "set_", "set_cpslimit", "monitoring", "core", "9" * 30, "-1", "\0", "\n"]
)


@given(st.binary(max_size=200) | st.lists(COMMAND_WORDS).map(lambda words: " ".join(words).encode()))
def test_any_datagram_has_an_answer(datagram: bytes) -> None:
    """Invariant: any bytes give an answer that ends with one NUL."""
    answer = Talk().commands.execute(request_line(datagram), HERE)
    assert isinstance(answer, str)
    assert reply_bytes(answer).endswith(b"\0")
