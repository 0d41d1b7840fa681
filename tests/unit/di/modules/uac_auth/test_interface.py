# SPDX-License-Identifier: GPL-2.0-or-later
"""checkAuth: right and wrong credentials, old nonces, replays (spec core.md §10.2). The answers are made by the SIP process's own digest."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from di.kernel.errors import ConfigError, TypeMismatch
from di.modules.uac_auth import PLUGIN
from di.modules.uac_auth.check import NONCE_S, CredentialCheck
from di.sip.auth_params import parameters
from interfaces.sip.digest import Challenge, answer
from tests.support.playbook import Playbook


@pytest.fixture
def book() -> Playbook:
    playbook = Playbook()
    playbook.load(PLUGIN, "server_secret=sesame\n")
    return playbook


def ask(book: Playbook, authorization: str = "", method: str = "INVITE", body: str = "", password: str = "pw") -> Any:
    request = {"method": method, "authorization": authorization, "body": body}
    return book.invoke("uac_auth", "checkAuth", request, "r", "u", password)


def credentials(nonce: str, uses: int = 1, password: str = "pw", user: str = "u", qop: str = "auth") -> str:
    challenge = Challenge("Authorization", "r", nonce, "", "MD5", qop, False)
    return answer(challenge, "INVITE", "sip:us", user, password, "c", uses)[1]


def nonce_of(book: Playbook) -> str:
    code, reason, line = ask(book)
    assert (code, reason) == (401, "Unauthorized") and line.endswith('"\r\n')
    assert line.startswith('WWW-Authenticate: Digest realm="r", qop="auth,auth-int", nonce="')
    return parameters(line.strip().partition("Digest ")[2])["nonce"]


def test_right_and_wrong(book: Playbook) -> None:
    nonce = nonce_of(book)
    assert ask(book, credentials(nonce)) == [200, "OK", ""]
    for uses in (2, 10, 0x1F):  # hexadecimal, as it is written
        assert ask(book, credentials(nonce, uses)) == [200, "OK", ""]
    assert ask(book, credentials(nonce, 0x1F))[0] == 401, "the same again"
    assert ask(book, credentials(nonce, 40, "other"))[0] == 401 and ask(book, credentials(nonce, 41, user="v"))[0] == 401
    assert ask(book, credentials("0" * 40))[0] == 401 and ask(book, "Basic dTpwdw==")[0] == 401
    assert ask(book, credentials(nonce, qop="")) == [200, "OK", ""], "RFC 2069"
    assert ask(book, method="ACK") == ask(book, method="CANCEL") == [200, "OK", ""]


def test_an_old_nonce(book: Playbook) -> None:
    nonce = nonce_of(book)
    book.run(NONCE_S + 2)
    assert ask(book, credentials(nonce))[0] == 401


def test_wrong_types(book: Playbook) -> None:
    for arguments in ([], [{}, "r", "u"], ["INVITE", "r", "u", "p"], [{}, 1, "u", "p"], [{"body": 1}, "r", "u", "p"]):
        with pytest.raises(TypeMismatch):
            book.invoke("uac_auth", "checkAuth", *arguments)
    assert book.invoke("uac_auth", "getHandler") is None and book.invoke("uac_auth", "getHandler", 1, 2) is None


def test_a_short_secret_stops_the_start() -> None:
    with pytest.raises(ConfigError, match="server_secret: … cannot be used"):
        Playbook().load(PLUGIN, "server_secret=four\n")


@given(st.text(max_size=200), st.binary(max_size=20))
def test_any_text_is_no_credential(text: str, body: bytes) -> None:
    check = CredentialCheck(b"sesame")
    for value in (text, f"Digest {text}", f'Digest username="u", realm="r", nonce="{check.nonce(5)}", {text}'):
        assert not check.right("INVITE", value, body, "r", "u", "pw", 5)
