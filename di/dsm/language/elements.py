# SPDX-License-Identifier: GPL-2.0-or-later
"""What can stand on the reader's stack, and what each element does with the next token (spec dsm.md §1.4, the table)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from di.dsm.language.errors import NO_POSITION, Position
from di.dsm.language.model import EMPTY, For, If, State, Statement, Statements, Test, Transition
from di.dsm.language.tokens import Token

if TYPE_CHECKING:
    from di.dsm.language.reader import Reader


MAX_STATEMENTS = 100_000
"""A list may hold so many statements; functions are copied in, so a few lines could fill the memory."""


class Element:
    """Something begun and not finished."""

    what = "element"

    def __init__(self, offset: int) -> None:
        self.offset = offset

    def take(self, reader: Reader, token: Token) -> None:
        """Handle a token while this element is on top."""
        raise NotImplementedError


class InitialMark(Element):
    """`initial` was read: the next state is it."""

    what = "`initial`"

    def take(self, reader: Reader, token: Token) -> None:
        reader.error(token.offset, f"expected `state` after `initial`, found `{token.text[:40]}`")


class FunctionElement(Element):
    """`function name() { … };` – stays on the stack after its `;`, as in SEMS, where it does no harm."""

    what = "function"
    name = ""
    body: Statements = EMPTY

    def take(self, reader: Reader, token: Token) -> None:
        if not self.name:
            self.name, parenthesis, _ = token.text.partition("(")
            if not parenthesis or not self.name:
                reader.error(token.offset, f"expected a function name with parentheses, found `{token.text[:40]}`")
                reader.pop()
        elif token.text == "{":
            reader.push(ActionList(token.offset, self))
        elif token.text == ";":
            reader.functions[self.name] = self.body
        else:
            reader.error(token.offset, f"expected `{{` or `;` of function {self.name}, found `{token.text[:40]}`")


class StateElement(Element):
    """`state name enter { … } exit { … };`"""

    what = "state"

    def __init__(self, offset: int) -> None:
        super().__init__(offset)
        self.name = ""
        self.enter: Statements = EMPTY
        self.leave: Statements = EMPTY
        self.transitions: list[Transition] = []
        self.position = NO_POSITION

    def take(self, reader: Reader, token: Token) -> None:
        if not self.name:
            self.name = token.text
            self.position = reader.source.position(self.offset)
        elif token.text in ("enter", "exit"):
            reader.push(ActionList(token.offset, self, token.text))
        elif token.text == ";":
            reader.pop()
            reader.add_state(self)
        else:
            reader.warn(token.offset, f"`{token.text[:40]}` in state {self.name} is ignored; expected `enter`, `exit` or `;`")

    def complete(self) -> bool:
        """Whether only the `;` is missing."""
        return bool(self.name)

    def build(self) -> State:
        """The finished state."""
        return State(self.name, self.enter, self.leave, tuple(self.transitions), self.position)


class TransitionElement(Element):
    """`transition name sources - conditions / actions -> target;`"""

    what = "transition"

    def __init__(self, offset: int) -> None:
        super().__init__(offset)
        self.name = ""
        self.named = False
        self.sources: tuple[str, ...] = ()
        self.sourced = False
        self.target = ""
        self.tests: list[Test] = []
        self.actions: Statements = EMPTY
        self.is_exception = False

    def take(self, reader: Reader, token: Token) -> None:
        text = token.text
        if not self.named:
            self.name, self.named = text, True
        elif not self.sourced and not self._without_source(reader, token):
            self.sources, self.sourced = split_sources(text), True
        elif text in ("->", "-->"):
            return
        elif text == "-":
            reader.push(ConditionList(token.offset, self))
        elif text in ("-/", "/"):
            reader.push(ActionList(token.offset, self))
        elif text == ";":
            reader.pop()
            reader.add_transition(self)
        elif not self.target:
            self.target = text
        else:
            reader.warn(
                token.offset, f"`{text[:40]}` after the target of transition `{self.name[:40]}` is ignored; is a `;` missing?"
            )

    def _without_source(self, reader: Reader, token: Token) -> bool:
        """`transition "name" - …`: the 2009 presentation writes it so. It leaves the states of the transition above."""
        if token.text not in ("-", "-/", "/") or not reader.last_sources:
            return False
        if any(state.name == token.text for state in reader.states):
            return False
        self.sources, self.sourced = reader.last_sources, True
        shown = ", ".join(self.sources)
        reader.warn(
            token.offset, f"transition `{self.name[:40]}` names no source state; taken: {shown} (SEMS refuses the script)"
        )
        return True

    def complete(self) -> bool:
        """Whether only the `;` is missing."""
        return bool(self.sourced and self.target)


class ActionList(Element):
    """Statements up to `}` or `->`. `part`: enter or exit of a state."""

    what = "list of actions"

    def __init__(self, offset: int, owner: Element, part: str = "") -> None:
        super().__init__(offset)
        self.owner = owner
        self.part = part
        self.items: list[Statement] = []

    def take(self, reader: Reader, token: Token) -> None:
        text = token.text
        if text in (";", "{"):
            return
        if text in ("}", "->"):
            reader.pop()
            self._close(reader)
        elif text == "if":
            tree = ConditionTree(token.offset)
            reader.push(tree)
            reader.push(ConditionList(token.offset, tree))
        elif text == "else":
            self._reopen(reader, token)
        elif text.startswith("for"):
            loop = LoopElement(token.offset)
            reader.push(loop)
            if len(text) > 3:
                loop.header(reader, token, text[3:])
        elif "(" in text and text.partition("(")[0] in reader.functions:
            self.items.extend(reader.functions[text.partition("(")[0]].items)
            if len(self.items) > MAX_STATEMENTS:
                reader.error(
                    token.offset,
                    f"expected at most {MAX_STATEMENTS} statements in one list; functions that call functions grow fast",
                )
                self.items.clear()
        elif (call := reader.action(token)) is not None:
            self.items.append(call)

    def _reopen(self, reader: Reader, token: Token) -> None:
        last = self.items[-1] if self.items else None
        if not isinstance(last, If):
            reader.error(token.offset, "expected an `if` before `else`")
            return
        self.items.pop()
        tree = ConditionTree(self.offset)
        tree.tests, tree.then, tree.position = list(last.tests), last.then, last.position
        reader.push(tree)
        reader.push(ElseList(token.offset, tree))

    def _close(self, reader: Reader) -> None:
        body = reader.number(self.items)
        owner = self.owner
        if isinstance(owner, StateElement):
            if self.part == "enter":
                owner.enter = body
            else:
                owner.leave = body
        elif isinstance(owner, TransitionElement):
            owner.actions = body
        elif isinstance(owner, FunctionElement):
            owner.body = body
        elif isinstance(owner, ConditionTree):
            self.assign(owner, body)
            owner.finish(reader)
        elif isinstance(owner, LoopElement):
            owner.finish(reader, body)

    def assign(self, tree: ConditionTree, body: Statements) -> None:
        """Which branch of an `if` this list is."""
        tree.then = body


class ElseList(ActionList):
    """The other branch; an `if` that is its first token is the pitfall of Q21."""

    opened = False

    def take(self, reader: Reader, token: Token) -> None:
        if token.text == "{":
            self.opened = True
        elif token.text == "if" and not self.opened and not self.items:
            reader.warn(
                token.offset,
                "`else if` needs braces: else { if … { … } }; without them the rest of the block goes into the else-branch",
            )
            self.opened = True
        super().take(reader, token)

    def assign(self, tree: ConditionTree, body: Statements) -> None:
        tree.otherwise = body


class ConditionTree(Element):
    """An `if` whose conditions or branches are being read."""

    what = "`if`"

    def __init__(self, offset: int) -> None:
        super().__init__(offset)
        self.tests: list[Test] = []
        self.then: Statements = EMPTY
        self.otherwise: Statements = EMPTY
        self.position: Position | None = None

    def take(self, reader: Reader, token: Token) -> None:
        if token.text == "[":
            reader.push(ConditionList(token.offset, self))
        elif token.text == "{":
            reader.push(ActionList(token.offset, self))
        elif token.text in (";", "}"):
            self.finish(reader)
        else:
            reader.error(token.offset, f"expected `{{` after the conditions of `if`, found `{token.text[:40]}`")

    def finish(self, reader: Reader) -> None:
        """Both branches are known as far as they were written: back into the enclosing list."""
        reader.pop()
        position = self.position or reader.source.position(self.offset)
        statement = If(tuple(self.tests), self.then, self.otherwise, position)
        enclosing = reader.stack[-1] if reader.stack else None
        if isinstance(enclosing, ActionList):
            enclosing.items.append(statement)


class ConditionList(Element):
    """Conditions of a transition or an `if`."""

    what = "list of conditions"

    def __init__(self, offset: int, owner: TransitionElement | ConditionTree) -> None:
        super().__init__(offset)
        self.owner = owner
        self.negated = False

    def take(self, reader: Reader, token: Token) -> None:
        text = token.text
        if text in (";", "["):
            return
        if text == "{" and isinstance(self.owner, ConditionTree):
            reader.pop()
            reader.push(ActionList(token.offset, self.owner))
        elif text in ("{", "}"):
            return
        elif text in ("/", "->", "]"):
            self._finish(reader, token)
        elif text == "not":
            self.negated = not self.negated
        elif text == "exception":
            if isinstance(self.owner, TransitionElement):
                self.owner.is_exception = True
            else:
                reader.warn(token.offset, "`exception` in an `if` has no effect")
        else:
            test = reader.condition(token, self.negated)
            self.negated = False
            if test is not None:
                self.owner.tests.append(test)

    def _finish(self, reader: Reader, token: Token) -> None:
        reader.pop()
        if token.text == "/":
            if isinstance(self.owner, ConditionTree):
                reader.error(token.offset, "expected `{` after the conditions of `if`, found `/`")
            else:
                reader.push(ActionList(token.offset, self.owner))


_RANGE = re.compile(r" *range\((.*)\) *", re.DOTALL)


class LoopElement(Element):
    """`for (…) { … }`"""

    what = "`for`"

    def __init__(self, offset: int) -> None:
        super().__init__(offset)
        self.known: tuple[str, str, str, str, str, str] | None = None

    def take(self, reader: Reader, token: Token) -> None:
        if self.known is None:
            self.header(reader, token, token.text)
        elif token.text == "{":
            reader.push(ActionList(token.offset, self))

    def header(self, reader: Reader, token: Token, text: str) -> None:
        """Read `(v in a)`, `(k,v in s)` or `(v in range(a,b))`."""
        self.known = parse_loop(text)
        if self.known is None:
            reader.error(token.offset, "expected for (v in array), for (k,v in struct) or for (v in range(from,to))")
            self.known = ("array", "", "", "", "", "")

    def finish(self, reader: Reader, body: Statements) -> None:
        """The body is closed: back into the enclosing list."""
        reader.pop()
        assert self.known is not None
        form, key, value, name, first, last = self.known
        enclosing = reader.stack[-1] if reader.stack else None
        if isinstance(enclosing, ActionList):
            enclosing.items.append(For(form, value, body, reader.source.position(self.offset), key, name, first, last))


def parse_loop(text: str) -> tuple[str, str, str, str, str, str] | None:
    """(form, key, value, name, first, last) of a loop header; None when it is none. Blanks around the names are dropped (Q19)."""
    start, end = text.find("("), text.rfind(")")
    parts = text[start + 1 : end].split(" in ") if 0 <= start < end else []
    if len(parts) != 2:
        return None
    variables, over = parts[0], parts[1]
    ranged = _RANGE.fullmatch(over)
    if ranged is not None:
        first, comma, last = ranged.group(1).partition(",")
        bounds = (first.strip(" "), last.strip(" ")) if comma else ("0", first.strip(" "))
        return "range", "", variables.strip(), "", *bounds
    if "," in variables:
        key, _, value = variables.partition(",")
        return "struct", key.strip(), value.strip(), over.strip(), "", ""
    return "array", "", variables.strip(), over.strip(), "", ""


def split_sources(text: str) -> tuple[str, ...]:
    """The states in `A` or `(A, B)`; of each one at most one blank is dropped at either end (spec dsm.md §1.5)."""
    if "(" not in text:
        return (text,)
    text = text.removeprefix("(").removesuffix(")")
    return tuple(piece.removeprefix(" ").removesuffix(" ") for piece in text.split(",") if piece)
