# SPDX-License-Identifier: GPL-2.0-or-later
"""The conf syntax of spec core.md §1, line by line, and that any text gives keys or ConfigError."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from di.kernel.config import ConfigFile, parse
from di.kernel.errors import ConfigError


def keys(text: str, files: dict[str, str] | None = None) -> dict[str, str]:
    """Parse a text with included files given by name; returns key → value."""
    return {key: entry.value for key, entry in parsed(text, files).entries.items()}


def parsed(text: str, files: dict[str, str] | None = None) -> ConfigFile:
    conf = ConfigFile("test.conf")

    def load(path: Path) -> str:
        try:
            return (files or {})[str(path)]
        except KeyError:
            raise ConfigError(str(path), 0, "", "cannot be read") from None

    parse(text, conf, Path("/inc"), load)
    return conf


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("k=v", "v"),
        ("k = v", "v"),
        ("k\t=\tv\r", "v"),
        ("  k=v  ", "v"),
        ("k=v # comment", "v"),
        ("k=v#comment", "v"),
        ("k=", ""),
        ("k= # nothing", ""),
        ('k="a value"', "a value"),
        ('k="a # b"', "a # b"),
        ('k="a value" # comment', "a value"),
        (r'k="say \"yes\""', r"say \"yes\""),
        ('k=""', ""),
        (r'k="a\b"', r"a\b"),
        ("k=a;b;c", "a;b;c"),
        ("k=$(mapping)", "$(mapping)"),
        ("k=^x=>y", "^x=>y"),
        ("k=a;b;\\\n  c;d", "a;b;c;d"),
        ("k=a; \\\r\n\tb", "a;b"),
        ("k=\\\na\\\nb # comment", "ab"),
        ('k="a \\\n b"', "ab"),
        ("# comment \\\nk=v", "v"),
    ],
)
def test_value(line: str, value: str) -> None:
    assert keys(line) == {"k": value}


@pytest.mark.parametrize(
    "line",
    [
        "novalue",
        "= v",
        r'k="a\"',
        r'k="a\"b',
        'k="open',
        'k="a" b',
        "k=a b",
        '"k"=v',
        "@",
        "@nowhere.conf",
    ],
)
def test_syntax_error_names_file_and_line(line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parsed(f"# first\n{line}\n")
    assert str(caught.value).startswith("test.conf:2")


def test_comments_and_empty_lines_are_nothing() -> None:
    assert keys("# a\n\n   \n\t# b\n") == {}


def test_last_of_a_duplicate_wins_and_warns() -> None:
    conf = parsed("k=1\nk=2\n")
    assert conf.entries["k"].value == "2"
    assert conf.entries["k"].line == 2
    assert len(conf.warnings) == 1
    assert "k is set again" in conf.warnings[0]


def test_include_keeps_the_file_of_a_key() -> None:
    conf = parsed("a=1\n@more.conf\nb=2\n", {"/inc/more.conf": "\nc=3\n"})
    assert (conf.entries["c"].file, conf.entries["c"].line) == ("/inc/more.conf", 2)
    assert list(conf.entries) == ["a", "c", "b"]


def test_plugin_config_path_counts_at_once_and_gets_a_slash() -> None:
    conf = parsed("plugin_config_path=/other\n@more.conf\n", {"/other/more.conf": "k=v"})
    assert conf.entries["k"].value == "v"
    assert conf.entries["plugin_config_path"].value == "/other/"


def test_a_file_that_includes_itself_is_an_error() -> None:
    with pytest.raises(ConfigError, match="include itself"):
        parsed("@a.conf", {"/inc/a.conf": "@a.conf"})


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        ConfigFile.read(tmp_path / "none.conf")


LINES = st.text(alphabet=st.sampled_from('ab= \t#"\\@;\r\n$(x)é\0'), max_size=60)


@given(st.one_of(LINES, st.text(max_size=200)))
def test_any_text_gives_keys_or_config_error(text: str) -> None:
    try:
        conf = parsed(text)
    except ConfigError as error:
        assert error.line >= 1
        return
    for key, entry in conf.entries.items():
        assert key
        assert "\n" not in entry.value
        assert entry.line >= 1


NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,12}", fullmatch=True).filter(lambda name: name != "plugin_config_path")
VALUES = st.text(alphabet=st.characters(blacklist_characters='"\r\n\\', blacklist_categories=("Cs",)), max_size=30)


@given(st.dictionaries(NAMES, VALUES, max_size=8))
def test_what_is_written_quoted_is_read_back(values: dict[str, str]) -> None:
    assert keys("\n".join(f'{key} = "{value}" # note' for key, value in values.items())) == values
