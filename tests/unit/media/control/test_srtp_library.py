# SPDX-License-Identifier: GPL-2.0-or-later
"""Which libsrtp is loaded: our own build, else the system's, else none."""

from __future__ import annotations

import pytest

from media.control import srtp_library


def test_our_own_is_preferred_and_neither_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def load(there: str) -> object:
        def open_library(name: str) -> str:
            asked.append(name)
            if name != there:
                raise OSError(name)
            return name

        asked.clear()
        monkeypatch.setattr(srtp_library.ctypes, "CDLL", open_library)
        return srtp_library.load()

    assert load(srtp_library.OWN) == srtp_library.OWN and asked == [srtp_library.OWN]
    assert load(srtp_library.NAME) == srtp_library.NAME and asked == [srtp_library.OWN, srtp_library.NAME]
    assert load("") is None
