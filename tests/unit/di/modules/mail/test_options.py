# SPDX-License-Identifier: GPL-2.0-or-later
"""mail.conf: what does not fit together is said with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from di.kernel.config import ConfigFile, parse
from di.kernel.errors import ConfigError
from di.kernel.options import load
from di.modules.mail.options import Options, check


def read(text: str) -> Options:
    conf = ConfigFile("mail.conf")
    parse(text, conf, Path("/"), lambda path: "")
    return load(Options, conf, {}, "mail")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("smtp_user=vm\n", "mail.conf:1: smtp_password: is missing, while smtp_user is set"),
        ("smtp_password=x\n", "mail.conf:1: smtp_user: is missing"),
        ("smtp_server=mail.example\nsmtp_user=vm\nsmtp_password=x\nsmtp_security=none\n", "mail.conf:4: smtp_security: none would send the password"),
        ("from_address=me\n", "mail.conf:1: from_address: 'me' cannot be used: right is one address"),
        ("smtp_security=ssl\n", "mail.conf:1: smtp_security: 'ssl' is none of: auto, starttls, tls, none"),
    ],
)  # fmt: skip
def test_what_cannot_be(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        check(read(text))
    assert said in str(raised.value)


def test_the_password_is_in_no_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        check(read("smtp_server=mail.example\nsmtp_user=vm\nsmtp_password=s3cret\nsmtp_security=none\n"))
    assert "s3cret" not in str(raised.value)
