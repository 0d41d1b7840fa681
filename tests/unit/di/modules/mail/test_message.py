# SPDX-License-Identifier: GPL-2.0-or-later
"""What a mail looks like on the wire, and that no text from outside adds a line, a header or a recipient."""

from __future__ import annotations

import email
import email.policy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from di.modules.mail.message import KeptFile, compose, from_content, kept, to_content, token_of
from di.stores.mailing import Mail, Mailbox822, is_address
from tests.support.sizes import size

EXPECTED = {
    "message-id", "date", "from", "to", "subject", "auto-submitted", "mime-version", "content-type", "x-call",
}  # fmt: skip
TEXT = st.text(max_size=60) | st.sampled_from(
    ["a\r\nBcc: x@evil.example", "a\nX: y", "\r\n.\r\nQUIT", "ü€😀", "x" * 2000, "\ud800", "\x85a\u2028b"]
)


def mail(**more: object) -> Mail:
    values: dict[str, object] = {
        "key": "k",
        "to": (Mailbox822("anna@shop.example", "Anna"),),
        "subject": "Hello",
        "body": "Text\n",
    }
    return Mail(**{**values, **more})  # type: ignore[arg-type]


def read(data: bytes) -> email.message.EmailMessage:
    message = email.message_from_bytes(data, policy=email.policy.default)
    assert isinstance(message, email.message.EmailMessage)
    return message


def test_a_mail_with_a_file() -> None:
    files = (KeptFile("t-0.wav", "message.wav"),)
    keep = kept(mail(sender=Mailbox822("ben@there.example", "Ben ü")), "vm@here.example", 1_700_000_000, files)
    message = read(compose(keep, [b"RIFF\r\n\0\xff"]))
    assert message["From"] == "Ben ü <ben@there.example>" and message["To"] == "Anna <anna@shop.example>"
    assert message["Date"] == "Tue, 14 Nov 2023 22:13:20 +0000"
    assert message["Message-ID"] == f"<{token_of('k')}@here.example>" and message["Auto-Submitted"] == "auto-generated"
    body = message.get_body()
    assert body is not None and body.get_content() == "Text\r\n"
    [attached] = message.iter_attachments()
    assert attached.get_content_maintype() == "audio" and attached.get_filename() == "message.wav"
    assert attached.get_content() == b"RIFF\r\n\0\xff"


def test_the_message_id_is_that_of_the_key() -> None:
    assert token_of("a") == token_of("a") != token_of("b")
    assert len(token_of("\ud800")) == 32


@pytest.mark.parametrize(
    "address",
    ["", "anna", "a@b\r\nRCPT TO:<x@y>", "a b@c", "a@b,c@d", "<a@b>", "a@b>", "ü@b", "a@b..c", ".a@b", "x" * 300 + "@b"],
)
def test_no_address(address: str) -> None:
    assert not is_address(address)
    with pytest.raises(ValueError, match="is no mail address"):
        kept(mail(to=(Mailbox822(address),)), "vm@here.example", 0, ())


@pytest.mark.parametrize("address", ["anna@shop.example", "a.b+c@localhost", "o'hara@x-y.example", "a@[192.0.2.1]"])
def test_addresses(address: str) -> None:
    assert is_address(address)


def test_a_sender_that_cannot_be_used_becomes_a_name() -> None:
    keep = kept(mail(sender=Mailbox822("sip:anna@there", "")), "vm@here.example", 0, ())
    assert keep.sender == ("sip:anna@there", "vm@here.example")


def test_headers_of_ours_are_not_replaced() -> None:
    headers = (("Bcc", "x@evil.example"), ("X-Call", "17"), ("X Y", "z"), ("Content-Type", "text/html"), ("", "x"))
    message = read(compose(kept(mail(headers=headers), "vm@here.example", 0, ()), []))
    assert {name.lower() for name in message} == EXPECTED | {"content-transfer-encoding"} and message["X-Call"] == "17"


@settings(max_examples=size(150, 20_000), deadline=None)
@given(name=TEXT, subject=TEXT, body=TEXT, value=TEXT, file=TEXT, sender=TEXT)
def test_any_text_adds_no_header_and_no_recipient(name: str, subject: str, body: str, value: str, file: str, sender: str) -> None:
    """Fuzz: whatever the texts are, the message has exactly the headers that were meant, one recipient, one attachment."""
    given_mail = mail(
        to=(Mailbox822("anna@shop.example", name),),
        subject=subject,
        body=body,
        headers=(("X-Call", value),),
        sender=Mailbox822(sender, name),
    )
    keep = kept(given_mail, "vm@here.example", 0, (KeptFile("f", file),))
    assert from_content(to_content(keep)) == keep
    data = compose(keep, [b"sound"])
    assert b"\n" not in data.replace(b"\r\n", b"") and b"\r" not in data.replace(b"\r\n", b"")
    assert max(map(len, data.split(b"\r\n"))) <= 998
    message = read(data)
    assert sorted(name.lower() for name in message) == sorted(EXPECTED)
    assert message["To"].addresses[0].addr_spec == "anna@shop.example"
    assert len(message["To"].addresses) == len(message["From"].addresses) == 1
    [attached] = message.iter_attachments()
    assert attached.get_payload(decode=True) == b"sound"
