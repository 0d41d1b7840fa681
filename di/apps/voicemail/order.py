# SPDX-License-Identifier: GPL-2.0-or-later
"""What is to become of a call's message: read from its P-App-Param as a proxy's route writes it (spec applications.md §13). Pure.

mod=both;eml=anna@shop.example;usr=anna;snd=sip:ben@there.example;dom=shop.example;uid=17;did=3
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import IntEnum

import orjson

from di.apps.api import APP_PARAMS_HEADER, CallInfo, Refused, first_header, is_address, order_param, parse_uri, printable
from di.apps.voicemail.options import Options


class VoicemailMode(IntEnum):
    """`default_vm_mode` and `mod`."""

    MAIL = 0
    BOX = 1
    BOTH = 2
    ANNOUNCEMENT = 3

    @property
    def mails(self) -> bool:
        """Whether a mail is sent."""
        return self in (VoicemailMode.MAIL, VoicemailMode.BOTH)

    @property
    def boxes(self) -> bool:
        """Whether the message goes into a box."""
        return self in (VoicemailMode.BOX, VoicemailMode.BOTH)


_MODES = {"box": VoicemailMode.BOX, "both": VoicemailMode.BOTH, "ann": VoicemailMode.ANNOUNCEMENT}
"""Any other value leaves the default, `voicemail` too."""


@dataclass(frozen=True, slots=True)
class VoicemailOrder:
    """For whom, from whom, how kept. `uid` and `did` name box and greetings; `variables` are those of `mail_header_vars`."""

    mode: VoicemailMode
    language: str
    email: str
    user: str
    sender: str
    domain: str
    kind: str
    uid: str
    did: str
    ts: int
    variables: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> str:
        """For the journal."""
        return orjson.dumps({**asdict(self), "mode": int(self.mode)}).decode()

    @staticmethod
    def from_json(text: str) -> VoicemailOrder:
        """From the journal. Raises ValueError, KeyError or TypeError for what `to_json` has not written."""
        data = orjson.loads(text)
        variables = tuple((name, value) for name, value in data.pop("variables"))
        return VoicemailOrder(VoicemailMode(data.pop("mode")), variables=variables, **data)


def read_order(info: CallInfo, options: Options, epoch_s: float) -> VoicemailOrder:
    """What a call asks for. Raises Refused with SEMS's replies.

    Headers of who is none of `trusted_peers` are not there any more, so a stranger asks for nothing.
    """
    simple = options.simple_mode
    headers = () if simple else info.headers
    if not simple and not options.email_address and first_header(headers, APP_PARAMS_HEADER) is None:
        raise _refused("parameters not found")
    uri = parse_uri(info.request_uri)

    def param(short: str, long: str, default: str = "") -> str:
        return order_param(headers, (short, long), default=default)

    mode, language, email = VoicemailMode(options.default_vm_mode), "", options.email_address
    if not options.email_address:
        mode = _MODES.get(param("mod", "Mode").lower(), mode)
        language, email = param("lng", "Language"), param("eml", "Email-Address")
    user = param("usr", "User", printable(uri.user))
    domain = "default" if simple else param("dom", "Domain", printable(uri.host.strip("[]")))
    order = VoicemailOrder(
        mode, language, email, user, param("snd", "Sender", printable(info.from_header)), domain,
        "vm" if simple else param("typ", "Type", "vm"), param("uid", "UserID", user), param("did", "DomainID", domain), int(epoch_s),
        tuple((name, param(name, name)) for name in options.mail_header_vars),
    )  # fmt: skip
    if mode.mails and not is_address(email):
        raise _refused("no email address")
    for missing, value in (("user", order.user), ("sender", order.sender)):
        if not value:
            raise _refused(f"{missing} missing")
    return order


def _refused(why: str) -> Refused:
    return Refused(500, f"voicemail: {why}")
