# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import socket
import threading

import pytest

from di.kernel import host_names
from di.kernel.host_names import address_of, is_name


def test_what_is_a_name() -> None:
    assert is_name("media.example") and is_name("localhost") and is_name("7.example.")
    assert not any(is_name(host) for host in ("", "127.0.0.1", "::1", "0.0.0.0"))


async def test_an_address_needs_nobody_and_a_name_its_family() -> None:
    assert await address_of("192.0.2.7", ipv6=False) == "192.0.2.7"
    assert await address_of("localhost", ipv6=False) == "127.0.0.1"
    for name in ("nobody.invalid", "a" * 64 + ".example"):
        with pytest.raises(OSError, match=r"."):
            await address_of(name, ipv6=True)


async def test_a_name_that_nobody_answers_for_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_names, "PATIENCE_S", 0.05)
    gone, answered = threading.Event(), list[bool]()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: answered.append(gone.wait(60)))
    with pytest.raises(OSError, match="no answer within"):
        await address_of("slow.example", ipv6=False)
    assert not answered, "while it is still asked for, the loop goes on"
    gone.set()
