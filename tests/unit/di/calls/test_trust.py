# SPDX-License-Identifier: GPL-2.0-or-later
"""What a stranger's headers steer (nothing), and what a trusted peer's do, in every application that reads one."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from di.apps import ann_b2b, announce_transfer, conference, early_announce, webconference
from di.calls import snapshot
from di.calls.application import Application
from di.calls.call_info import CallInfo, Target
from di.calls.pair import Pair
from di.calls.selection import Selection
from di.calls.trust import is_public, return_path_known, signalling_of, trusts
from di.kernel.errors import CallFailed, DIError
from di.kernel.server_options import CoreOptions, parse_networks
from di.modules.di_dial import PLUGIN as DI_DIAL
from di.sip import records as sip
from di.spoken.tones import MELODIES, write
from tests.support.playbook import Playbook

STRANGER, PEER = "203.0.113.7", "127.0.0.1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("etc")
    for name in (*MELODIES, "default"):
        write(path / "prompts" / f"{name}.wav", ((1000, 20),))
    return path


def book_of(source_ip: str, mapping: str = "^sip:=>desk\n", folder: Path = Path(".")) -> Playbook:
    book = Playbook(conf_dir=folder, mapping=mapping).with_monitoring()
    book.source_ip = source_ip
    book.services.applications.register("desk", Application)
    return book


@pytest.mark.parametrize(
    ("ip", "trusted"),
    [
        ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("::ffff:127.0.0.1", True), ("203.0.113.7", False), ("::2", False),
        ("::ffff:203.0.113.7", False), ("", False), ("localhost", False),
    ],
)  # fmt: skip
def test_loopback_is_trusted_by_default(ip: str, trusted: bool) -> None:
    assert trusts(CoreOptions().trusted_peers, ip) is trusted


def test_networks_of_both_families() -> None:
    networks = parse_networks("192.0.2.0/24, [2001:db8::]/32,198.51.100.1")
    assert [trusts(networks, ip) for ip in ("192.0.2.9", "2001:db8::9", "198.51.100.1", "127.0.0.1")] == [True, True, True, False]
    assert not trusts(parse_networks(""), "127.0.0.1")


# ------------------------------------------------------------------------------------------------------- every reader of one
def test_the_application_that_a_header_names() -> None:
    for source, answers in ((STRANGER, [404]), (PEER, [200])):
        book = book_of(source)
        book.sessions.arrivals.selection = Selection("$(apphdr)")
        assert book.answers(book.offer("x", (("P-App-Name", "desk"),))) == answers


def test_one_line_says_what_does_not_count_and_why(caplog: pytest.LogCaptureFixture) -> None:
    book = book_of(STRANGER)
    call = book.offer("x", (("P-App-Param", "a=b"), ("p-asserted-identity", "<sip:boss@h>"), ("X-Mine", "1")))
    assert book.session(call).info.headers == (("X-Mine", "1"),) and book.session(call).app_params == {}
    (line,) = [record.getMessage() for record in caplog.records if "does not count" in record.getMessage()]
    assert "P-App-Param, p-asserted-identity" in line and f"{STRANGER} is none of trusted_peers" in line and f"id{call}" in line


@pytest.mark.parametrize("header", ["P-App-Param", "P-Dialout-Suffix"])
def test_the_conference_dials_nowhere_for_a_stranger(folder: Path, header: str) -> None:
    """Toll fraud: the caller named the provider, the identity and further headers."""
    value = (
        "Dialout-Suffix=@fraud.example;Dialout-From=<sip:boss@h>;Dialout-Extra=X-A: y"
        if header == "P-App-Param"
        else "@fraud.example"
    )
    for source, configured, uri in (
        (STRANGER, "", ""), (PEER, "", ""), (STRANGER, "@provider.example", "sip:5@provider.example"),
        (PEER, "@provider.example", "sip:5@fraud.example"),
    ):  # fmt: skip
        book = book_of(source, "^sip:=>conference\n", folder)
        book.load(conference.PLUGIN, f'dialout_suffix="{configured}"\n')
        session = book.up("blue", ((header, value),))
        for key in "#*5*":
            book.media.press(session.leg, key)
            book.run(1)
        dialled = [command for command in book.sip.commands if isinstance(command, sip.Dial)]
        assert [dial.request_uri for dial in dialled] == ([uri] if uri else []), (source, configured)
        if source == STRANGER and dialled:
            assert "boss" not in dialled[0].from_uri and dialled[0].headers == ()


def test_nobody_is_connected_for_a_stranger_and_his_words_change_no_announcement(folder: Path) -> None:
    """Toll fraud again: who chooses the Request-URI would have the server dial it."""
    headers = (("P-App-Param", "Final-Reply-Code=603;B2B=yes;lng=de;Refer-To=sip:fraud@fraud.example"),)
    for source, trusted in ((STRANGER, False), (PEER, True)):
        book = book_of(source, "^sip:b2b=>ann_b2b\n^sip:on=>early_announce\n^sip:=>announce_transfer\n", folder)
        for plugin, text in (
            (ann_b2b.PLUGIN, ""),
            (early_announce.PLUGIN, "continue_b2b=app-param\n"),
            (announce_transfer.PLUGIN, ""),
        ):
            book.load(plugin, text)
        assert book.answers(book.offer("b2b", headers)) == [200 if trusted else 403]
        call = book.offer("on", headers)
        book.negotiate(call)
        book.media.finish_item(book.session(call).leg)
        book.run()
        dialled = [command.request_uri for command in book.sip.commands if isinstance(command, sip.Dial)]
        assert (dialled, book.answers(call)) == ((["sip:on@here.example"], [183]) if trusted else ([], [183, 404]))
        session = book.up("transfer", headers)
        book.media.finish_item(session.leg)
        book.run()
        (refer,) = book.sip.of(sip.SendRequest, session.call)
        assert refer.headers == (f"Refer-To: <sip:{'fraud@fraud.example' if trusted else 'transfer@here.example'}>",)


def test_early_announce_connects_nobody_for_a_stranger_however_it_is_configured(folder: Path) -> None:
    book = book_of(STRANGER, "^sip:=>early_announce\n", folder)
    book.load(early_announce.PLUGIN, "continue_b2b=yes\n")
    assert book.answers(book.offer("on")) == [403]


def test_a_stranger_does_not_enter_a_room_by_naming_it(folder: Path) -> None:
    for source, headers, rooms in (
        (STRANGER, (("P-App-Param", "room=secret"),), []), (PEER, (("P-App-Param", "room=secret"),), ["secret"]),
        (STRANGER, (("X-ParticipantID", "42"), ("P-App-Param", "room=secret")), []),
    ):  # fmt: skip
        book = book_of(source, "^sip:=>webconference\n", folder)
        book.load(webconference.PLUGIN, "")
        session = book.up("pbx", headers)
        assert list(book.sessions.rooms.names()) == rooms
        assert (book.media.files(session.leg) == ["enter_pin"]) is (rooms == [])


def test_a_participant_s_id_is_a_trusted_peer_s_word(folder: Path) -> None:
    for source, id in ((STRANGER, ""), (PEER, "42")):
        book = book_of(source, "^sip:=>webconference\n", folder)
        book.load(webconference.PLUGIN, 'direct_room_re="^room"\n')
        book.up("room1", (("X-ParticipantID", "42"),))
        people: Any = book.invoke("webconference", "roomInfo", "room1", "1")[2]
        assert people[0][5] == id


def test_requests_and_the_end_of_a_stranger_s_call_are_without_them_too() -> None:
    seen: list[tuple[str, tuple[tuple[str, str], ...]]] = []

    class Nosy(Application):
        def on_sip_request(self, request: sip.RequestReceived) -> None:
            seen.append((request.method, request.headers))

    for source, kept in ((STRANGER, (("X", "1"),)), (PEER, (("P-Any", "1"), ("X", "1")))):
        seen.clear()
        book = book_of(source)
        book.services.applications.register("nosy", Nosy)
        book.sessions.arrivals.selection = Selection("nosy")
        headers = (("P-Any", "1"), ("X", "1"))
        session = book.confirm(book.offer("x", headers))
        book.sessions.on_sip_event(sip.RequestReceived(session.call, 1, "INFO", headers, "text/plain", b"", True))
        book.sessions.on_sip_event(sip.CallEnded(session.call, 200, "OK", "remote", headers))
        book.run()
        assert seen == [("INVITE", kept), ("INFO", kept), ("BYE", kept)]


# ----------------------------------------------------------------------------------------------------------------- Replaces
@pytest.mark.parametrize(
    ("source", "same_from", "code"),
    [(PEER, False, 200), (STRANGER, True, 200), (STRANGER, False, 403), ("203.0.113.8", True, 403)],
)
def test_who_may_put_another_call_in_its_place(source: str, same_from: bool, code: int) -> None:
    book = book_of(STRANGER)
    first = book.up("x")
    second = book_of_second(book, first)
    info = first.info
    value = f"{info.call_id};to-tag={info.local_tag};from-tag={info.remote_tag}"
    sender = info.from_header.partition(";")[0] if same_from else "<sip:else@there.example>"
    offer = sip.CallOffered(
        99, "sip:x@h", f"{sender};tag=new", "<sip:x@h>", "new@h", "new", "sip:c@h", source, 5060, (("Replaces", value),), b"", True,
        "192.0.2.1", 4999,
    )  # fmt: skip
    book.sessions.on_sip_event(offer)
    book.run()
    assert book.answers(99) == [code]
    assert second in list(book.sessions)


def book_of_second(book: Playbook, first: Any) -> Any:
    """A second leg, up."""
    Pair(first).connect([Target("sip:callee@there.example")])
    book.run()
    (second,) = [session for session in book.sessions if session.info.direction == "out"]
    return book.confirm(second.call)


def test_an_application_without_a_pair_lets_nobody_replace() -> None:
    book = book_of(PEER)
    first = book.up("x")
    value = f"{first.info.call_id};to-tag={first.info.local_tag};from-tag={first.info.remote_tag}"
    assert book.answers(book.offer("x", (("Replaces", value),))) == [403]


# ------------------------------------------------------------------------------------------- what the SIP stack writes itself
BAD = [
    "Via: SIP/2.0/UDP h",
    "Route: <sip:h;lr>",
    "Max-Forwards: 1",
    "X-A: 1\rVia: x",
    "X-A: \0",
    "l: 0",
    "Contact: <sip:h>",
    "nothing",
]


@pytest.mark.parametrize("line", BAD)
def test_headers_of_a_call_out_are_refused_with_the_cause(folder: Path, line: str) -> None:
    book = book_of(PEER, folder=folder)
    book.load(webconference.PLUGIN, "")
    for module, function, arguments in (
        ("core", "dialout", ("desk", "u", "sip:a@h", "sip:b@h", f"X-Good: 1\r\n{line}")),
        ("webconference", "dialout", ("room", "pin", "a", "me", "h", "", "", f"X-Good: 1|{line}")),
    ):
        with pytest.raises(CallFailed, match="header"):
            book.invoke(module, function, *arguments)
    assert not [command for command in book.sip.commands if isinstance(command, sip.Dial)]
    assert list(book.sessions) == []


@pytest.mark.parametrize("uri", ["sip:a@h?X=1", "sip:a@h?Content-Length=0", "sip:a@h;x=y?Contact=%3csip:e@e%3e"])
def test_header_fields_in_the_uris_of_a_call_out_are_refused(uri: str) -> None:
    book = book_of(PEER)
    book.load(DI_DIAL, "")
    for arguments in (("desk", "u", "sip:b@h", uri), ("desk", "u", uri, "sip:b@h")):
        with pytest.raises(DIError, match="header fields"):
            book.invoke("di_dial", "dial", *arguments)
    assert not [command for command in book.sip.commands if isinstance(command, sip.Dial)]


def test_a_refused_order_leaves_nothing_in_the_room(folder: Path) -> None:
    book = book_of(PEER, folder=folder)
    book.load(webconference.PLUGIN, "participants_expire=no\n")
    with pytest.raises(CallFailed):
        book.invoke("webconference", "dialout", "room", "pin", "a", "me", "h", "", "", "Via: x")
    states = [one[2] for one in book.invoke("webconference", "roomInfo", "room", "pin")[2]]
    assert states in ([], [5]), "nobody is left connecting"


def test_a_snapshot_keeps_whose_word_counts() -> None:
    book = book_of(STRANGER)
    session = book.up("x")
    data = snapshot.take(session)
    other = book_of(PEER).up("x")
    snapshot.restore(other, data)
    assert other.info.trusted is False


@pytest.mark.parametrize(
    ("media_ip", "facts", "known"),
    [
        ("192.0.2.1", {}, False),  # by UDP: the source may be forged, and be the victim itself
        ("192.0.2.1", {"connected": True}, True),
        ("192.0.2.2", {"connected": True}, False),
        ("192.0.2.1", {"trusted": True}, True),
        ("192.0.2.2", {"trusted": True}, False),  # a proxy's word for its callers' addresses is asked for by early_media_peers
        ("192.0.2.2", {"vouched": True}, True),
        ("192.0.2.2", {"direction": "out"}, True),
        ("no address", {"trusted": True}, False),
    ],
)
def test_whether_media_may_go_to_an_address_before_anything_has_come_from_it(
    media_ip: str, facts: dict[str, Any], known: bool
) -> None:
    info = replace(CallInfo("in", source_ip="192.0.2.1", trusted=False), **facts)
    assert return_path_known(info, media_ip) is known


def test_what_strangers_write_in_the_place_of_addresses_is_not_kept() -> None:
    """A hundred INVITEs of 60 kB each, with no two texts alike."""
    is_public("192.0.2.1")
    tracemalloc.start()
    try:
        for number in range(100):
            digits = f"{number:x}".zfill(4) * 15_000
            headers = [("Via", f"SIP/2.0/UDP x;received={digits}"), ("Contact", f"<sip:{digits}>")]
            assert signalling_of(STRANGER, headers) == (STRANGER, digits)
            assert not return_path_known(CallInfo("in", source_ip=STRANGER, connected=True), f"fe80::{number:x}%{digits}")
            del digits, headers
        kept_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept_bytes < 1_000_000
