# SPDX-License-Identifier: GPL-2.0-or-later
"""A head that comes again is read once, and means what a reader that never saw it says."""

from __future__ import annotations

import random

import pytest

from interfaces import http1
from interfaces.http1 import BadRequest, HttpRequest, RequestReader

HEADS = [
    b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n",
    b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n",
    b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nAuthorization: Bearer one\r\n\r\n",
    b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nAuthorization: Bearer two\r\n\r\n",
    b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: close\r\n\r\n",
    b"POST /a HTTP/1.1\nHost: x\nContent-Length: 3\n\n",
    b"POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"POST /a HTTP/1.1\r\nContent-Length: 3\r\nX-Long: " + b"y" * 3000 + b"\r\n\r\n",
    b"POST /a HTTP/1.1\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n",
]


def whole(head: bytes) -> bytes:
    """The head with a body."""
    return head + (b"3\r\nabc\r\n0\r\n\r\n" if b"chunked" in head else b"ab" if b"Length: 2" in head else b"abc")


def alone(message: bytes) -> HttpRequest:
    """What a new reader makes of it."""
    reader = RequestReader()
    reader.receive_data(message)
    request = reader.next_request()
    assert request is not None
    return request


@pytest.mark.parametrize("seed", range(20))
def test_heads_that_come_again_mean_the_same(seed: int) -> None:
    rng = random.Random(seed)
    messages = [whole(rng.choice(HEADS)) for _ in range(30)]
    for at in range(1, 30):
        if rng.random() < 0.5:
            messages[at] = messages[at - 1]
    stream, reader, requests = b"".join(messages), RequestReader(), list[HttpRequest]()
    while stream:
        size = rng.randrange(1, 200)
        reader.receive_data(stream[:size])
        stream = stream[size:]
        while (request := reader.next_request()) is not None:
            requests.append(request)
    assert requests == [alone(message) for message in messages]


def test_a_head_that_comes_again_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[bytes] = []
    parse = http1.parse_head

    def counting(head: bytes, max_body_bytes: int) -> tuple[HttpRequest, int]:
        read.append(head)
        return parse(head, max_body_bytes)

    monkeypatch.setattr(http1, "parse_head", counting)
    reader = RequestReader()
    requests = []
    for head in [HEADS[0]] * 5 + [HEADS[2]] * 3 + [HEADS[7]] * 2:
        reader.receive_data(whole(head))
        requests.append(reader.next_request())
    assert len(read) == 1 + 1 + 2, "a long head is not kept"
    assert requests[0] is not requests[1], "who is admitted once is not admitted for good"


def test_what_the_shell_notes_of_one_request_is_not_the_next_ones() -> None:
    reader = RequestReader()
    reader.receive_data(whole(HEADS[2]))
    first = reader.next_request()
    assert first is not None
    first.admitted, first.source = True, "somebody"
    reader.receive_data(whole(HEADS[2]))
    second = reader.next_request()
    assert second == alone(whole(HEADS[2])) and not second.admitted


def test_a_refused_head_is_not_taken_the_second_time() -> None:
    reader = RequestReader()
    for _ in range(2):
        reader.receive_data(b"POST /a HTTP/1.1\r\nContent-Length: x\r\n\r\n")
        with pytest.raises(BadRequest):
            reader.next_request()


def test_an_expected_continue_is_said_each_time() -> None:
    reader = RequestReader()
    for _ in range(2):
        reader.receive_data(HEADS[8])
        assert reader.next_request() is None and reader.wants_continue
        reader.receive_data(b"abc")
        assert reader.next_request() is not None and not reader.wants_continue
