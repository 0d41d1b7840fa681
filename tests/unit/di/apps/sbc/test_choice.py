# SPDX-License-Identifier: GPL-2.0-or-later
"""Which profile a request gets."""

from __future__ import annotations

import pytest

from di.apps.api import PatternValues
from di.apps.sbc.choice import choose, literal

VALUES = PatternValues(
    request_uri="sip:gold@here", from_header="<sip:a@home.example>", headers=(("P-App-Param", "profile=silver;x=y"), ("X-Class", "lead")),
)  # fmt: skip


@pytest.mark.parametrize(
    ("active", "name"),
    [
        (("$(paramhdr)", "plain"), "silver"),
        (("$(ruri.user)",), "gold"),
        (("$H(X-Class)", "plain"), "lead"),
        (("$H(X-None)", "plain"), "plain"),
        (("of_$fh",), "of_home.example"),
        (("plain", "$(paramhdr)"), "plain"),
        (("$H(X-None)",), ""),
        ((), ""),
    ],
)
def test_the_first_that_gives_something(active: tuple[str, ...], name: str) -> None:
    assert choose(active, VALUES) == name


def test_names_among_the_entries() -> None:
    assert literal(("$(paramhdr)", "one", "$H(x)", "two", "a\\x")) == ["one", "two"]
