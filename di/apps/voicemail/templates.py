# SPDX-License-Identifier: GPL-2.0-or-later
"""Templates of mails (spec applications.md §13). Pure: text in, mail texts out.

    subject: Message of %sender%                 header lines, an empty line, the body
    to: %email%
    from: %user% <voicemail@example.org>
    header: X-Caller: %sender%\\nX-Priority: 1    further headers; the two signs \\n begin the next

`%name%` is a variable, `%%` a percent sign. Addresses are taken apart before values are put in: whatever a caller is called, it stays a
name or an address, and adds no recipient.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from di.apps.api import Mailbox822, is_address, parse_uri, uri_of
from di.apps.prompts import languages_of

VARIABLES = ("user", "sender", "from", "domain", "email", "uid", "did", "ts", "vmsg_length")
SUFFIX = ".template"
DEFAULT = "default"

_PIECE = re.compile(r"%(\w[\w-]*)?%|%|[^%]+", re.DOTALL)
_NAME_ADDR = re.compile(r'\s*(?:"(?P<quoted>[^"]*)"|(?P<name>[^<"]*?))\s*<(?P<address>[^<>]*)>\s*', re.DOTALL)
_COMMA = re.compile(r',(?=(?:[^"]*"[^"]*")*[^"]*$)')
_FIELD = re.compile(r"[!-9;-~]+", re.ASCII)

Values: TypeAlias = "Mapping[str, str]"


class TemplateError(ValueError):
    """What is wrong with a template's text, with its line."""


@dataclass(frozen=True, slots=True)
class TextPiece:
    """A piece of a text, or the name of a variable."""

    text: str
    variable: bool = False


@dataclass(frozen=True, slots=True)
class TemplateText:
    """Text with variables."""

    pieces: tuple[TextPiece, ...]

    def fill(self, values: Values) -> str:
        """The text with the variables' values."""
        return "".join(values.get(piece.text, "") if piece.variable else piece.text for piece in self.pieces)


@dataclass(frozen=True, slots=True)
class TemplateAddress:
    """A name and an address, each a text of its own."""

    name: TemplateText
    address: TemplateText

    def fill(self, values: Values) -> Mailbox822:
        """What it comes to. An address that is none of a mail may be one of SIP, as From headers are: its user and host are taken."""
        name, text = self.name.fill(values).strip(), self.address.fill(values).strip()
        if is_address(text):
            return Mailbox822(text, name)
        uri = parse_uri(uri_of(text))
        address = f"{uri.user}@{uri.host}"
        return Mailbox822(address, name) if is_address(address) else Mailbox822(text, name)


@dataclass(frozen=True, slots=True)
class FilledTemplate:
    """A mail's texts."""

    subject: str
    to: tuple[Mailbox822, ...]
    sender: Mailbox822
    headers: tuple[tuple[str, str], ...]
    body: str


@dataclass(frozen=True, slots=True)
class MailTemplate:
    """A template that has been read."""

    subject: TemplateText
    to: tuple[TemplateAddress, ...]
    sender: TemplateAddress
    body: TemplateText
    headers: tuple[tuple[str, TemplateText], ...] = field(default=())

    def fill(self, values: Values) -> FilledTemplate:
        """The mail's texts with the variables' values."""
        return FilledTemplate(
            self.subject.fill(values),
            tuple(box.fill(values) for box in self.to),
            self.sender.fill(values),
            tuple((name, text.fill(values)) for name, text in self.headers),
            self.body.fill(values),
        )


# ----------------------------------------------------------------------------------------------------------------- reading
def read_template(text: str, variables: Collection[str]) -> MailTemplate:
    """Read a template. `variables`: those that there are. Raises TemplateError for everything else, with the line."""
    head, separator, body = re.sub(r"\r\n?", "\n", text).partition("\n\n")
    if not separator or not body.strip():
        raise TemplateError("has no body: it begins after the first empty line")
    found: dict[str, tuple[int, str]] = {}
    for number, line in enumerate(head.split("\n"), 1):
        key, colon, value = line.partition(":")
        key = key.strip().lower()
        if not colon or key not in ("subject", "to", "from", "header"):
            raise TemplateError(f"line {number}: {line!r} is none of subject:, to:, from:, header:")
        if key in found:
            raise TemplateError(f"line {number}: {key}: is there twice")
        found[key] = number, value.strip()
    missing = [key for key in ("subject", "to", "from") if not found.get(key, (0, ""))[1]]
    if missing:
        raise TemplateError(f"has no {missing[0]}:")
    at, header = found.get("header", (0, ""))
    senders = _addresses(*found["from"], variables)
    if len(senders) != 1:
        raise TemplateError(f"line {found['from'][0]}: from: is one address")
    return MailTemplate(
        _text(found["subject"][1], found["subject"][0], variables),
        _addresses(*found["to"], variables),
        senders[0],
        _text(body, head.count("\n") + 3, variables),
        tuple(_headers(at, header, variables)),
    )


def _text(text: str, line: int, variables: Collection[str]) -> TemplateText:
    pieces = []
    for match in _PIECE.finditer(text):
        piece, name = match[0], match[1]
        where = f"line {line + text.count(chr(10), 0, match.start())}"
        if piece == "%%":
            pieces.append(TextPiece("%"))
        elif name is not None:
            if name not in variables:
                raise TemplateError(
                    f"{where}: there is no variable %{name}%; there are {', '.join(sorted(variables))}; %% is a percent sign"
                )
            pieces.append(TextPiece(name, True))
        elif piece == "%":
            raise TemplateError(f"{where}: a single %; a percent sign is written %%")
        else:
            pieces.append(TextPiece(piece))
    return TemplateText(tuple(pieces))


def _addresses(line: int, text: str, variables: Collection[str]) -> tuple[TemplateAddress, ...]:
    boxes = []
    for part in _COMMA.split(text):
        match = _NAME_ADDR.fullmatch(part)
        name, address = ("", part) if match is None else (match["quoted"] or match["name"] or "", match["address"])
        boxes.append(TemplateAddress(_text(name, line, variables), _text(address.strip(), line, variables)))
    return tuple(boxes)


def _headers(line: int, text: str, variables: Collection[str]) -> Iterable[tuple[str, TemplateText]]:
    for part in text.split("\\n"):
        if not part.strip():
            continue
        name, colon, value = part.partition(":")
        if not colon or not _FIELD.fullmatch(name.strip()):
            raise TemplateError(f"line {line}: header: {part!r} is not `Name: value`")
        yield name.strip(), _text(value.strip(), line, variables)


# ---------------------------------------------------------------------------------------------------------------- choosing
def candidates(did: str, language: str) -> list[str]:
    """Names of templates for a domain and language, most wanted first."""
    languages = [tag for tag in languages_of(language) if tag]
    named = [*(f"{did}_{tag}" for tag in languages), did, *(f"{DEFAULT}_{tag}" for tag in languages), DEFAULT]
    return [name for name in named if name]


def choose(templates: Mapping[str, MailTemplate], did: str, language: str) -> MailTemplate:
    """The template for a domain and language. `templates` has a default."""
    return next(templates[name] for name in candidates(did, language) if name in templates)
