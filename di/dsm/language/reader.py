# SPDX-License-Identifier: GPL-2.0-or-later
"""From tokens to a diagram: the stack machine of spec dsm.md §1.4, with SEMS's tolerances and messages that point.

Every token is first compared with the keywords, whatever stands on the stack; then the top of the stack takes it. With `collect=True` the
reader goes on after an error as well as it can, so that `cordboard dsm check` shows all of them.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass, field

from di.dsm.language import elements as el
from di.dsm.language.errors import Doubt, DsmError, GrammarError
from di.dsm.language.library import Library
from di.dsm.language.model import EMPTY, Call, Diagram, Statement, Statements, Test, Transition
from di.dsm.language.source import Loader, Source, read_source
from di.dsm.language.tokens import Token, split_call, tokenise

ModuleFinder = Callable[[str], Library]
"""Module name → library. Raises DsmError: unknown, or cannot work here."""


MAX_NESTING = 50
"""Blocks in blocks; deeper ones are a mistake or an attack on the stack."""


MAX_ERRORS = 200
"""So many errors are kept; the rest follows from them anyway."""


@dataclass
class Reading:
    """What came of a script."""

    diagram: Diagram | None
    warnings: list[Doubt] = field(default_factory=list)
    errors: list[GrammarError] = field(default_factory=list)


def read_diagram(
    name: str,
    path: str,
    text: str,
    *,
    loader: Loader,
    core: Library,
    find_module: ModuleFinder,
    load_path: str = "",
    collect: bool = False,
) -> Reading:
    """Read one script. Raises GrammarError at the first error; with `collect` they are in `Reading.errors` instead."""
    try:
        source = read_source(path, text, loader, load_path)
    except GrammarError as error:
        if not collect:
            raise
        return Reading(None, errors=[error])
    return Reader(name, source, core, find_module, collect).read()


class Reader:
    """One script on its way from tokens to a diagram."""

    def __init__(self, name: str, source: Source, core: Library, find_module: ModuleFinder, collect: bool = False) -> None:
        self.name = name
        self.source = source
        self.core = core
        self.find_module = find_module
        self.collect = collect
        self.stack: list[el.Element] = []
        self.states: list[el.StateElement] = []
        self.initial = ""
        self.libraries: list[Library] = []
        self.functions: dict[str, Statements] = {}
        self.warnings: list[Doubt] = []
        self.errors: list[GrammarError] = []
        self.lists = 0
        self.last_sources: tuple[str, ...] = ()

    # ----------------------------------------------------------------------------------------------------------- messages
    def error(self, offset: int, expected: str) -> None:
        """Report an error: raised, or kept when all are wanted."""
        found = GrammarError(self.source.position(offset), expected, self.source.line_at(offset))
        if not self.collect:
            raise found
        self.errors.append(found)

    def warn(self, offset: int, text: str) -> None:
        """Report something that the script is loaded in spite of."""
        self.warnings.append(Doubt(self.source.position(offset), text, self.source.line_at(offset)))

    # ---------------------------------------------------------------------------------------------------------------- run
    def read(self) -> Reading:
        """Read everything."""
        try:
            for token in tokenise(self.source.text):
                if len(self.errors) > MAX_ERRORS:
                    break
                self._token(token)
            self._finish_last()
        except GrammarError as error:
            if not self.collect:
                raise
            self.errors.append(error)
        diagram = Diagram(
            self.name,
            tuple(state.build() for state in self.states),
            self.initial,
            tuple(library.name for library in self.libraries),
            tuple(self.libraries),
            self.source.position(0),
        )
        return Reading(diagram, self.warnings, self.errors)

    def _token(self, token: Token) -> None:
        text = token.text
        if len(text) > 6 and text.startswith("import"):
            self._import(token)
        elif text == "function":
            self.stack.append(el.FunctionElement(token.offset))
        elif text == "initial":
            self.stack.append(el.InitialMark(token.offset))
        elif text == "state":
            self.stack.append(el.StateElement(token.offset))
        elif text == "transition":
            self.stack.append(el.TransitionElement(token.offset))
        elif not self.stack:
            if text != ";":
                self.error(token.offset, f"expected `state`, `transition`, `function` or `import(…)`, found {_shown(text)}")
        else:
            self.stack[-1].take(self, token)

    def _import(self, token: Token) -> None:
        name = split_call(token.text)[1]
        if not name:
            self.error(token.offset, f"expected import(mod_name), found {_shown(token.text)}")
            return
        try:
            library = self.find_module(name)
        except DsmError as error:
            self.error(token.offset, str(error))
            return
        if library not in self.libraries:
            self.libraries.append(library)

    def _finish_last(self) -> None:
        """A last element without its `;` is taken when it is complete (Q20: SEMS drops it silently); other leftovers are reported."""
        top = self.stack[-1] if self.stack else None
        if isinstance(top, (el.StateElement, el.TransitionElement)) and top.complete():
            self.warn(
                top.offset, "the `;` after the last element is missing; it is taken as if it were there (SEMS drops the element)"
            )
            top.take(self, Token(";", top.offset))
        for left in self.stack:
            if isinstance(left, el.FunctionElement):
                continue
            if isinstance(left, el.InitialMark):
                self.error(left.offset, "expected a state after `initial`")
            else:
                self.warn(
                    left.offset,
                    f"this {left.what} is not finished at the end of the file and is left out: is a `}}` or `;` missing?",
                )

    # ----------------------------------------------------------------------------------------------------------- elements
    def push(self, element: el.Element) -> None:
        """A new element begins. Nesting is bounded, since reading and running recurse."""
        if len(self.stack) > MAX_NESTING and sum(isinstance(el_, el.ActionList) for el_ in self.stack) > MAX_NESTING:
            raise GrammarError(self.source.position(element.offset), f"expected blocks to nest at most {MAX_NESTING} deep")
        self.stack.append(element)

    def pop(self) -> el.Element:
        """The top element is done."""
        return self.stack.pop()

    def number(self, items: list[Statement]) -> Statements:
        """A finished statement list."""
        if not items:
            return EMPTY
        self.lists += 1
        return Statements(tuple(items), self.lists - 1)

    def add_state(self, state: el.StateElement) -> None:
        """A state is finished; the mark `initial` below it makes it the first."""
        if self.stack and isinstance(self.stack[-1], el.InitialMark):
            self.stack.pop()
            if self.initial:
                self.warn(state.offset, f"state {state.name} is initial too; {self.initial} stays the initial state")
            else:
                self.initial = state.name
        if any(other.name == state.name for other in self.states):
            self.warn(state.offset, f"state {state.name} is defined twice; the first one counts")
        self.states.append(state)

    def add_transition(self, found: el.TransitionElement) -> None:
        """A transition is finished; all its sources must stand above it."""
        built = Transition(
            found.name, found.sources, found.target, tuple(found.tests), found.actions, found.is_exception,
            self.source.position(found.offset),
        )  # fmt: skip
        for source in found.sources:
            state = next((state for state in self.states if state.name == source), None)
            if state is None:
                self.error(found.offset, self._unknown_source(found, source))
            else:
                state.transitions.append(built)
        self.last_sources = found.sources

    def _unknown_source(self, found: el.TransitionElement, source: str) -> str:
        for element in self.stack:
            if isinstance(element, el.StateElement) and element.name == source:
                return f"state {source} is not finished above transition {_shown(found.name)}: is the `;` after it missing?"
        near = difflib.get_close_matches(source, [state.name for state in self.states], 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        return f"transition {_shown(found.name)} leaves state {_shown(source)}, which is not defined above it{hint}"

    # --------------------------------------------------------------------------------------------------------------- names
    def action(self, token: Token) -> Call | None:
        """Look an action up, imports first (Q59). None: unknown, and reported."""
        name, parameters = split_call(token.text)
        definition = next((lib.actions[name] for lib in (*self.libraries, self.core) if name in lib.actions), None)
        if definition is None:
            known = {key.lower(): key for lib in (self.core, *self.libraries) for key in lib.actions}
            if name.lower() not in known:
                self.error(token.offset, f"there is no action {_shown(name)}{self._hint(name, sorted(known.values()))}")
                return None
            spelt = known[name.lower()]
            self.warn(token.offset, f"the action is spelt {spelt}, not {name}; taken nevertheless (SEMS refuses the script)")
            definition = next(lib.actions[spelt] for lib in (*self.libraries, self.core) if spelt in lib.actions)
        try:
            perform, problem = definition.bind(parameters)
        except DsmError as error:
            self.error(token.offset, f"{name}: {error}")
            return None
        if problem:
            self.warn(token.offset, f"{name}: {problem}")
        return Call(definition.name, parameters, self.source.position(token.offset), perform, definition.control)

    def condition(self, token: Token, negated: bool) -> Test | None:
        """Look a condition up, imports first. None: unknown, and reported."""
        name, parameters = split_call(token.text)
        definition = next((lib.conditions[name] for lib in (*self.libraries, self.core) if name in lib.conditions), None)
        if definition is None:
            known = [key for lib in (self.core, *self.libraries) for key in lib.conditions]
            self.error(token.offset, f"there is no condition {_shown(name)}{self._hint(name, known)}")
            return None
        try:
            predicate, problem = definition.bind(parameters)
        except DsmError as error:
            self.error(token.offset, f"{name}: {error}")
            return None
        if problem:
            self.warn(token.offset, f"{name}: {problem}")
        return Test(name, parameters, self.source.position(token.offset), negated, definition.kind, predicate)

    def _hint(self, name: str, known: list[str]) -> str:
        prefix = name.partition(".")[0]
        if "." in name and not any(other.startswith(prefix + ".") for other in known):
            return f"; is import(mod_{prefix}) missing?"
        near = difflib.get_close_matches(name, known, 1)
        return f"; did you mean {near[0]}?" if near else ""


def _shown(text: str) -> str:
    """A token in a message, cut to a readable length."""
    line = text if len(text) <= 40 else text[:37] + "…"
    return "`" + line.replace("\n", "\\n") + "`"
