# SPDX-License-Identifier: GPL-2.0-or-later
"""voicemail.conf: what cannot be is said with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from di.apps.voicemail.options import Options
from di.kernel.config import ConfigFile, parse
from di.kernel.errors import ConfigError
from di.kernel.options import load


def read(text: str) -> Options:
    conf = ConfigFile("voicemail.conf")
    parse(text, conf, Path("/"), lambda path: "")
    return load(Options, conf, {}, "voicemail")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rec_file_ext=exe\n", "voicemail.conf:1: rec_file_ext: 'exe' cannot be used: recordings can be: .wav"),
        ("default_vm_mode=4\n", "voicemail.conf:1: default_vm_mode: 4 is not a whole number from 0 to 3"),
        ("mail_header_vars=a,b\n", "'a,b' is no name; names are separated by `;`"),
        ("max_record_time=0\n", "max_record_time"),
    ],
)
def test_what_cannot_be(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        read(text)
    assert said in str(raised.value)


def test_what_can_be() -> None:
    options = read("rec_file_ext=.ogg\nmail_header_vars=ref;call-id;\nmysql_user=x\n")
    assert (options.rec_file_ext, options.mail_header_vars) == ("ogg", ("ref", "call-id"))
