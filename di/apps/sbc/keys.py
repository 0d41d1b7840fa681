# SPDX-License-Identifier: GPL-2.0-or-later
"""The options of a profile, by group (spec applications.md §22.3). `Profile` in `di.apps.sbc.profile` is all of them.

A `str` field takes replacement patterns and is filled in for each call (`Profile.filled`); a list of names, a number and a `bool` are
read once. Texts that mean yes or no, or a number, may be patterns too: `is_yes`, `whole` read them when they are filled in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from di.apps.api import is_sip_uri, option, parse_places
from di.apps.sbc.reply_translation import Translations, parse_translations

FILTERS = ("transparent", "whitelist", "blacklist")
SIDES = ("sendrecv", "sendonly", "recvonly", "inactive")
CONTACT_PARTS = ("displayname", "user", "host", "port", "uri_params", "params")


def names(text: str) -> tuple[str, ...]:
    """A comma list."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def is_yes(text: str) -> bool:
    """A text that is filled in: only `yes` switches on."""
    return text.strip().lower() == "yes"


def whole(text: str, otherwise: int) -> int:
    """A number that is filled in; what is none counts as `otherwise`."""
    return int(text.strip()) if text.strip().isdecimal() and len(text.strip()) < 10 else otherwise


def has_pattern(text: str) -> bool:
    """Whether a text is known for each call only."""
    return "$" in text


def one_of(*choices: str) -> Callable[[str], str]:
    """A text that is one of these, or a pattern."""

    def parse(text: str) -> str:
        if text and not has_pattern(text) and text not in choices:
            raise ValueError(f"right is one of {', '.join(choices)}, or a pattern")
        return text

    return parse


yes_no = one_of("yes", "no")


def number(text: str) -> str:
    """A whole number, or a pattern."""
    if text and not has_pattern(text) and not (text.isdecimal() and len(text) < 10):
        raise ValueError("right is a whole number, or a pattern")
    return text


def places(text: str) -> str:
    """`host[:port][/transport]`, a list, or a pattern."""
    if text and not has_pattern(text):
        parse_places(text)
    return text


def sip_uri(text: str) -> str:
    """A SIP URI, of which the scheme may be missing, or a pattern."""
    if text and not has_pattern(text) and not is_sip_uri(text if text.lower().startswith(("sip:", "sips:")) else f"sip:{text}"):
        raise ValueError("right is a SIP URI, or a pattern")
    return text


def _switch(help: str, default: str = "no") -> str:
    return option(default, help=help, parse=yes_no)


def _list(help: str) -> tuple[str, ...]:
    return option((), help=help, parse=names)


@dataclass(frozen=True)
class IdentityKeys:
    """Who calls whom in the B leg."""

    ruri: str = option("", key="RURI", help="Request-URI of the B leg; empty: the caller's.")
    ruri_host: str = option("", key="RURI_host", help="Host and port of it.")
    from_: str = option("", key="From", help="From of the B leg; empty: the caller's.")
    to: str = option("", key="To", help="To of the B leg; empty: the caller's.")
    call_id: str = option("", key="Call-ID", help="Call-ID of the B leg; empty: a new one.")
    contact: str = option("", key="Contact", help="Not read by SEMS, refused here.")
    transparent_dlg_id: bool = option(False, help="The same Call-ID and tags in both legs.")


@dataclass(frozen=True)
class ContactKeys:
    """Contact, and whether contacts that pass are hidden. `contact_*` is for REGISTER."""

    aleg_contact_displayname: str = option("", help="Contact towards the caller: name.")
    aleg_contact_user: str = option("", help="Contact towards the caller: user.")
    aleg_contact_host: str = option("", help="Contact towards the caller: host.")
    aleg_contact_port: str = option("", help="Contact towards the caller: port.")
    aleg_contact_uri_params: str = option("", help="Contact towards the caller: parameters of the URI.")
    aleg_contact_params: str = option("", help="Contact towards the caller: parameters.")
    bleg_contact_displayname: str = option("", help="Contact towards the called one: name.")
    bleg_contact_user: str = option("", help="Contact towards the called one: user.")
    bleg_contact_host: str = option("", help="Contact towards the called one: host.")
    bleg_contact_port: str = option("", help="Contact towards the called one: port.")
    bleg_contact_uri_params: str = option("", help="Contact towards the called one: parameters of the URI.")
    bleg_contact_params: str = option("", help="Contact towards the called one: parameters.")
    contact_displayname: str = option("", help="Contact of a REGISTER that passes: name.")
    contact_user: str = option("", help="Contact of a REGISTER that passes: user.")
    contact_host: str = option("", help="Contact of a REGISTER that passes: host.")
    contact_port: str = option("", help="Contact of a REGISTER that passes: port.")
    enable_contact_hiding: str = _switch("Contacts that pass are written as addresses of ours.")
    contact_hiding_prefix: str = option("", help="Beginning of the user part of such an address.")
    contact_hiding_vars: str = option("", help="What else is kept in it.")


@dataclass(frozen=True)
class RoutingKeys:
    """Where requests go."""

    outbound_proxy: str = option("", help="Proxy for the B leg, as SIP URI: it becomes the Route.", parse=sip_uri)
    force_outbound_proxy: str = _switch("All requests of the B leg go to it.")
    aleg_outbound_proxy: str = option("", help="The same for the A leg.")
    aleg_force_outbound_proxy: str = _switch("The same for the A leg.")
    next_hop: str = option(
        "", help="Where the INVITE is sent, whatever it says: host[:port][/transport], a list tried in turn.", parse=places
    )
    next_hop_1st_req: bool = option(
        False, help="The INVITE only; else requests inside the dialog too, where no proxy stands in its route."
    )
    next_hop_fixed: bool = option(False, help="Requests inside the dialog in any case.")
    patch_ruri_next_hop: bool = option(False, help="The Request-URI names the next hop, too.")
    aleg_next_hop: str = option("", help="The same for requests to the caller.", parse=places)
    outbound_interface: str = option("", help="Interface of the B leg.")
    aleg_outbound_interface: str = option("", help="Interface of requests to the caller.")
    dlg_nat_handling: bool = option(False, help="Requests in a dialog go to where the last one came from.")


@dataclass(frozen=True)
class FilterKeys:
    """What passes."""

    header_filter: str = option("transparent", help="Which headers pass.", choices=FILTERS)
    header_list: tuple[str, ...] = _list("Names for header_filter.")
    message_filter: str = option("transparent", help="Which methods pass; others are answered 405.", choices=FILTERS)
    message_list: tuple[str, ...] = _list("Names for message_filter.")
    sdp_filter: str = option("transparent", help="Which codecs the B leg is offered.", choices=FILTERS)
    sdpfilter_list: tuple[str, ...] = _list("Names for sdp_filter.")
    aleg_sdp_filter: str = option("", help="Which codecs the A leg may use; empty: as sdp_filter.", choices=("", *FILTERS))
    aleg_sdpfilter_list: tuple[str, ...] = _list("Names for aleg_sdp_filter.")
    media_filter: str = option("transparent", help="Which media pass.", choices=FILTERS)
    mediafilter_list: tuple[str, ...] = _list("Names for media_filter.")
    sdp_alines_filter: str = option("transparent", help="Which a= lines pass.", choices=FILTERS)
    sdp_alinesfilter_list: tuple[str, ...] = _list("Names for sdp_alines_filter.")
    sdp_anonymize: bool = option(False, help="Descriptions that pass do not tell of their sender.")
    allow_subless_notify: bool = option(True, help="NOTIFY passes without a subscription.")


@dataclass(frozen=True)
class HeaderKeys:
    """What is added, changed and refused."""

    append_headers: str = option("", help="Header lines for the first INVITE of the B leg, \\r\\n between them.")
    append_headers_req: str = option("", help="Header lines for every request to the B leg.")
    aleg_append_headers_req: str = option("", help="Header lines for every request to the A leg.")
    reply_translations: Translations = option((), help="`from=>code reason`, separated by `|`.", parse=parse_translations)
    refuse_with: str = option("", help="`code reason` that every request gets.")


@dataclass(frozen=True)
class AuthKeys:
    """Credentials of ours for each leg, and who must show his in the B leg."""

    enable_auth: str = _switch("Challenges of the B leg are answered.")
    auth_user: str = option("", help="User for that.")
    auth_pwd: str = option("", help="Password for that.", secret=True)
    enable_aleg_auth: str = _switch("Challenges of the A leg are answered.")
    auth_aleg_user: str = option("", help="User for that.")
    auth_aleg_pwd: str = option("", help="Password for that.", secret=True)
    enable_bleg_uas_auth: str = _switch("Requests of the B leg must show credentials.")
    uas_auth_bleg_realm: str = option("", help="Realm for that.")
    uas_auth_bleg_user: str = option("", help="User for that.")
    uas_auth_bleg_pwd: str = option("", help="Password for that.", secret=True)


@dataclass(frozen=True)
class TimerKeys:
    """Session intervals (RFC 4028). Empty: as the B leg's, then as in sbc.conf."""

    enable_session_timer: str = option("", help="The B leg has an interval of ours.", parse=yes_no)
    session_expires: str = option("", help="The interval that is asked for, in seconds.", parse=number)
    minimum_timer: str = option("", help="The least that the peer may ask for, in seconds.", parse=number)
    maximum_timer: str = option(
        "", help="The most that a peer's 422 may ask for, in seconds; 0: whatever it wants.", parse=number
    )
    session_refresh_method: str = option(
        "",
        help="How our part is refreshed; UPDATE_FALLBACK_INVITE: by UPDATE where the peer allows it.",
        choices=("", "UPDATE_FALLBACK_INVITE", "UPDATE", "INVITE"),
    )
    accept_501_reply: str = option("", help="A refresh that is answered with 501 counts.", parse=yes_no)
    enable_aleg_session_timer: str = option("", help="The A leg has one; empty: as the B leg.", parse=yes_no)
    aleg_session_expires: str = option("", help="As session_expires.", parse=number)
    aleg_minimum_timer: str = option("", help="As minimum_timer.", parse=number)
    aleg_maximum_timer: str = option("", help="As maximum_timer.", parse=number)
    aleg_session_refresh_method: str = option(
        "", help="As session_refresh_method.", choices=("", "UPDATE_FALLBACK_INVITE", "UPDATE", "INVITE")
    )
    aleg_accept_501_reply: str = option("", help="As accept_501_reply.", parse=yes_no)


@dataclass(frozen=True)
class RtpKeys:
    """The relay of the media process."""

    enable_rtprelay: str = _switch("Accepted; audio always goes through the media process.")
    rtprelay_force_symmetric_rtp: str = _switch("Audio goes to where the peer's comes from.")
    rtprelay_msgflags_symmetric_rtp: str = _switch("The same if bit 2 of header P-MsgFlags is set.")
    rtprelay_interface: str = option("", help="Interface of the B leg's audio.")
    aleg_rtprelay_interface: str = option("", help="Interface of the A leg's audio.")
    rtprelay_transparent_seqno: bool = option(True, help="Accepted; each leg has sequence numbers of its own.")
    rtprelay_transparent_ssrc: bool = option(True, help="Accepted; each leg has an SSRC of its own.")
    rtprelay_dtmf_filtering: str = _switch("Keys do not pass.")
    rtprelay_dtmf_detection: str = _switch("Keys are told to the call's application.")
    a_rtp_mux_ip: str = option("", help="Several streams by one port, A leg.")
    a_rtp_mux_port: str = option("", help="Several streams by one port, A leg.")
    b_rtp_mux_ip: str = option("", help="Several streams by one port, B leg.")
    b_rtp_mux_port: str = option("", help="Several streams by one port, B leg.")


@dataclass(frozen=True)
class CodecKeys:
    """Which codecs, in which order, and who converts."""

    codec_preference: str = option("", help="Codecs that stand first in the B leg's offer: name/clock, a list.")
    prefer_existing_codecs: str = _switch("Codecs that were offered stand before those that we add.")
    codec_preference_aleg: str = option("", help="The same for the A leg.")
    prefer_existing_codecs_aleg: str = _switch("The same for the A leg.")
    transcoder_codecs: str = option("", help="Codecs that we add to an offer: name/clock, a list.")
    callee_codeccaps: str = option("", help="What the called one is known to have: name/clock, a list.")
    enable_transcoder: str = option(
        "never", help="When codecs are added.", parse=one_of("always", "never", "on_missing_compatible")
    )
    dtmf_transcoding: str = option(
        "never", help="When keys in the audio become telephone events.", parse=one_of("always", "never", "lowfi_codec")
    )
    lowfi_codecs: str = option("", help="Codecs that keys do not survive: name/clock, a list.")
    prefer_transcoding_for_codecs: str = option("", help="Codecs after which ours come first: name/clock, a list.")
    prefer_transcoding_for_codecs_aleg: str = option("", help="The same for the A leg.")


@dataclass(frozen=True)
class HoldKeys:
    """How a hold of one side is told to the other."""

    hold_zero_connection_aleg: str = _switch("The A leg hears of it by c=0.0.0.0.")
    hold_zero_connection_bleg: str = _switch("The B leg hears of it by c=0.0.0.0.")
    hold_activity_aleg: str = option("", help="Direction that the A leg is offered.", parse=one_of(*SIDES))
    hold_activity_bleg: str = option("", help="Direction that the B leg is offered.", parse=one_of(*SIDES))
    hold_alter_b2b_aleg: str = _switch("Holds that pass to the A leg are changed like this, too.")
    hold_alter_b2b_bleg: str = _switch("Holds that pass to the B leg are changed like this, too.")


@dataclass(frozen=True)
class OtherKeys:
    """Transfers, registrations, logs, call control."""

    fix_replaces_inv: bool = option(False, help="Replaces of an INVITE names the dialog of the other side.")
    fix_replaces_ref: bool = option(False, help="Replaces in Refer-To names the dialog of the other side.")
    enable_reg_caching: str = _switch("Registrations are remembered.")
    min_reg_expires: str = option("", help="The least that the registrar is asked for, in seconds.", parse=number)
    max_ua_expires: str = option("", help="The most that a phone is told, in seconds.", parse=number)
    msg_logger_path: str = option("", help="Messages are written to a file.")
    log_sip: bool = option(True, help="SIP is written there.")
    log_rtp: bool = option(False, help="RTP is written there.")
    max_491_retry_time: int = option(2000, help="How long a 491 is waited out at most.", unit="ms", maximum=60000)
    call_control: str = option("", help="Instances that are asked about the call: names or patterns, a list.")
