# SPDX-License-Identifier: GPL-2.0-or-later
"""Which family of addresses the audio of a dialled call gets."""

from __future__ import annotations

import pytest

from di.calls.dialling import over_ipv6


@pytest.mark.parametrize(
    ("host", "media_ips", "expected"),
    [
        ("[::1]", ("127.0.0.1", "::1"), True),
        ("[::1]", ("127.0.0.1", ""), False),
        ("10.0.0.1", ("::1", "127.0.0.1"), False),
        ("10.0.0.1", ("::1", ""), True),
        ("phone.example", ("::1", "127.0.0.1"), True),
        ("phone.example", ("127.0.0.1", "::1"), False),
        ("phone.example", ("", ""), False),
    ],
)
def test_the_family_of_a_dialled_calls_audio(host: str, media_ips: tuple[str, ...], expected: bool) -> None:
    assert over_ipv6(host, media_ips) is expected
