# SPDX-License-Identifier: GPL-2.0-or-later
"""Text lists: what a line may be, and where an error is said to be."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from di.kernel.errors import ConfigError
from di.spoken.texts import Sentence, languages_in, parse_sentences, read_sentences


def test_a_list() -> None:
    text = "# a comment\n\nyou_have =  You have \r\nannrecorder/welcome = Welcome = hello\nbeep = ~1000:150 0:50\n"
    assert parse_sentences(text, "en.txt") == {
        "you_have": Sentence("you_have", "You have"),
        "annrecorder/welcome": Sentence("annrecorder/welcome", "Welcome = hello"),
        "beep": Sentence("beep", "~1000:150 0:50", ((1000, 150), (0, 50))),
    }


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("you have", "en.txt:2: "),
        ("= text", "en.txt:2: "),
        ("name =", "en.txt:2: name"),
        ("../x = out", "en.txt:2: "),
        ("a/b/c = deep", "en.txt:2: "),
        (".hidden = x", "en.txt:2: "),
        ("first = again", "line 1"),
        ("beep = ~", "followed by tones"),
        ("beep = ~1000", "no tone"),
        ("beep = ~9000:10", "no tone"),
        ("beep = ~440:0", "no tone"),
        (f"long = {'x' * 3000}", "at most"),
        ("bell = a\x07b", "control characters"),
    ],
)
def test_a_bad_line(line: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_sentences(f"first = one\n{line}\n", "en.txt")
    assert said in str(caught.value)


@given(st.text())
def test_any_text_gives_sentences_or_that_error(text: str) -> None:
    try:
        found = parse_sentences(text, "any.txt")
    except ConfigError:
        return
    for name, sentence in found.items():
        assert name == sentence.name and ".." not in name and sentence.text.strip()


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read_sentences(tmp_path / "fr.txt")
    assert "fr.txt" in str(caught.value) and "list of sentences" in str(caught.value)
    (tmp_path / "de.txt").write_text("und = und\n")
    assert list(languages_in(tmp_path)) == ["de"]
