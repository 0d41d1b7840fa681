# SPDX-License-Identifier: GPL-2.0-or-later
"""The reader: tolerances of spec dsm.md §1 and messages that point."""

from __future__ import annotations

import pytest

from di.dsm.language.errors import GrammarError
from di.dsm.language.model import For, If
from tests.support.dsm_scripts import load, read

TWO = "initial state A; state B; "


@pytest.mark.parametrize(
    "arc",
    [
        "A -> B", "A --> B", "A - -> B", "A - / -> B", "A -/ stop() -> B", "A / { stop } -> B", "A - timer -> B", "A - timer; -> B",
        "A -[ timer; not key ]/{ set($x=1) }-> B", "A - timer / set($x=1); stop -> B", "A - timer / set($x=1); } -> B",
        "(A) - { timer; } / { stop() } -> B", "A - not not timer -> B",
    ],
)  # fmt: skip
def test_arcs(arc: str) -> None:
    (transition,) = load(TWO + f'transition "t" {arc};').transitions
    assert (transition.sources, transition.target) == (("A",), "B")


@pytest.mark.parametrize(
    ("text", "line", "column", "expected"),
    [
        ("hello", 1, 1, "expected `state`"),
        ("state A enter {\n  playFlie(x);\n};", 2, 3, "did you mean playFile?"),
        ("state A enter { sys.mkdir(x) };", 1, 17, "is import(mod_sys) missing?"),
        ("state A;\ntransition t (A,C) -> B;", 2, 1, "leaves state `C`"),
        ("state A;\ntransition t A - tiemr -> B;", 2, 18, "did you mean timer?"),
        ("state A enter { set($x=1) }\ntransition t A -> A;", 2, 1, "is the `;` after it missing?"),
        ("import();", 1, 1, "expected import(mod_name)"),
        ("import(mod_foo);", 1, 1, "there is no module 'mod_foo'"),
        ("state A enter { else { } };", 1, 17, "expected an `if`"),
        ("state A enter { if test(1==1) stop { } };", 1, 31, "there is no condition `stop`"),
        ("state A enter { if [timer] stop { } };", 1, 28, "expected `{`"),
        ("state A enter { for (x) { } };", 1, 21, "expected for (v in array)"),
        ("function f { stop() };", 1, 10, "function name with parentheses"),
        ("#include\nstate A;", 1, 1, "#include needs"),
        ("#include 'nope'\nstate A;", 1, 1, "cannot include nope"),
        ("initial initial state A;", 1, 1, "expected a state"),
    ],
)  # fmt: skip
def test_errors_point(text: str, line: int, column: int, expected: str) -> None:
    with pytest.raises(GrammarError) as caught:
        read(text)
    assert expected in str(caught.value)
    assert (caught.value.line, caught.value.column) == (line, column)


def test_all_errors_are_collected_with_their_places() -> None:
    reading = read("state A enter {\n nope();\n };\ntransition t A - nada -> B;\ntransition u X -> B;", collect=True)
    assert [error.line for error in reading.errors] == [2, 4, 5]
    assert str(reading.errors[0]).splitlines()[1:] == ["   nope();", "   ^"]


def test_includes_keep_their_origin() -> None:
    files = {"/d/a.dsm": "state X;\nstate Y enter { nope() };", "/d/b.txt": "junk"}
    with pytest.raises(GrammarError) as caught:
        read("-- main\n#include '/d'\n", files)
    assert str(caught.value.position) == "/d/a.dsm:2:17"


def test_include_falls_back_to_the_suffix_and_follows_the_load_path() -> None:
    files = {"lib/one.dsm": "#include two.dsm\n", "lib/two.dsm": "state X;"}
    assert read('#include "one"', files, load_path="lib/").diagram.states[0].name == "X"  # type: ignore[union-attr]


def test_a_file_that_includes_itself_is_an_error() -> None:
    with pytest.raises(GrammarError, match="does /a include itself"):
        read("#include /a", {"/a": "#include /a\n#include /a"})


def test_blocks() -> None:
    diagram = load(
        "function f() { stop() };\n"
        "initial state A enter { if test(1==1); not timer { f(); } else { if timer { repost } } for($i in range(3)) { break; } };"
    )
    first, second = diagram.states[0].enter.items
    assert isinstance(first, If) and isinstance(second, For)
    assert [test.text for test in first.tests] == ["test(1==1)", "not timer"]
    assert first.then.items[0].name == "stop"  # type: ignore[union-attr]
    assert isinstance(first.otherwise.items[0], If)
    assert (second.form, second.first, second.last) == ("range", "0", "3")


def test_else_if_without_braces_is_reported() -> None:
    text = TWO + "transition t A - / { if timer { stop } else if key { stop } } -> B;"
    assert any("needs braces" in warning.text for warning in read(text, collect=True).warnings)


def test_a_missing_last_semicolon_is_reported_and_mended() -> None:
    reading = read("initial state A; state B; transition t A -> B")
    assert reading.diagram is not None and len(reading.diagram.transitions) == 1
    assert "missing" in reading.warnings[0].text


def test_only_whole_lines_are_comments() -> None:
    diagram = load("-- x\n  # y\n##z\ninitial state A;")
    assert diagram.initial == "A"
    with pytest.raises(GrammarError):
        load("initial state A; -- not a comment\n")


def test_nesting_and_growth_are_bounded() -> None:
    with pytest.raises(GrammarError, match="nest"):
        load("state A enter {" + " if timer {" * 200)
    doubling = "function f0() { stop; stop; };" + "".join(f"function f{n}() {{ f{n - 1}(); f{n - 1}(); }};" for n in range(1, 40))
    with pytest.raises(GrammarError, match="at most"):
        load(doubling)
