# SPDX-License-Identifier: GPL-2.0-or-later
"""Typed options: conversion, limits, environment, unknown keys, and where a value came from."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from di.kernel.config import ConfigFile, parse
from di.kernel.errors import ConfigError
from di.kernel.options import REQUIRED, further_keys, load, option, variable, where


def _even(text: str) -> int:
    if not text.isdigit() or int(text) % 2:
        raise ValueError("right is an even number")
    return int(text)


@dataclass(frozen=True)
class Options:
    IGNORED: ClassVar[tuple[str, ...]] = ("old_*",)
    port: int = option(5060, help="Port.", minimum=1, maximum=65535)
    name: str = option("x", help="Name.")
    on: bool = option(False, help="Switch.")
    share: float = option(0.5, help="Share.", maximum=1)
    kind: str = option("a", help="Kind.", choices=("a", "b"))
    even: int = option(2, help="Even.", parse=_even)
    renamed: str = option("", help="Renamed.", key="100rel")
    secret: str = option("", help="Secret.", secret=True, choices=("", "s3cret"))
    pins: dict[str, str] = further_keys("pin*", help="Pins.")


def read(text: str, environ: dict[str, str] | None = None) -> Options:
    conf = ConfigFile("mod.conf")
    parse(text, conf, Path("/"), lambda path: "")
    return load(Options, conf, environ or {})


def test_defaults() -> None:
    assert read("") == Options()


def test_values() -> None:
    options = read("port=1\nname=n\non=yes\nshare=0.25\nkind=b\neven=4\n100rel=off\npin0=a\npin1=b")
    assert (options.port, options.name, options.on, options.share, options.kind, options.even) == (1, "n", True, 0.25, "b", 4)
    assert options.renamed == "off"
    assert options.pins == {"pin0": "a", "pin1": "b"}


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("port=0", "from 1 to 65535"),
        ("port=65536", "from 1 to 65535"),
        ("port=", "from 1 to 65535"),
        ("port=0x10", "from 1 to 65535"),
        ("port=99999999999999999999", "from 1 to 65535"),
        ("share=1.5", "a number from 0 to 1"),
        ("share=1e3", "a number from 0 to 1"),
        ("kind=c", "none of: a, b"),
        ("even=3", "right is an even number"),
    ],
)
def test_bad_value_says_what_is_right(line: str, wanted: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(f"# head\n{line}")
    assert str(caught.value).startswith(f"mod.conf:2: {line.split('=', maxsplit=1)[0]}: ")
    assert wanted in str(caught.value)


def test_a_secret_is_not_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        read("secret=hunter2")
    assert "hunter2" not in str(caught.value)


def test_only_yes_is_true_and_odd_words_warn(caplog: pytest.LogCaptureFixture) -> None:
    assert not read("on=true").on
    assert "only `yes` switches it on" in caplog.text
    caplog.clear()
    assert not read("on=no").on
    assert caplog.text == ""


def test_environment_overrides_the_file() -> None:
    options = read("port=1", {"CORDBOARD_MOD_PORT": "2"})
    assert options.port == 2
    assert where(options, "port") == ("environment variable CORDBOARD_MOD_PORT", 0)
    with pytest.raises(ConfigError, match="CORDBOARD_MOD_PORT"):
        read("", {"CORDBOARD_MOD_PORT": "x"})


@pytest.mark.parametrize(("module", "name"), [("sems", "CORDBOARD_100REL"), ("web", "CORDBOARD_WEB_100REL")])
def test_variable(module: str, name: str) -> None:
    assert variable(module, "100rel") == name


def test_unknown_key_warns_with_the_nearest(caplog: pytest.LogCaptureFixture) -> None:
    read("prot=1")
    assert "mod.conf:1: unknown key prot is ignored; did you mean port?" in caplog.text


def test_known_key_without_effect_does_not_warn(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        read("old_thing=1")
    assert [record.levelname for record in caplog.records] == ["INFO"]


def test_where() -> None:
    options = read("\nport=1")
    assert where(options, "port") == ("mod.conf", 2)
    assert where(options, "name") == ("mod.conf", 0)


def test_required() -> None:
    @dataclass(frozen=True)
    class Needs:
        ip: str = option(REQUIRED, help="The address.")

    with pytest.raises(ConfigError, match=r"mod.conf: ip: is missing; it is required: The address\."):
        load(Needs, ConfigFile.empty("mod.conf"), {})
