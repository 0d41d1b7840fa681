# SPDX-License-Identifier: GPL-2.0-or-later
"""Digest answers to 401 and 407 for requests that pjsip does not authenticate for us (RFC 3261 §22, RFC 7616, RFC 8760). Pure text.

pjsip answers the challenges of calls itself; subscriptions and requests outside of dialogs come here.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from interfaces.sip.message import Message, wire_bytes

_MAX_ANSWERS = 2
"""One, and one more when the peer says that the nonce was stale."""
_HASHES = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}


@dataclass(frozen=True, slots=True)
class Challenge:
    """One WWW-Authenticate or Proxy-Authenticate. `answer_name`: the header that answers it."""

    answer_name: str
    realm: str
    nonce: str
    opaque: str
    algorithm: str
    qop: str
    stale: bool


def challenges(message: Message) -> list[Challenge]:
    """The Digest challenges of a reply that can be answered here, in the server's order of preference (RFC 8760 §2.4)."""
    found = []
    for name, value in message.headers:
        answer_name = {"www-authenticate": "Authorization", "proxy-authenticate": "Proxy-Authorization"}.get(name.lower())
        scheme, _, rest = value.strip().partition(" ")
        if answer_name is None or scheme.lower() != "digest":
            continue
        given = parameters(rest)
        algorithm = given.get("algorithm", "MD5").upper()
        offered = [word.strip().lower() for word in given.get("qop", "").split(",") if word.strip()]
        known = "nonce" in given and algorithm in _HASHES and (not offered or "auth" in offered)
        if known:
            found.append(
                Challenge(
                    answer_name, given.get("realm", ""), given["nonce"], given.get("opaque", ""), algorithm,
                    "auth" if offered else "", given.get("stale", "").lower() == "true",
                )
            )  # fmt: skip
    return found


def answer(challenge: Challenge, method: str, uri: str, username: str, password: str, cnonce: str) -> tuple[str, str]:
    """Header name and value that answer a challenge, its nonce used for the first time. `cnonce`: random, from the caller."""

    def digest(text: str) -> str:
        return hashlib.new(_HASHES[challenge.algorithm], wire_bytes(text)).hexdigest()

    secret = digest(f"{username}:{challenge.realm}:{password}")
    request = digest(f"{method}:{uri}")
    fields = [("username", username), ("realm", challenge.realm), ("nonce", challenge.nonce), ("uri", uri)]
    if challenge.qop:
        response = digest(f"{secret}:{challenge.nonce}:00000001:{cnonce}:{challenge.qop}:{request}")
    else:
        response = digest(f"{secret}:{challenge.nonce}:{request}")
    fields.append(("response", response))
    if challenge.opaque:
        fields.append(("opaque", challenge.opaque))
    words = [f'{name}="{_quotable(text)}"' for name, text in fields]
    words.append(f"algorithm={challenge.algorithm}")
    if challenge.qop:
        words += [f'cnonce="{cnonce}"', f"qop={challenge.qop}", "nc=00000001"]
    return challenge.answer_name, "Digest " + ", ".join(words)


class Login:
    """Answers challenges, not for ever and only to who asked first. `realm`: the only one that is answered, empty for any."""

    def __init__(self, realm: str, username: str, password: str) -> None:
        self._realm, self._username, self._password = realm, username, password
        self._answers = 0
        self._source = ""

    def begin(self) -> None:
        """The next request is another one."""
        self._answers = 0

    def answer(self, message: Message, source: str, method: str, uri: str, cnonce: str) -> tuple[tuple[str, str], ...]:
        """The header that goes with the request sent again; empty when it is not. `source`: where the challenge came from."""
        offered = [challenge for challenge in challenges(message) if self._realm in ("", challenge.realm)]
        fresh = self._answers == 0 or (bool(offered) and offered[0].stale)
        if not self._username or not offered or not fresh or self._answers >= _MAX_ANSWERS or self._source not in ("", source):
            return ()
        self._answers += 1
        self._source = source
        return (answer(offered[0], method, uri, self._username, self._password, cnonce),)


def parameters(text: str) -> dict[str, str]:
    """`name=value, name="quoted, value"` as a dict with lower-case names. Never raises; what is no pair is left out."""
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        equals = text.find("=", at)
        if equals < 0:
            break
        name = text[at:equals].strip(" \t,").lower()
        at = equals + 1
        while at < len(text) and text[at] in " \t":
            at += 1
        value, at = _quoted(text, at + 1) if text[at : at + 1] == '"' else _bare(text, at)
        if name:
            found.setdefault(name, value)
    return found


def _bare(text: str, at: int) -> tuple[str, int]:
    end = text.find(",", at)
    end = len(text) if end < 0 else end
    return text[at:end].strip(), end + 1


def _quoted(text: str, at: int) -> tuple[str, int]:
    """The text of a quoted string that begins at `at`, escapes undone, and where the next pair begins."""
    taken = []
    while at < len(text) and text[at] != '"':
        if text[at] == "\\" and at + 1 < len(text):
            at += 1
        taken.append(text[at])
        at += 1
    comma = text.find(",", at)
    return "".join(taken), len(text) if comma < 0 else comma + 1


def _quotable(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
