# SPDX-License-Identifier: GPL-2.0-or-later
"""P-App-Param: looked up by key, and as a whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from di.sip import app_params
from tests.unit.di.sip.test_headers import HOSTILE

PARAMS = 'mod=box; Usr = \'a;b\' ;lng=en;snd="x\\"y";flag;two=1=2'


@pytest.mark.parametrize(
    ("name", "long_name", "value"),
    [
        ("mod", "", "box"),
        ("MOD", "", "box"),
        ("usr", "", "a;b"),
        ("snd", "", 'x\\"y'),
        ("l", "lng", "en"),
        ("flag", "", ""),
        ("none", "", ""),
        ("two", "", "1=2"),
    ],
)
def test_keyed_lookup(name: str, long_name: str, value: str) -> None:
    assert app_params.lookup((("p-app-param", PARAMS),), name, long_name) == value


def test_keyed_lookup_splits_at_commas_first_and_reads_one_header() -> None:
    headers = (("P-App-Param", "a=1,b='2,3'"), ("P-App-Param", "c=4"))
    assert app_params.lookup(headers, "b") == "2"
    assert app_params.lookup(headers, "c") == ""


def test_session_map() -> None:
    text = "room=r1;Room='q';bare;two=1=2; enter_room = true"
    assert app_params.session_map((("P-App-Param", text),)) == {"room": "r1", "Room": "'q'", "bare": "", "enter_room": "true"}
    assert app_params.session_map(()) == {}


@given(st.text(max_size=80), st.text(max_size=8))
def test_any_parameters_can_be_read(text: str, name: str) -> None:
    headers = (("P-App-Param", text),)
    assert isinstance(app_params.lookup(headers, name), str)
    assert all("=" not in key for key in app_params.session_map(headers))


@pytest.mark.parametrize("text", HOSTILE)
def test_long_hostile_parameters_are_read_in_linear_time(text: str) -> None:
    """Quadratic reading would take minutes here and run into the test's time limit."""
    app_params.lookup((("P-App-Param", text),), "key")
    app_params.session_map((("P-App-Param", text),))


def test_an_orders_parameter_is_the_first_that_says_something() -> None:
    headers = [("P-App-Param", "usr= ;UserID=1\x0077;dom='shop\ud800.example'")]
    assert app_params.order_param(headers, ("uid", "UserID"), ("usr", "User")) == "177"
    assert app_params.order_param(headers, ("did", "DomainID"), ("dom", "Domain")) == "shop.example"
    assert (
        app_params.order_param(headers, ("usr", "User"), default="ann") == "ann"
        and app_params.order_param([], ("usr", "User")) == ""
    )
