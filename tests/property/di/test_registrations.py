# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever a registrar answers, in whatever order: nothing raises, nothing loops, nothing is left behind."""

from __future__ import annotations

from random import Random

from hypothesis import example, given, settings
from hypothesis import strategies as st

from di.sip.registration.account import RegisterAccount, RegisterPolicy
from di.sip.registration.binding import RegisterReply, RegisterState
from di.sip.registration.book import RegistrationBook
from di.sip.registration.contacts import contacts, granted_s, seconds
from di.sip.registration.pacing import NS, RegisterPace
from tests.support.sizes import size

OURS = "sip:u@127.0.0.1"
_TEXT = st.one_of(
    st.text(max_size=60), st.text('<>";,=sip:u@127.0.0.1expires 90*\\', max_size=60), st.just(f"<{OURS}>;expires=60")
)
_HEADERS = st.lists(
    st.tuples(st.sampled_from(["Contact", "m", "Expires", "Min-Expires", "Retry-After", "X"]), _TEXT), max_size=4
).map(tuple)
_CODES = st.sampled_from([200, 202, 299, 302, 401, 403, 408, 423, 480, 500, 503, 600])
_REPLIES = st.builds(
    RegisterReply, _CODES, st.just("R"), _HEADERS, st.booleans(), st.integers(0, 90), st.sampled_from(["", OURS])
)
_STEPS = st.lists(
    st.one_of(
        _REPLIES,
        st.sampled_from(["refresh", "remove", "lost", "add", "change", "all"]),
        st.integers(0, 4000),
    ),
    max_size=40,
)


@settings(max_examples=size(200), deadline=None)
@given(_HEADERS)
@example((("Contact", '"<' + "," * 2000),))
def test_any_reply_is_read(headers: tuple[tuple[str, str], ...]) -> None:
    granted = granted_s(headers, OURS, 300)
    assert granted is None or 0 <= granted < 2**31
    assert all(value.strip() for value in contacts(headers)) and (seconds(headers, "Expires") or 0) < 2**31


@settings(max_examples=size(200), deadline=None)
@given(_STEPS, st.booleans(), st.integers(0, 2**32))
def test_any_course(steps: list[RegisterReply | str | int], give_up: bool, seed: int) -> None:
    """At most one request is under way for a handle, requests keep their pace, and what was taken back is gone in the end."""
    now_ns, account = 0, RegisterAccount("h", "d", "u")
    every_ns = NS // 10
    book = RegistrationBook(RegisterPolicy(give_up=give_up), RegisterPace(every_ns, 1, 0), Random(seed), lambda: f"c{now_ns}")
    book.add(account, 0)
    under_way, last_ns = [], -every_ns
    for step in steps:
        if isinstance(step, int):
            now_ns += step * NS // 10
        elif isinstance(step, RegisterReply):
            if under_way:
                book.answered(under_way.pop(), step, now_ns)
        elif step == "lost" and under_way:
            book.not_sent(under_way.pop(), now_ns)
        elif step == "refresh":
            book.refresh("h", now_ns)
        elif step == "remove":
            book.remove("h", now_ns)
        elif step == "change":
            book.change(account, now_ns)
        elif step == "add":
            book.add(account, now_ns)
            under_way.clear()
        requests, _ = book.poll(now_ns)
        assert len(requests) <= 1 and len(under_way) + len(requests) <= 1
        if requests:
            assert now_ns - last_ns >= every_ns and requests[0].expires_s >= 0
            last_ns = now_ns
        under_way += requests
        binding = book.find("h")
        assert binding is None or binding.state is not RegisterState.GONE
        assert (book.deadline_ns() is not None) or binding is None or binding.in_flight
    book.remove("h", now_ns)
    for _ in range(4):
        now_ns += 10 * NS
        under_way += book.poll(now_ns)[0]
        if under_way:
            book.answered(under_way.pop(), RegisterReply(200, "OK"), now_ns)
    assert len(book) == 0 and book.poll(now_ns + 10**6 * NS) == ([], []) and book.deadline_ns() is None
