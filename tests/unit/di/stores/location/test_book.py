# SPDX-License-Identifier: GPL-2.0-or-later
"""Bindings: any REGISTERs in any order against a plain model, what REGISTER may say, and that the disk has what memory has."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from di.kernel.errors import Refused
from di.modules.cc_registrar.options import parse_users
from di.modules.cc_registrar.registrar import Registrar, hop
from di.modules.uac_auth.check import CredentialCheck
from di.sip.outside_records import OutsideReceived
from di.stores.location.book import LocationBook, RegisterRules, UserBinding
from di.stores.location.contacts import ContactOrder, RegisterOrder, aor_of, read
from di.stores.location.keeper import LocationKeeper

RULES = RegisterRules(default_s=100, min_s=10, max_s=200, most_contacts=3, most_bindings=5)
USERS, CONTACTS = ("a@h", "b@h"), ("sip:x@1.1.1.1", "sip:y@1.1.1.1:5070", "sip:z@2.2.2.2;transport=tcp", "sip:X@1.1.1.1")


# ----------------------------------------------------------------------------------------------------------------------- book
class AnyRegistrations(RuleBasedStateMachine):
    """The model: user → contact → end. A refusal changes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], UserBinding] = {}
        self.book = LocationBook(RULES, self._keep)
        self.model: dict[str, dict[str, float]] = {user: {} for user in USERS}
        self.now_s, self.cseq = 1000.0, 0

    def _keep(self, aor: str, key: str, binding: UserBinding | None) -> None:
        if binding is None:
            del self.kept[aor, key]
        else:
            self.kept[aor, key] = binding

    def _valid(self, user: str) -> dict[str, float]:
        return {contact: end_s for contact, end_s in self.model[user].items() if end_s > self.now_s}

    @rule(
        user=st.sampled_from(USERS),
        contacts=st.lists(st.sampled_from(CONTACTS), max_size=4, unique=True),
        lasts=st.sampled_from([None, 0, 5, 10, 150, 999]),
    )
    def register(self, user: str, contacts: list[str], lasts: int | None) -> None:
        self.cseq += 1
        order = RegisterOrder(tuple(ContactOrder(uri) for uri in contacts), expires_s=lasts, call_id="c", cseq=self.cseq)
        after = self._valid(user)
        for contact in contacts:
            after.pop(contact, None)
            if lasts != 0:
                after[contact] = self.now_s + min(lasts or 100, 200)
        try:
            now = self.book.register(user, order, self.now_s)
        except Refused as refused:
            others = sum(1 for one in self.kept.values() if one.aor != user)
            if refused.code == 423:
                assert lasts == 5 and contacts
            else:
                assert (refused.code == 403 and len(after) > 3) or (refused.code == 503 and others + len(after) > 5)
            return
        self.model[user] = after
        assert {one.contact for one in now} == set(after)

    @rule(user=st.sampled_from(USERS))
    def leave(self, user: str) -> None:
        self.cseq += 1
        assert self.book.register(user, RegisterOrder(star=True, expires_s=0, call_id="c", cseq=self.cseq), self.now_s) == ()
        self.model[user] = {}

    @rule(user=st.sampled_from(USERS))
    def late(self, user: str) -> None:
        """One that was overtaken, of the same Call-ID."""
        if not self._valid(user):
            return
        with pytest.raises(Refused, match="500"):
            self.book.register(user, RegisterOrder(star=True, expires_s=0, call_id="c", cseq=0), self.now_s)

    @rule(seconds=st.sampled_from([1, 9, 60, 300]), sweep=st.booleans())
    def pass_time(self, seconds: int, sweep: bool) -> None:
        self.now_s += seconds
        if sweep:
            self.book.sweep(self.now_s)
            assert all(one.expires_s > self.now_s for one in self.kept.values())

    @invariant()
    def finds_what_is_valid(self) -> None:
        for user in USERS:
            assert {one.contact: one.expires_s for one in self.book.find(user, self.now_s)} == self._valid(user)
        assert len(self.book) == len(self.kept) == len(list(self.book)) <= 5


TestAnyRegistrations = AnyRegistrations.TestCase
TestAnyRegistrations.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_the_most_wanted_and_then_the_latest_comes_first() -> None:
    book = LocationBook(RULES)
    book.register("a@h", RegisterOrder((ContactOrder("sip:x@1", q=0.5), ContactOrder("sip:y@1", q=0.9))), 10.0)
    book.register("a@h", RegisterOrder((ContactOrder("sip:z@1", q=0.9),)), 11.0)
    assert [one.contact for one in book.find("a@h", 12.0)] == ["sip:z@1", "sip:y@1", "sip:x@1"]
    assert book.remove("a@h") == 3 and book.find("a@h", 12.0) == ()


# -------------------------------------------------------------------------------------------------------------------- reading
def test_what_a_register_asks_for() -> None:
    headers = (
        ("Via", "SIP/2.0/TLS 10.0.0.1;branch=z"), ("m", '"A, B" <sip:a@1;x=1>;q=0.7;expires=60, sip:b@2;expires=30'), ("Contact", "<sip:c@3>;q=2"),
        ("Expires", "99"), ("CSeq", "7 REGISTER"), ("User-Agent", "x"),
    )  # fmt: skip
    assert read(headers, "id", ("1.2.3.4", 5)) == RegisterOrder(
        (ContactOrder("sip:a@1;x=1", 60, 0.7), ContactOrder("sip:b@2", 30), ContactOrder("sip:c@3")),
        False,
        99,
        call_id="id",
        cseq=7,
        source_ip="1.2.3.4",
        source_port=5,
        transport="tls",
        user_agent="x",
    )
    assert read((("Contact", "*"), ("Expires", "0")), "", ("", 0)).star and read((), "", ("", 0)).contacts == ()
    assert (
        aor_of("sip:Ann@HOST.example:5070;x=1") == "Ann@host.example" and aor_of("sip:h") == "" and aor_of("sip:a@h", True) == "a"
    )


@pytest.mark.parametrize(
    "contact", ["*, <sip:a@b>", "*", "<tel:1>", "bob", "<sip:a@b?Route=x>", ", ".join(f"<sip:a@h{n}>" for n in range(30))]
)
def test_what_is_no_contact_is_said(contact: str) -> None:
    with pytest.raises(ValueError):
        read((("Contact", contact),), "", ("", 0))


@given(
    st.lists(
        st.tuples(st.sampled_from(["Contact", "m", "Expires", "CSeq", "Via", "Authorization"]), st.text(max_size=60)), max_size=6
    ),
    st.text(max_size=30),
)
def test_any_headers_are_answered(headers: list[tuple[str, str]], to: str) -> None:
    """Whoever sends it, whatever it says: an answer that can be sent, and nobody registered but by a 200."""
    for trusted in (True, False):
        registrar = Registrar(LocationBook(RULES), {"a": "b"}, "r", CredentialCheck(b"x"), False)
        request = OutsideReceived(1, "REGISTER", "sip:h", "<sip:f@h>", to, "c", "1.2.3.4", 5, tuple(headers))
        answer = registrar.register(request, trusted, 1000.0)
        assert answer.code in (200, 400, 401, 403, 404, 423) and (answer.code == 200 or not len(registrar.book))
        assert not any(letter in line for line in answer.headers for letter in "\r\n\0")
        assert trusted or answer.code != 200


def test_where_requests_go_back_to() -> None:
    assert hop(UserBinding("a", "sip:x", 0, source_ip="::1", source_port=5, transport="tcp")) == "[::1]:5/tcp"
    assert hop(UserBinding("a", "sip:x", 0, source_ip="1.1.1.1", source_port=5, transport="ws")) == ""


def test_a_file_of_users(tmp_path: Path) -> None:
    (tmp_path / "u").write_text("# x\n\na:b:c\n")
    assert parse_users(str(tmp_path / "u")) == (("a", "b:c"),)
    (tmp_path / "u").write_text("a\n")
    for path, what in (("u", "line 1"), ("v", "cannot be read")):
        with pytest.raises(ValueError, match=what):
            parse_users(str(tmp_path / path))


# ----------------------------------------------------------------------------------------------------------------------- disk
async def test_the_disk_has_what_memory_has(tmp_path: Path) -> None:
    keeper = LocationKeeper(tmp_path / "x.db")
    assert await keeper.open() == []
    book = LocationBook(RULES, keeper.changed)
    book.register("a@h", RegisterOrder((ContactOrder("sip:x@1"), ContactOrder("sip:y@1"))), 10.0)
    book.register("a@h", RegisterOrder((ContactOrder("sip:x@1", 0),), cseq=1), 11.0)
    book.register("b@h", RegisterOrder((ContactOrder("sip:z@1"),)), 11.0)
    await asyncio.gather(keeper.written(), keeper.written())
    await keeper.database.close()
    with sqlite3.connect(tmp_path / "x.db") as connection:
        connection.execute("INSERT INTO binding VALUES ('q', 'q', '{')")
    again = LocationKeeper(tmp_path / "x.db")
    found = {one.aor: one for one in await again.open()}
    assert found == {one.aor: one for one in book} and len(found) == 2
    fresh = LocationBook(RULES, again.changed)
    for one in found.values():
        fresh.load(one)
    assert fresh.sweep(1000.0) == 2 and len(fresh) == 0
    await again.written()
    await again.database.close()
