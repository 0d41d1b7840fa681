# SPDX-License-Identifier: GPL-2.0-or-later
"""Expressions are POSIX extended."""

from __future__ import annotations

import pytest

from di.kernel.posix_regex import compile_extended


def test_expressions_are_posix_extended() -> None:
    search = compile_extended("(a|ab)(c|bcd)?")
    assert search("xabcd") == ("abcd", "a", "bcd")  # leftmost longest, not first alternative
    assert search("zzz") is None
    with pytest.raises(ValueError, match="POSIX extended"):
        compile_extended("a{2,1}")
