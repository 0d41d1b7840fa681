# SPDX-License-Identifier: GPL-2.0-or-later
"""What of a server's words is shown, and where TLS is demanded. The sessions themselves: tests/peers/test_mail_queue.py."""

from __future__ import annotations

import base64

import pytest

from di.modules.mail.submission import MailServer, without_secrets


@pytest.mark.parametrize(
    ("security", "host", "user", "demanded"),
    [
        ("auto", "mail.example", "", True), ("auto", "localhost", "", None), ("auto", "127.0.0.1", "", None), ("auto", "::1", "", None),
        ("auto", "localhost", "vm", True), ("auto", "localhost.evil.example", "", True),
        ("none", "mail.example", "", False), ("starttls", "localhost", "", True), ("tls", "mail.example", "vm", False),
    ],
)  # fmt: skip
def test_where_starttls_is_demanded(security: str, host: str, user: str, demanded: bool | None) -> None:
    assert MailServer(host, 25, security, user=user, password="p").start_tls is demanded


def test_no_form_of_the_password_is_shown() -> None:
    user, password = "vm", "s3cret-Pass"
    plain = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
    alone = base64.b64encode(password.encode()).decode()
    shown = without_secrets(f"535 no: {password} {plain} {alone}", user, password)
    assert shown == "535 no: … … …"
    assert "s3cret" not in repr(MailServer("h", 25, "tls", user=user, password=password))
