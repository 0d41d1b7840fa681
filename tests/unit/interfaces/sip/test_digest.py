# SPDX-License-Identifier: GPL-2.0-or-later
"""Digest answers against the examples of the RFCs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from di.sip.auth_params import parameters
from interfaces.sip.digest import Challenge, Login, answer, challenges, why_not
from interfaces.sip.message import parse


def reply(*lines: str) -> object:
    return parse("SIP/2.0 401 Unauthorized\r\n" + "".join(line + "\r\n" for line in lines) + "\r\n")


def test_answer_of_rfc_2617() -> None:
    """RFC 2617 §3.5, the only published digest with qop and MD5."""
    challenge = Challenge(
        "Authorization",
        "testrealm@host.com",
        "dcd98b7102dd2f0e8b11d0f600bfb0c093",
        "5ccc069c403ebaf9f0171e9517f40e41",
        "MD5",
        "auth",
        False,
    )
    name, value = answer(challenge, "GET", "/dir/index.html", "Mufasa", "Circle Of Life", "0a4f113b")
    given_back = parameters(value.removeprefix("Digest "))
    assert name == "Authorization" and given_back["response"] == "6629fae49393a05397450978507c4ef1"
    assert given_back["opaque"] == "5ccc069c403ebaf9f0171e9517f40e41" and given_back["nc"] == "00000001"


def test_answer_of_rfc_7616() -> None:
    """RFC 7616 §3.9.1, SHA-256."""
    challenge = Challenge(
        "Authorization", "http-auth@example.org", "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS", "SHA-256", "auth", False,
    )  # fmt: skip
    cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    _, value = answer(challenge, "GET", "/dir/index.html", "Mufasa", "Circle of Life", cnonce)
    assert parameters(value)["response"] == "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"


def test_without_qop_as_rfc_2069_had_it() -> None:
    (challenge,) = challenges(reply('WWW-Authenticate: Digest realm="r", nonce="n"'))  # type: ignore[arg-type]
    value = parameters(answer(challenge, "SUBSCRIBE", "sip:a@b", "u", "p", "c")[1].removeprefix("Digest "))
    assert "qop" not in value and "cnonce" not in value
    import hashlib

    def md5(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    assert value["response"] == md5(f"{md5('u:r:p')}:n:{md5('SUBSCRIBE:sip:a@b')}")


def test_challenges_that_can_be_answered() -> None:
    found = challenges(
        reply(
            'WWW-Authenticate: Digest realm="a, b", nonce="1", algorithm=SHA-256, qop="auth,auth-int"',
            'Proxy-Authenticate: digest realm="p\\"q",nonce="2",stale=TRUE,opaque="o"',
            'WWW-Authenticate: Digest realm="x", nonce="3", qop="auth-int"',
            'WWW-Authenticate: Digest realm="x", nonce="4", algorithm=AKAv1-MD5',
            'WWW-Authenticate: Digest realm="x"',
            'WWW-Authenticate: Basic realm="x"',
        )  # type: ignore[arg-type]
    )
    assert found == [
        Challenge("Authorization", "a, b", "1", "", "SHA-256", "auth", False),
        Challenge("Proxy-Authorization", 'p"q', "2", "o", "MD5", "", True),
    ]


@given(st.text(max_size=200))
def test_any_text_gives_parameters(text: str) -> None:
    """Nothing raises, and no name is empty."""
    assert all(name and name == name.lower() for name in parameters(text))


@given(st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=30))
def test_what_is_quoted_is_read_again(name: str) -> None:
    _, value = answer(Challenge("Authorization", name, "n", "", "MD5", "", False), "SUBSCRIBE", "sip:a@b", name, "p", "c")
    given_back = parameters(value.removeprefix("Digest "))
    assert (given_back["username"], given_back["realm"], given_back["uri"]) == (name, name, "sip:a@b")


def challenge(name: str = "WWW", nonce: str = "n", more: str = 'qop="auth"', realm: str = "r") -> object:
    return reply(f'{name}-Authenticate: Digest realm="{realm}", nonce="{nonce}", {more}')


def given_of(headers: tuple[tuple[str, str], ...]) -> list[tuple[str, str, str]]:
    values = [(name, parameters(value.removeprefix("Digest "))) for name, value in headers]
    return [(name, given["nonce"], given["nc"]) for name, given in values]


def said(login: Login, message: object, source: str = "192.0.2.1") -> list[tuple[str, str, str]]:
    return given_of(login.answer(message, source, "REGISTER", "sip:d", "c"))  # type: ignore[arg-type]


def test_a_nonce_is_used_again_with_the_next_count() -> None:
    login = Login("", "u", "p")
    assert login.again("REGISTER", "sip:d", "c") == ()
    assert said(login, challenge()) == [("Authorization", "n", "00000001")]
    for count in range(2, 18):
        assert given_of(login.again("REGISTER", "sip:d", "c")) == [("Authorization", "n", f"{count:08x}")]
    assert said(login, challenge(nonce="m", more='qop="auth", stale=true')) == [("Authorization", "m", "00000001")]
    login.accepted(reply('Authentication-Info: nextnonce="o", rspauth="x"'))  # type: ignore[arg-type]
    assert given_of(login.again("REGISTER", "sip:d", "c")) == [("Authorization", "o", "00000001")]


def test_a_proxy_and_the_server_behind_it() -> None:
    login = Login("", "u", "p")
    assert said(login, challenge("Proxy", "p")) == [("Proxy-Authorization", "p", "00000001")]
    assert said(login, challenge("WWW", "w")) == [("Proxy-Authorization", "p", "00000002"), ("Authorization", "w", "00000001")]
    assert said(login, challenge("WWW", "x")) == []


def test_a_refusal_is_no_loop() -> None:
    login = Login("", "u", "p")
    assert said(login, challenge()) != [] and said(login, challenge(nonce="m")) == []
    login.begin()
    rounds = 0
    while said(login, challenge(nonce=f"n{rounds}", realm=f"r{rounds}", more='qop="auth", stale=true')):
        rounds += 1
    assert rounds <= 6
    login = Login("", "u", "p")
    assert said(login, challenge(), "192.0.2.1") != [] and said(login, challenge("Proxy"), "192.0.2.66") == []
    assert Login("", "", "p").answer(challenge(), "a", "REGISTER", "sip:d", "c") == ()  # type: ignore[arg-type]


def test_why_a_challenge_is_not_answered() -> None:
    assert why_not(challenge()) == "" and why_not(reply()) == ""  # type: ignore[arg-type]
    assert "qop='auth-int'" in why_not(challenge(more='qop="auth-int"'))  # type: ignore[arg-type]
    assert "'AKAv1-MD5'" in why_not(challenge(more="algorithm=AKAv1-MD5"))  # type: ignore[arg-type]
    assert "'Basic'" in why_not(reply('WWW-Authenticate: Basic realm="x"'))  # type: ignore[arg-type]
    assert "nonce" in why_not(reply('WWW-Authenticate: Digest realm="x"'))  # type: ignore[arg-type]
    assert why_not(reply("WWW-Authenticate:")) != ""  # type: ignore[arg-type]
