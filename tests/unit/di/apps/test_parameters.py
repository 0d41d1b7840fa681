# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys of P-App-Param, and the older headers only where there is none."""

from __future__ import annotations

import pytest

from di.apps.parameters import parameter


@pytest.mark.parametrize(
    ("headers", "value"),
    [
        ((("P-App-Param", "lng=de;x=1"),), "de"),
        ((("p-app-param", "Language=fr"),), "fr"),
        ((("P-App-Param", "lng=de;Language=fr"),), "de"),
        ((("P-App-Param", "x=1"), ("P-Language", "it")), None),
        ((("P-App-Param", "lng="),), None),
        ((("P-Language", "it"),), "it"),
        ((), None),
    ],
)
def test_where_it_comes_from(headers: tuple[tuple[str, str], ...], value: str | None) -> None:
    assert parameter(headers, "lng", "Language") == value
