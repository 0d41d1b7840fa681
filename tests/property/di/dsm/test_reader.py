# SPDX-License-Identifier: GPL-2.0-or-later
"""Any bytes give a diagram or a DSM error; what the reader says about places is true."""

from __future__ import annotations

from pathlib import Path
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from di.dsm.language.check import findings
from di.dsm.language.draw import to_dot, to_mermaid, to_svg
from di.dsm.language.errors import DsmError
from di.dsm.language.event import Event, Kind
from di.dsm.language.graph import graph_of
from di.dsm.language.tokens import tokenise
from di.dsm.language.values import substitute
from di.dsm.mods.sql_template import substitute_sql
from di.dsm.run.engine import Machine, Run
from di.dsm.run.simulated import SimulatedSession
from tests.support.dsm_scripts import read
from tests.support.sizes import size

EXAMPLES = size(300, 20_000)

_WORDS = (
    'initial state A B enter exit { } [ ] ; transition "x" - / -> --> -/ (A,B) timer key(#key==1) test($a==b) not exception set($a=b) '
    "if else for for($i in a) ( ) range(2) function f() f(); repost break stop() "
    "import(mod_utils); import(mod_py) py(x) utils.add($a,1) \n # -- #include 'x' \" '"
).split(" ")
ROOT = Path(__file__).parents[4]
SCRIPTS = [path.read_bytes() for folder in ("etc/dsm", "tests/vectors/dsm") for path in sorted((ROOT / folder).glob("*.dsm"))]


def mutated(random: Random, script: bytes) -> bytes:
    """A real script with bytes flipped, pieces cut, moved and doubled, words of the language put in."""
    data = bytearray(script)
    for _ in range(random.randint(1, 8)):
        at = random.randrange(len(data) + 1)
        match random.randrange(5):
            case 0 if data:
                data[at % len(data)] = random.randrange(256)
            case 1:
                del data[at : at + random.randint(1, 30)]
            case 2:
                data[at:at] = random.choice(_WORDS).encode()
            case 3:
                source = random.randrange(len(data) + 1)
                data[at:at] = data[source : source + random.randint(1, 80)]
            case _ if random.random() < 0.1:
                del data[at:]
    return bytes(data)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    check(data.decode("utf-8", "surrogateescape"))


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(st.sampled_from(_WORDS), max_size=60).map(" ".join))
def test_any_words_hostile(text: str) -> None:
    check(text)


def test_any_mutation_of_a_real_script_hostile() -> None:
    """Without Hypothesis, which costs more than reading does; `seed` says which text it was."""
    for seed in range(size(300)):
        random = Random(seed)
        text = mutated(random, random.choice(SCRIPTS)).decode("utf-8", "surrogateescape")
        try:
            check(text)
        except BaseException as error:
            error.add_note(f"seed {seed}: {text!r}")
            raise


def check(text: str) -> None:
    """It is a diagram, which can be checked and drawn, or its faults have true places; reading strictly says the same."""
    reading = read(text, collect=True)
    assert reading.diagram is not None or reading.errors
    try:
        read(text)
    except DsmError:
        assert reading.errors
    else:
        assert not reading.errors
    lines = text.split("\n")
    for error in reading.errors:
        assert 1 <= error.line <= len(lines)
        assert 1 <= error.column <= len(lines[error.line - 1]) + 1
    if reading.diagram is not None:
        findings(reading.diagram)
        graph = graph_of(reading.diagram)
        assert to_dot(graph).startswith("digraph") and to_mermaid(graph).startswith("stateDiagram") and "</svg>" in to_svg(graph)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200))
def test_tokens_lose_nothing_but_quotes_and_blanks(text: str) -> None:
    last = -1
    for token in tokenise(text):
        assert token.offset > last and token.text
        assert token.text in text
        last = token.offset


@settings(max_examples=300, deadline=None)
@given(
    st.text("$#@()'\"\\ab;,[]: ", max_size=40),
    st.dictionaries(st.sampled_from(["", "a", "ab", "(a"]), st.text("$#@a'", max_size=4)),
)
def test_templates_come_to_an_end(text: str, variables: dict[str, str]) -> None:
    machine = Machine({}, SimulatedSession())
    machine.vars.update(variables)
    run = Run(machine, Event(Kind.EVENT, {"a": "#a"}))
    substitute(text, run)
    substitute_sql(text, run)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=20))
def test_a_value_cannot_leave_its_sql_quotes(value: str) -> None:
    machine = Machine({}, SimulatedSession())
    machine.vars["v"] = value
    sql = substitute_sql("select '$v' end", Run(machine, Event(Kind.EVENT)))
    inside = sql[len("select '") : -len("' end")]
    at = 0
    while at < len(inside):
        assert inside[at] != "'"
        at += 2 if inside[at] == "\\" else 1
