# SPDX-License-Identifier: GPL-2.0-or-later
"""Mail templates: variables, addresses, which one is taken, what is wrong with one (spec applications.md §13)."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from di.apps.voicemail.templates import VARIABLES, MailTemplate, TemplateError, candidates, choose, read_template
from di.modules.mail.message import compose, kept
from di.stores.mailing import Mail, Mailbox822
from tests.support.sizes import size

ETC = Path(__file__).parents[5] / "etc" / "mail"
GOOD = """subject: Message of %sender%, 100%%
to: "%user%" <%email%>, copy@shop.example
from: %sender%
header: X-Uid: %uid%\\nX-Priority: 1

Length %vmsg_length%
%user%
"""
VALUES = dict.fromkeys(VARIABLES, "") | {
    "user": "Anna, B", "sender": '"Ben" <sip:ben@there.example>;tag=1', "email": "anna@shop.example", "uid": "17", "vmsg_length": "2.50"
}  # fmt: skip


def read(text: str) -> MailTemplate:
    return read_template(text, VARIABLES)


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_values_are_put_in(line_end: str) -> None:
    filled = read(GOOD.replace("\n", line_end)).fill(VALUES)
    assert filled.subject == 'Message of "Ben" <sip:ben@there.example>;tag=1, 100%'
    assert filled.to == (Mailbox822("anna@shop.example", "Anna, B"), Mailbox822("copy@shop.example"))
    assert filled.sender == Mailbox822("ben@there.example")
    assert filled.headers == (("X-Uid", "17"), ("X-Priority", "1"))
    assert filled.body == "Length 2.50\nAnna, B\n"


@pytest.mark.parametrize("path", sorted(ETC.glob("*.template")), ids=lambda path: path.name)
def test_the_samples_are_good(path: Path) -> None:
    filled = read(path.read_text("utf-8")).fill(VALUES)
    assert filled.to == (Mailbox822("anna@shop.example"),) and "2.50" in filled.body


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("subject:", "subjekt:", r"line 1: 'subjekt: .*' is none of subject:, to:, from:, header:"),
        ("to: ", "to:\nxto: ", "line 3"), ("from: %sender%", "from:", "has no from:"),
        ("%uid%", "%uidd%", "line 4: there is no variable %uidd%; there are did, domain"),
        ("100%%", "100%", "line 1: a single %"), ("\n%user%\n", "\n%to%\n", "line 7: there is no variable %to%"),
        ("from: %sender%", "from: a@b, c@d", "line 3: from: is one address"), ("X-Priority: 1", "X Priority: 1", "is not `Name: value`"),
        ("to: ", "subject: x\nto: ", "line 2: subject: is there twice"),
        (GOOD, "subject: x\nto: a@b\nfrom: c@d\n", "has no body"), (GOOD, "", "has no body"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_line(old: str, new: str, said: str) -> None:
    with pytest.raises(TemplateError, match=said):
        read(GOOD.replace(old, new, 1))


def test_the_choice_by_domain_and_language() -> None:
    assert candidates("3", "de-AT") == ["3_de-AT", "3_de", "3", "default_de-AT", "default_de", "default"]
    assert candidates("3", "") == ["3", "default"]
    one = {name: read(GOOD.replace("Length", name)) for name in ("default", "default_de", "3")}
    assert [
        choose(one, did, lang) is one[name]
        for did, lang, name in (("3", "de", "3"), ("4", "de", "default_de"), ("4", "fr", "default"))
    ] == [True] * 3
    assert choose(one, "../../etc/passwd", "") is one["default"]


@settings(max_examples=size(200, 50_000), deadline=None)
@given(
    st.text(max_size=80)
    | st.sampled_from(['x" <evil@e.example>, "', "a@b.example\r\nBcc: x@e.example", "evil@e.example, ", "<evil@e.example>"])
)
def test_no_name_adds_a_recipient(text: str) -> None:
    """Fuzz: with any name in every place the mail goes to the one address, or is no mail at all."""
    values = dict.fromkeys(VARIABLES, text) | {"email": "anna@shop.example"}
    filled = read('subject: %user%\nto: "%user%" <%email%>\nfrom: "%sender%" <%sender%>\nheader: X-U: %user%\n\n%user%').fill(
        values
    )
    mail = Mail("k", filled.to, filled.subject, filled.body, filled.sender, filled.headers)
    keep = kept(mail, "vm@here.example", 0, ())
    assert [address for _, address in keep.to] == ["anna@shop.example"]
    assert b"\r\nBcc:" not in compose(keep, []).split(b"\r\n\r\n")[0]
