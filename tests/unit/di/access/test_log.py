# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from di.access.log import audit, show_value
from di.kernel.registry import Caller, RawArgs, Registry, di_method
from di.kernel.value import LongLong, Value

PANEL = Caller("panel", "jsonrpc", "192.0.2.7")


class Module:
    @di_method("read", changes=False)
    def read(self, room: str) -> None:
        """Read."""

    @di_method("dial")
    def dial(self, user: str, password: str, uri: str, timeout: int = 0, *rest: Value) -> None:
        """Change."""

    @di_method("raw")
    def raw(self, args: RawArgs) -> None:
        """Change, with arguments as they come."""


@pytest.fixture
def registry(caplog: pytest.LogCaptureFixture) -> Registry:
    caplog.set_level(logging.INFO, "cordboard.audit")
    registry = Registry()
    registry.register("m", Module())
    registry.observers.append(audit)
    return registry


def test_a_changing_call_is_one_line_without_secrets(registry: Registry, caplog: pytest.LogCaptureFixture) -> None:
    registry.invoke("m", "dial", ["bob", "hunter2", "sip:bob:hunter3@example.org", 5, "hunter4", ["hunter5"]], PANEL)
    (record,) = caplog.records
    assert record.getMessage() == (
        "audit caller=panel transport=jsonrpc source=192.0.2.7 call=m.dial"
        " user='bob' password=*** uri='sip:bob:***@example.org' timeout=5 and 2 more"
    )


def test_named_arguments_look_the_same(registry: Registry, caplog: pytest.LogCaptureFixture) -> None:
    registry.invoke("m", "dial", {"uri": "sip:x", "password": "hunter2", "user": "bob"}, PANEL)
    assert "user='bob' password=*** uri='sip:x' timeout=0" in caplog.text


def test_reading_inside_calls_and_raw_arguments(registry: Registry, caplog: pytest.LogCaptureFixture) -> None:
    registry.invoke("m", "read", ["room"], PANEL)
    registry.invoke("m", "dial", ["bob", "x", "y"])
    assert not caplog.records
    registry.invoke("m", "raw", ["hunter2"], PANEL)
    assert caplog.records[0].getMessage().endswith("call=m.raw")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a\nb\x1b[2J", r"'a\nb\x1b[2J'"),
        ("é", r"'\xe9'"),
        (b"secret", "<bytes of 6>"),
        ([1, "secret"], "<list of 2>"),
        ({"secret": 1}, "<dict of 1>"),
        (LongLong(7), "7"),
        (None, "None"),
        (True, "True"),
        (object(), "<object>"),
    ],
)
def test_values_are_shown_safely(value: Value, shown: str) -> None:
    assert show_value("x", value) == shown


@pytest.mark.parametrize("name", ["password", "adminpin", "PIN", "auth_pwd", "token", "secret", "api_key", "authorization"])
def test_names_that_sound_like_a_secret(name: str) -> None:
    assert show_value(name, "hunter2") == "***"


@given(st.text(max_size=400))
def test_any_text_is_one_short_printable_line(text: str) -> None:
    shown = show_value("x", text)
    assert len(shown) <= 80 and shown.isascii() and shown.isprintable()
