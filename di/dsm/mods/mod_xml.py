# SPDX-License-Identifier: GPL-2.0-or-later
"""mod_xml: XML documents and XPath (spec dsm.md §5.15). Entities are not expanded, nothing is fetched."""

from __future__ import annotations

import logging
import re
from typing import Any

from lxml import etree

from di.dsm.language.library import Res, Var, action
from di.dsm.language.numbers import unsigned
from di.dsm.run.engine import Run

log = logging.getLogger(__name__)

MAX_CHARS = 1_000_000
"""Parsing does not yield: a document of this size takes some ten milliseconds, in which every call waits."""
_LEVELS = {"error": logging.ERROR, "warn": logging.WARNING, "info": logging.INFO, "debug": logging.DEBUG}


class LogSettings:
    """What `xml.setLoglevel` sets, for the whole process."""

    def __init__(self) -> None:
        self.level = logging.ERROR


class Document:
    """A parsed document."""

    def __init__(self, root: Any) -> None:
        self.root = root


class Nodes:
    """What an XPath found; an updated node is gone from it."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items


def _parse(run: Run, text: str, name: str) -> None:
    if len(text) > MAX_CHARS:
        run.fail("arg", f"a document of more than {MAX_CHARS} characters")
        return
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        run.avars[name] = Document(etree.fromstring(text.encode("utf-8", "surrogateescape"), parser))
    except (etree.XMLSyntaxError, ValueError, LookupError) as error:
        run.fail("arg", f"no XML: {error}")
    _report(run, parser.error_log)


def _report(run: Run, messages: Any) -> None:
    """The parser's messages into the log: errors always, warnings from `warn` on."""
    level = run.session.hub.shared("mod_xml", LogSettings).level
    for entry in messages:
        severity = logging.WARNING if entry.level == etree.ErrorLevels.WARNING else logging.ERROR
        if severity >= level:
            log.log(severity, "%s: xml: line %d: %.300s", run.session.id, entry.line, entry.message)


@action("xml.parse")
def parse(run: Run, text: Res, name: Res) -> None:
    """Parse text into an object."""
    _parse(run, text, name)


@action("xml.parseSIPMsgBody")
def parse_sip_msg_body(run: Run, body: Res, name: Res) -> None:
    """Parse a message body that is kept as an object."""
    found = run.avars.get(body)
    if not isinstance(found, (str, bytes)):
        run.fail("arg", f"there is no message body {body!r}")
        return
    _parse(run, found if isinstance(found, str) else found.decode("utf-8", "surrogateescape"), name)


def _document(run: Run, name: str) -> Document | None:
    found = run.avars.get(name)
    if isinstance(found, Document):
        return found
    run.fail("arg", f"there is no document {name!r}")
    return None


def _nodes(run: Run, name: str) -> Nodes | None:
    found = run.avars.get(name)
    if isinstance(found, Nodes):
        return found
    run.fail("arg", f"there is no XPath result {name!r}")
    return None


@action("xml.evalXPath")
def eval_xpath(run: Run, expression: Res, name: Res) -> None:
    """Evaluate an expression; the result is the object `name.xpath`. `$name.ns`: `prefix=href prefix=href …`"""
    document = _document(run, name)
    if document is None:
        return
    pairs = (pair.partition("=") for pair in run.vars.get(f"{name}.ns", "").split())
    namespaces = {prefix: href for prefix, equals, href in pairs if prefix and equals}
    try:
        found = document.root.xpath(expression, namespaces=namespaces or None)
    except (etree.XPathError, etree.XMLSyntaxError, ValueError, TypeError, LookupError) as error:
        run.fail("arg", f"XPath {expression!r}: {error}")
        return
    if isinstance(found, float) and found.is_integer():
        found = int(found)
    run.avars[f"{name}.xpath"] = Nodes(list(found) if isinstance(found, list) else [found])


@action("xml.XPathResultCount", separator="=")
def xpath_result_count(run: Run, target: Var, name: Res) -> None:
    """How many nodes."""
    nodes = _nodes(run, name)
    run.vars[target] = str(len(nodes.items)) if nodes is not None else "0"


def _is_element(node: Any) -> bool:
    """Comments, processing instructions and entity references are `_Element`s to the library, but have no children."""
    return isinstance(node, etree._Element) and isinstance(node.tag, str)


def _text(node: Any) -> str:
    if _is_element(node):
        return "".join(node.itertext())
    return str((node.text if isinstance(node, etree._Element) else node) or "")


@action("xml.getXPathResult", separator="=")
def get_xpath_result(run: Run, target: Var, name: Res) -> None:
    """One node into `$v`, several into `$v[i]`; none leaves it."""
    nodes = _nodes(run, name)
    if nodes is None:
        run.vars[target] = "0"
    elif len(nodes.items) == 1:
        run.vars[target] = _text(nodes.items[0])
    else:
        for index, node in enumerate(nodes.items):
            run.vars[f"{target}[{index}]"] = _text(node)


@action("xml.printXPathResult", separator="=")
def print_xpath_result(run: Run, target: Var, name: Res) -> None:
    """Add a readable dump to a variable."""
    nodes = _nodes(run, name)
    if nodes is not None:
        lines = [f"{node.tag if _is_element(node) else type(node).__name__.strip('_')}: {_text(node)}" for node in nodes.items]
        run.vars[target] = run.vars.get(target, "") + "\n".join(lines)


@action("xml.updateXPathResult", separator="=")
def update_xpath_result(run: Run, name: Res, content: Res) -> None:
    """Replace the content of all nodes, or of `name[i]`."""
    single = re.fullmatch(r"(.*)\[([0-9]+)\]", name, re.DOTALL)
    nodes = _nodes(run, single[1] if single else name)
    if nodes is None:
        return
    index = unsigned(single[2]) if single else None
    if index is not None and index >= len(nodes.items):
        run.fail("arg", f"{name}: there are {len(nodes.items)} nodes")
        return
    for at in [index] if index is not None else range(len(nodes.items)):
        node = nodes.items[at]
        if _is_element(node):
            try:
                node[:] = []
                node.text = content
            except ValueError as error:
                run.fail("arg", f"{name}: {error}")
                return
    if index is None:
        nodes.items = []


@action("xml.docDump", separator="=")
def doc_dump(run: Run, target: Var, name: Res) -> None:
    """Serialise, indented."""
    document = _document(run, name)
    if document is not None:
        text = etree.tostring(document.root.getroottree(), pretty_print=True, xml_declaration=True, encoding="UTF-8")
        run.vars[target] = text.decode("utf-8", "surrogateescape")


@action("xml.setLoglevel")
def set_loglevel(run: Run, level: Res) -> None:
    """Which parser messages go into the log: `error`, `warn`, `info`, `debug`. Other words change nothing."""
    settings = run.session.hub.shared("mod_xml", LogSettings)
    settings.level = _LEVELS.get(level, settings.level)
