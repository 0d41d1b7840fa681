# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever callers, databases and peers send: a quoted value stays one SQL text, any bytes are XML or `arg`, any URL is one or none."""

from __future__ import annotations

import dataclasses
import re

from hypothesis import example, given, settings
from hypothesis import strategies as st

from di.dsm.language.event import Event, Kind
from di.dsm.mods import mod_curl, mod_redis, mod_xml
from di.dsm.mods.sql_template import MAX_CHARS, escape, escape_bytes, substitute_sql
from di.dsm.run.engine import Machine, Run
from di.dsm.run.simulated import SimulatedSession
from di.stores.mysql_target import parse_url
from tests.support.sizes import size

_TEXT = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"", re.DOTALL)
"""A quoted SQL text, as the server's tokeniser reads it."""
_MEANS = {"0": "\0", "n": "\n", "r": "\r", "Z": "\x1a"}

ODD = st.text(st.sampled_from("ab'\"\\$#@;, \n\0\x1a%`-/*()") | st.characters(), max_size=20)


def run(variables: dict[str, str], params: dict[str, str] | None = None) -> Run:
    session = SimulatedSession()
    session.selects.update(variables)
    machine = Machine({}, session)
    machine.vars.update(variables)
    return Run(machine, Event(Kind.EVENT, params or {}))


def meaning(quoted: str) -> str:
    """What the server understands of the inside of a quoted text."""
    return re.sub(r"\\(.)", lambda found: _MEANS.get(found[1], found[1]), quoted, flags=re.DOTALL)


@settings(max_examples=size(300, 5_000))
@given(ODD, ODD, st.sampled_from("'\""))
@example("\\", "' OR 1=1 -- ", "'")
def test_a_quoted_value_is_one_text_with_that_meaning(user: str, other: str, quote: str) -> None:
    got = substitute_sql(
        f"SELECT {quote}$user{quote}, {quote}#p{quote}, @user FROM t", run({"user": user, "other": other}, {"p": other})
    )
    found = re.fullmatch(rf"SELECT ({_TEXT.pattern}), ({_TEXT.pattern}), ('(?:[^'\\]|\\.)*') FROM t", got, re.DOTALL)
    assert found is not None, got
    assert [meaning(found[group][1:-1]) for group in (1, 4, 7)] == [user, other, user]


@given(ODD)
def test_escaping_bytes_and_text_is_the_same(text: str) -> None:
    assert escape_bytes(text.encode("utf-8", "surrogatepass")) == escape(text).encode("utf-8", "surrogatepass")
    assert meaning(escape(text)) == text


@settings(max_examples=size(300, 5_000))
@given(ODD, st.dictionaries(st.sampled_from(["a", "b", "user", ""]), ODD))
@example("$a", {"a": "$a"})
@example("$a", {"a": "$a$a$a"})
@example("$a", {"a": "$b$b" * 50, "b": "$a$a" * 50})
def test_any_template_comes_to_an_end(template: str, variables: dict[str, str]) -> None:
    longest = max(map(len, variables.values()), default=0)
    assert len(substitute_sql(template, run(variables))) <= MAX_CHARS + 2 * longest + len(template)


@given(ODD)
def test_without_references_nothing_changes(text: str) -> None:
    plain = re.sub("[$#@]", "", text)
    assert substitute_sql(plain, run({})) == plain


@settings(max_examples=size(300, 5_000))
@given(ODD | st.from_regex(r"mysql://[a-z@:]*:[^\n]*@[a-z:]*/[a-z]*", fullmatch=True))
def test_any_text_is_a_database_or_none(text: str) -> None:
    target = parse_url(text)
    if target is not None:
        assert text.startswith("mysql://") and text.endswith("/" + target.database) and 0 < target.port < 65536
        assert repr(target) == repr(dataclasses.replace(target, password="another"))


@given(ODD | st.from_regex(r"redis://(tcp|unix):[a-z/]*(;[a-z_]*=[0-9a-z]*)*", fullmatch=True))
def test_any_text_is_a_store_or_none(text: str) -> None:
    target = mod_redis.parse_url(text)
    assert target is None or (bool(target.host) != bool(target.socket) and 0 < target.port < 65536)


@settings(max_examples=size(300, 5_000))
@given(st.one_of(ODD, st.from_regex(r"https?://[^\s]{0,30}", fullmatch=True)))
def test_any_url_is_one_line_or_refused(text: str) -> None:
    try:
        url = mod_curl._url("http://h/" + text)
    except ValueError:
        return
    assert not re.search(r"[\x00-\x20\x7f]", str(url))


XMLISH = st.text(st.sampled_from("<>/a=\"' &;!?[]-:x1") | st.characters(), max_size=60)

BYTES = st.binary(max_size=60).map(lambda data: data.decode("utf-8", "surrogateescape"))


@settings(max_examples=400, deadline=None)
@given(st.one_of(XMLISH, XMLISH.map(lambda text: f"<a x='1'>{text}</a>"), BYTES), XMLISH, ODD)
@example("<?xml version='1.0' encoding='no-such'?><a/>", "//a", "x")
@example("<?xml version='1.0' encoding='utf-16'?><a/>", "//a", "x")
@example("<a/>", "//a", "\0")
@example("<a/>", "//a", "\udc80")
@example("<a><!--c--><?p q?>t</a>", "//node()", "x")
@example("<a/>", "concat('a', 'b')", "x")
@example("<a/>", "namespace::*", "x")
def test_any_document_path_and_content_give_a_value_or_arg(text: str, path: str, content: str) -> None:
    found = run({"errno": ""})
    mod_xml.parse(found, text, "d")
    if "d" not in found.avars:
        assert found.vars["errno"] == "arg"
        return
    mod_xml.eval_xpath(found, path, "d")
    assert ("d.xpath" in found.avars) is (found.vars["errno"] == "")
    mod_xml.xpath_result_count(found, "n", "d.xpath")
    mod_xml.get_xpath_result(found, "v", "d.xpath")
    mod_xml.print_xpath_result(found, "p", "d.xpath")
    mod_xml.update_xpath_result(found, "d.xpath", content)
    mod_xml.doc_dump(found, "out", "d")
    assert found.vars["out"].startswith("<?xml")


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40))
def test_entities_never_grow(levels: int, width: int) -> None:
    entities = "".join(f"<!ENTITY e{n + 1} '{f'&e{n};' * width}'>" for n in range(levels))
    text = f"<!DOCTYPE a [<!ENTITY e0 'xxxxxxxxxx'>{entities}]><a>&e{levels};</a>"
    found = run({})
    mod_xml.parse(found, text, "d")
    if "d" in found.avars:
        mod_xml.eval_xpath(found, "/a", "d")
        mod_xml.get_xpath_result(found, "v", "d.xpath")
        assert len(found.vars.get("v", "")) < 100
