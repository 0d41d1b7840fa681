# SPDX-License-Identifier: GPL-2.0-or-later
"""Digest answers to 401 and 407 for requests that pjsip does not authenticate for us (RFC 3261 §22, RFC 7616, RFC 8760). Pure text.

pjsip answers the challenges of calls itself; subscriptions and requests outside of dialogs come here.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from di.sip.auth_params import parameters
from interfaces.sip.message import Message, wire_bytes

MOST_ANSWERS = 3
"""To one who asks, of one request: one, and two more when he says that the nonce was stale."""
_MAX_ROUNDS = 6
"""Of one request, by all proxies on its way and the server: a row of names that each ask once more must come to an end."""
_ANSWER_NAMES = {"www-authenticate": "Authorization", "proxy-authenticate": "Proxy-Authorization"}
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
        answer_name = _ANSWER_NAMES.get(name.lower())
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


def why_not(message: Message) -> str:
    """Why no challenge of a 401 or 407 can be answered here, for a line in the log; empty when one can, or there is none."""
    if challenges(message):
        return ""
    shown = [value for name, value in message.headers if name.lower() in _ANSWER_NAMES]
    if not shown:
        return ""
    given = parameters(shown[0].strip().partition(" ")[2])
    if not shown[0].strip().lower().startswith("digest "):
        return f"it asks for {shown[0].split()[0] if shown[0].split() else 'nothing'!r}: only Digest is known here"
    if (algorithm := given.get("algorithm", "MD5")).upper() not in _HASHES:
        return f"it asks for the algorithm {algorithm!r}: {', '.join(_HASHES)} are known here"
    if "nonce" not in given:
        return "it has no nonce"
    return f"it asks for qop={given.get('qop', '')!r}: only `auth` is known here, let the server offer it beside"


def answer(
    challenge: Challenge, method: str, uri: str, username: str, password: str, cnonce: str, uses: int = 1
) -> tuple[str, str]:
    """Header name and value that answer a challenge, its nonce used for so many times. `cnonce`: random, from the caller."""

    def digest(text: str) -> str:
        return hashlib.new(_HASHES[challenge.algorithm], wire_bytes(text)).hexdigest()

    secret = digest(f"{username}:{challenge.realm}:{password}")
    request = digest(f"{method}:{uri}")
    fields = [("username", username), ("realm", challenge.realm), ("nonce", challenge.nonce), ("uri", uri)]
    if challenge.qop:
        response = digest(f"{secret}:{challenge.nonce}:{uses:08x}:{cnonce}:{challenge.qop}:{request}")
    else:
        response = digest(f"{secret}:{challenge.nonce}:{request}")
    fields.append(("response", response))
    if challenge.opaque:
        fields.append(("opaque", challenge.opaque))
    words = [f'{name}="{_quotable(text)}"' for name, text in fields]
    words.append(f"algorithm={challenge.algorithm}")
    if challenge.qop:
        words += [f'cnonce="{cnonce}"', f"qop={challenge.qop}", f"nc={uses:08x}"]
    return challenge.answer_name, "Digest " + ", ".join(words)


class Login:
    """Answers challenges, not for ever and only to who asked first. `realm`: the only one that is answered, empty for any.

    A proxy and the server behind it may both ask: what has been answered goes along with each further attempt.
    """

    def __init__(self, realm: str, username: str, password: str) -> None:
        self._realm, self._username, self._password = realm, username, password
        self._asked: dict[tuple[str, str], Challenge] = {}
        self._uses: dict[str, int] = {}
        self._answers: dict[tuple[str, str], int] = {}
        self._source = ""

    def fits(self, realm: str, username: str, password: str) -> bool:
        """Whether it is for these credentials."""
        return (self._realm, self._username, self._password) == (realm, username, password)

    def begin(self) -> None:
        """The next request is another one."""
        self._answers = {}

    def again(self, method: str, uri: str, cnonce: str) -> tuple[tuple[str, str], ...]:
        """Headers for a new request, by nonces that are known; empty when none is. Whoever challenges it first is answered."""
        self.begin()
        self._source = ""
        return tuple(self._written(challenge, method, uri, cnonce) for challenge in self._asked.values())

    def answer(self, message: Message, source: str, method: str, uri: str, cnonce: str) -> tuple[tuple[str, str], ...]:
        """The headers that go with the request sent again; empty when it is not. `source`: where the challenge came from."""
        offered = [challenge for challenge in challenges(message) if self._realm in ("", challenge.realm)]
        if not self._username or not offered or self._source not in ("", source) or not self._fresh(offered[0]):
            self._asked = {}
            return ()
        self._source = source
        self._asked[_place(offered[0])] = offered[0]
        return tuple(self._written(challenge, method, uri, cnonce) for challenge in self._asked.values())

    def _fresh(self, challenge: Challenge) -> bool:
        """Whether it may be answered: once, and twice more when the nonce was too old, not the password wrong."""
        place = _place(challenge)
        answers = self._answers.get(place, 0)
        self._answers[place] = answers + 1
        return sum(self._answers.values()) <= _MAX_ROUNDS and (answers == 0 or (challenge.stale and answers < MOST_ANSWERS))

    def accepted(self, message: Message) -> None:
        """A reply came that asks for nothing; it may name the nonce of the next request (RFC 7616 §3.5)."""
        for name, value in message.headers:
            answer_name = {"authentication-info": "Authorization", "proxy-authentication-info": "Proxy-Authorization"}.get(
                name.lower()
            )
            following = parameters(value).get("nextnonce", "")
            for place, challenge in list(self._asked.items()):
                if following and place[0] == answer_name:
                    self._asked[place] = replace(challenge, nonce=following)

    def _written(self, challenge: Challenge, method: str, uri: str, cnonce: str) -> tuple[str, str]:
        uses = self._uses.get(challenge.nonce, 0) + 1
        known = {asked.nonce for asked in self._asked.values()}
        self._uses = {nonce: count for nonce, count in self._uses.items() if nonce in known} | {challenge.nonce: uses}
        return answer(challenge, method, uri, self._username, self._password, cnonce, uses)


def _place(challenge: Challenge) -> tuple[str, str]:
    return challenge.answer_name, challenge.realm


def _quotable(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
