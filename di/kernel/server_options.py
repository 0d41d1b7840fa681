# SPDX-License-Identifier: GPL-2.0-or-later
"""sems.conf: the keys of spec core.md §3 that have a meaning here, and those that are accepted without one."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import ClassVar

from di.kernel.dns_names import parse_servers
from di.kernel.interfaces import DEFAULT, NetInterface, NetInterfaces
from di.kernel.options import further_keys, option
from di.kernel.posix_regex import compile_extended
from media.control.records import RtpAddress
from media.control.srtp_library import SUITES

LOG_LEVELS = {"error": 0, "err": 0, "warning": 1, "warn": 1, "info": 2, "debug": 3, "dbg": 3}


@dataclass(frozen=True, slots=True)
class Limit:
    """`N;code;reason`: refuse with that reply from N on; N 0 is off."""

    count: int
    code: int
    reason: str


def parse_limit(text: str) -> Limit:
    """Read `N;code;reason` (spec core.md §3.4); code and reason may be left out."""
    match = re.fullmatch(r"([0-9]{1,9})(?:;([1-6][0-9]{2})(?:;([^;\r\n]+))?)?", text)
    if match is None:
        raise ValueError('right is "N;code;reason", e.g. "1000;503;Server overload"; N = 0 switches it off')
    return Limit(int(match[1]), int(match[2] or 503), match[3] or "Server overload")


def parse_level(text: str) -> int:
    """Read a log level: 0–3 or its name in any case."""
    level = int(text) if text in ("0", "1", "2", "3") else LOG_LEVELS.get(text.lower())
    if level is None:
        raise ValueError("right is 0 to 3, or error, warning, info or debug")
    return level


def parse_reply(text: str) -> tuple[int, str]:
    """Read `code reason`, as shutdown_mode_reply has it."""
    match = re.fullmatch(r"([3-6][0-9]{2}) ([^\r\n]+)", text)
    if match is None:
        raise ValueError('right is "code reason" with a code from 300 to 699, e.g. "503 Server shutting down"')
    return int(match[1]), match[2]


def parse_addresses(text: str) -> tuple[tuple[str, int, str], ...]:
    """Read `ip[:port][/public ip]`, several separated by commas; an IPv6 address stands in brackets, port 0 or none is 5060."""
    addresses = []
    for part in (part.strip() for part in text.split(",")):
        match = re.fullmatch(r"(\[[0-9A-Fa-f:.%]+\]|[^\s:/\[\]]+)(?::([0-9]{1,5}))?(?:/(\S+))?", part)
        if match is None or int(match[2] or 0) > 65535:
            raise ValueError(f"{part!r}: right is ip, ip:port or ip:port/public_ip, an IPv6 address in brackets")
        addresses.append((match[1].strip("[]"), int(match[2] or 0) or 5060, (match[3] or "").strip("[]")))
    return tuple(addresses)


SRTP_MODES = ("off", "optional", "mandatory")


def parse_modes(text: str) -> tuple[tuple[str, str], ...]:
    """Read `ip=mode`, several separated by commas."""
    modes = []
    for part in (part.strip() for part in text.split(",") if part.strip()):
        ip, _, mode = part.rpartition("=")
        if not ip.strip() or mode.strip() not in SRTP_MODES:
            raise ValueError(f"{part!r}: right is ip=mode with one of {', '.join(SRTP_MODES)}")
        modes.append((ip.strip(" []"), mode.strip()))
    return tuple(modes)


def parse_suites(text: str) -> tuple[str, ...]:
    """Read suites of SRTP, separated by commas."""
    suites = tuple(dict.fromkeys(part.strip().upper() for part in text.split(",") if part.strip()))
    if not suites or not set(suites) <= set(SUITES):
        raise ValueError(f"right are one or more of {', '.join(SUITES)}")
    return suites


def parse_networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Read addresses and networks (`192.0.2.0/24`), separated by commas."""
    try:
        return tuple(ip_network(re.sub(r"[\[\]\s]", "", part), strict=False) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise ValueError(f"{error}; right are addresses or networks, e.g. 192.0.2.0/24, separated by commas") from error


def parse_patterns(text: str) -> tuple[str, ...]:
    """Read POSIX extended expressions, separated by blanks."""
    for pattern in text.split():
        compile_extended(pattern, any_case=True)
    return tuple(text.split())


@dataclass(frozen=True, slots=True)
class CallerLimit:
    """`calls;per minute[;expressions]`: what one caller of RPC may dial; 0 is no limit of his own, no expressions: what all may."""

    calls: int = 0
    per_minute: int = 0
    allow: tuple[str, ...] = ()


def parse_caller_limit(text: str) -> CallerLimit:
    """Read a caller's limit. Raises ValueError that says what would be right."""
    match = re.fullmatch(r"([0-9]{1,6});([0-9]{1,6})(?:;(.*))?", text)
    if match is None:
        raise ValueError(
            'right is "calls at once;calls a minute;expressions of destinations", e.g. "5;30;^\\+49", 0 for no limit'
        )
    return CallerLimit(int(match[1]), int(match[2]), parse_patterns(match[3] or ""))


def _strict_yes(text: str) -> bool:
    if text not in ("yes", "no"):
        raise ValueError("right is yes or no")
    return text == "yes"


def _names(separator: str) -> Callable[[str], tuple[str, ...]]:
    def parse(text: str) -> tuple[str, ...]:
        return tuple(part.strip() for part in text.split(separator) if part.strip())

    return parse


@dataclass(frozen=True)
class CoreOptions:
    """sems.conf. Addresses have no default that listens beyond this machine."""

    sip_ip: str = option("127.0.0.1", help="Address (or device) that SIP listens on.")
    sip_port: int = option(5060, help="UDP and TCP port of SIP; 0 is 5060.", minimum=0, maximum=65535)
    media_ip: str = option("", help="Address (or device) for RTP; empty: the one of SIP.")
    public_ip: str = option("", help="Address that stands in Contact, Via and SDP instead of the local one; a name: not in SDP.")
    further_sip: tuple[tuple[str, int, str], ...] = option(
        (),
        help="Further addresses for SIP: ip:port or ip:port/public_ip, separated by commas. `interfaces` sets it.",
        parse=parse_addresses,
    )
    further_media_ip: str = option(
        "", help="Address (or device) for RTP of the other family, IPv6 beside IPv4 or the reverse. `interfaces` sets it."
    )
    interfaces: tuple[NetInterface, ...] = ()
    """What `interfaces`, or the keys without a name, come to (`di.server.settings`)."""
    outbound_interface: str = option(
        "", help="Name of the interface that calls out leave from; empty: the one that the machine's routes lead from."
    )
    rtp_low_port: int = option(10000, help="First RTP port.", minimum=1, maximum=65535)
    rtp_high_port: int = option(19999, help="Last RTP port.", minimum=1, maximum=65535)
    rtp_port_idle_time: int = option(
        60,
        help="An RTP port that no call has used for so long is closed; the next call that needs it opens it.",
        unit="s",
        minimum=5,
        maximum=86400,
    )
    rtp_ports_kept: int = option(16, help="RTP ports that stay open all the same, a media process and address.", maximum=30000)
    load_plugins: str = option("", help="Plug-ins to load, in order, separated by `;`.")
    plugin_config_path: str = option(
        "", help="Folder of the `<module>.conf` files, below this file's folder or the one above; empty: this file's folder."
    )
    application: str = option("", help="Application for a call: a name, or $(mapping), $(apphdr), $(ruri.user), $(ruri.param).")
    loglevel: int = option(2, help="0 error, 1 warning, 2 info, 3 debug (or the names).", parse=parse_level)
    log_format: str = option(
        "text", help="text: lines with time, process and SEMS's layout; json: an object a line.", choices=("text", "json")
    )
    stderr: bool = option(False, help="Log to stderr.", parse=_strict_yes)
    fork: bool = option(
        False, help="Run in the background; cordboard stays in the foreground unless this says yes.", parse=_strict_yes
    )
    session_limit: Limit = option(
        Limit(0, 503, "Server overload"), help="Refuse calls from N on: N;code;reason.", parse=parse_limit
    )
    options_session_limit: Limit = option(
        Limit(0, 503, "Server overload"), help="Answer OPTIONS with this from N calls on: N;code;reason.", parse=parse_limit
    )
    cps_limit: Limit = option(
        Limit(0, 503, "Server overload"), help="Refuse above N calls per second: N;code;reason.", parse=parse_limit
    )
    shutdown_mode_reply: tuple[int, str] = option(
        (503, "Server shutting down"), help="Answer to calls in shutdown mode: code reason.", parse=parse_reply
    )
    max_shutdown_time: int = option(10, help="How long a stop waits for calls to end; 0: for ever.", unit="s", maximum=86400)
    dead_rtp_time: int = option(300, help="A call without RTP for so long ends; 0 switches it off.", unit="s", maximum=86400)
    callback_timeout: int = option(
        60,
        help="A call whose application or control does not return from a callback for so long is ended; 0 switches it off.",
        unit="s",
        maximum=86400,
    )
    codec_order: tuple[str, ...] = option((), help="Codecs to offer first, separated by commas.", parse=_names(","))
    exclude_payloads: tuple[str, ...] = option((), help="Codecs not to use, separated by `;`.", parse=_names(";"))
    signature: str = option("", help="Text of Server and User-Agent headers.")
    use_default_signature: bool = option(False, help="Use the built-in signature, whatever `signature` says.")
    outbound_proxy: str = option("", help="URI that calls out are sent through.")
    next_hop: str = option(
        "",
        help="host[:port][/transport] that calls out are sent to, whatever their URIs say; several separated by commas, the first one first.",
    )
    disable_dns_srv: bool = option(False, help="Look for addresses of hosts only, not for NAPTR and SRV records.")
    dns_servers: tuple[tuple[str, int], ...] = option(
        (), help="Name servers for calls out, ip[:port], separated by commas; empty: the system's.", parse=parse_servers
    )
    default_bl_ttl: int = option(
        60_000,
        help="An address that did not answer, or answered 503, is tried last for so long; 0: never.",
        unit="ms",
        maximum=86_400_000,
    )
    sip_timer_m: int = option(
        8000,
        key="sip_timer_M",
        help="Of several addresses the next one is tried when one has not answered an INVITE with 100 for so long.",
        unit="ms",
        minimum=100,
        maximum=32_000,
    )
    redirects: int = option(0, help="How many redirections (3xx) of a call out are followed; 0: none.", maximum=10)
    log_sessions: bool = option(False, help="A line in the log for each call's begin, too; its end always leaves one.")
    sip_nat_handling: bool = option(
        False,
        help="Send requests inside a call to where its peer's messages come from, whatever Contact says; a route of proxies counts.",
    )
    force_symmetric_rtp: bool = option(True, help="Send RTP to where the peer's RTP comes from.")
    media_before_ack: int = option(
        5,
        help="RTP packets that a caller's address gets before anything has come from it, or an ACK or PRACK; 0: no limit.",
        unit="packets",
        maximum=1_000_000,
    )
    early_media_peers: tuple[IPv4Network | IPv6Network, ...] = option(
        (),
        help="Addresses or networks of proxies and gateways that answer for their callers: media before the answer goes to whatever address "
        "their INVITEs name, without limit.",
        parse=parse_networks,
    )
    reliable_provisional: str = option(
        "supported", key="100rel", help="Reliable provisional replies.", choices=("disabled", "off", "supported", "require")
    )
    accept_forked_dialogs: bool = option(
        True,
        help="Take an INVITE that reaches us twice, by two ways of a forking proxy, as two calls; `no`: the second gets 482.",
    )
    sip_timer_c: int = option(
        180_000,
        key="sip_timer_C",
        help="A call out that has not been answered for so long after the last provisional reply ends with 408; 0: never.",
        unit="ms",
        maximum=86_400_000,
    )
    trusted_peers: tuple[IPv4Network | IPv6Network, ...] = option(
        parse_networks("127.0.0.0/8, ::1"),
        help="Addresses or networks of peers whose P-… headers (P-App-Name, P-App-Param, P-Asserted-Identity …) and Replaces count, "
        "separated by commas.",
        parse=parse_networks,
    )
    dialout_limit: int = option(
        0, help="Most calls out at once; 0: no limit while SIP and gateways are on loopback, no calls out at all otherwise."
    )
    dialout_per_minute: int = option(0, help="Most calls out that may begin within a minute; 0: no limit.")
    dialout_allow: tuple[str, ...] = option(
        (),
        help="Where calls out may go: expressions, separated by blanks, of which one must be found in `number@host`; empty: everywhere.",
        parse=parse_patterns,
    )
    dialout_deny: tuple[str, ...] = option(
        (), help="Where calls out must not go; expressions as in dialout_allow, and asked before it.", parse=parse_patterns
    )
    dialout_international: str = option(
        "00", help="What is dialled in place of `+` before dial patterns are compared; empty: nothing."
    )
    dialout_each_caller: CallerLimit = option(
        CallerLimit(),
        help="What each caller of RPC may dial: calls at once;calls a minute;expressions. 0 is no limit of his own.",
        parse=parse_caller_limit,
    )
    dialout_callers: dict[str, str] = further_keys(
        "dialout_caller_*",
        help="dialout_caller_NAME: the same for the token or user of that name, instead of dialout_each_caller.",
    )
    room_sounds: tuple[str, ...] = option(
        ("prompts/",), help="Folders, `;` between them, whose files may be played to rooms by DI.", parse=_names(";")
    )
    media_processor_threads: int = option(1, help="Media processes; each has a part of the RTP ports.", minimum=1, maximum=64)
    media_process_legs: int = option(
        0, help="A room fills its media process up to so many legs, further ones span; 0: as many as its CPU carries.", minimum=0
    )
    watchdog_time: int = option(
        10, help="A SIP or media process that has not answered for so long is replaced; 0: never.", unit="s", maximum=3600
    )
    max_calls: int = option(4096, help="How many calls the SIP process is made for.", minimum=1, maximum=65000)
    sip_requests_per_second: int = option(
        100,
        help="Requests outside dialogs (INVITE, OPTIONS, REGISTER …) that one address may send a second, if it is none of trusted_peers; "
        "0: no limit.",
        minimum=0,
    )
    sip_pending_calls: int = option(
        500, help="Calls of one such address that have not been acknowledged (ringing ones too); 0: no limit.", minimum=0
    )
    sip_trusted_requests_per_second: int = option(
        2000,
        help="Requests outside dialogs that one address of trusted_peers may send a second: a proxy that passes a flood on; 0: no limit.",
        minimum=0,
    )
    sip_trusted_pending_calls: int = option(
        2000,
        help="Calls by one address of trusted_peers that have not been acknowledged (ringing ones too); 0: no limit.",
        minimum=0,
    )
    sip_connections: int = option(4000, help="Connections of peers by TCP and TLS, all together; 0: no limit.", minimum=0)
    sip_connections_per_address: int = option(100, help="Connections of one address that is none of trusted_peers.", minimum=0)
    sip_acl_allow: tuple[IPv4Network | IPv6Network, ...] = option(
        (),
        help="Addresses or networks that may send requests, separated by commas; from others only what belongs to a call is heard. Empty: all.",
        parse=parse_networks,
    )
    sip_acl_deny: tuple[IPv4Network | IPv6Network, ...] = option(
        (), help="Addresses or networks that may not, whatever sip_acl_allow says.", parse=parse_networks
    )
    tls_port: int = option(0, help="Port of SIP over TLS, on every address of SIP; 0: none.", maximum=65535)
    tls_certificate: str = option("", help="File with the certificate chain for SIP over TLS.")
    tls_key: str = option("", help="File with the certificate's key.")
    tls_ca_file: str = option("", help="File with the certificates of authorities that vouch for peers of SIP over TLS.")
    tls_client_certificate: str = option(
        "off",
        help="Certificate of whoever connects by TLS: off, not asked for; ask, refused if it is not good; require, refused without one.",
        choices=("off", "ask", "require"),
    )
    tls_verify_server: bool = option(False, help="Let SIP over TLS of ours go only to servers whose certificate is good.")

    srtp: str = option(
        "off",
        help="Audio of calls that go by SIP over TLS protected by SRTP, with keys in SDP (SDES): optional, offered to others and taken where they "
        "offer it; mandatory, calls without it are refused.",
        choices=SRTP_MODES,
    )
    srtp_dialled: str = option(
        "", help="The same for the calls that the server dials; empty: as `srtp` says.", choices=("", *SRTP_MODES)
    )
    srtp_interfaces: tuple[tuple[str, str], ...] = option(
        (),
        help="The same for calls at some SIP addresses: ip=mode, separated by commas. `interfaces` sets it.",
        parse=parse_modes,
    )
    srtp_suites: tuple[str, ...] = option(
        tuple(SUITES), help="Suites that are spoken, separated by commas, most wanted first.", parse=parse_suites
    )
    srtp_without_tls: bool = option(
        False,
        help="Let calls whose SIP anybody can read have SRTP, too. Their keys are as readable: only for networks that nobody else is in.",
    )

    IGNORED: ClassVar[tuple[str, ...]] = tuple(
        "plugin_path exclude_plugins load_plugins_rtld_global sig_sock_opts* tcp_connect_timeout* tcp_idle_timeout* "
        "force_outbound_proxy next_hop_1st_req next_hop_for_replies proxy_sticky_auth force_outbound_if use_raw_sockets dscp_sip "
        "dscp_rtp ignore_notify_lower_cseq sip_timer_* accept_fr_without_totag "
        "udp_rcvbuf sip_server_threads max_forwards syslog_facility log_events unhandled_reply_loglevel "
        "log_raw_messages log_parsed_messages daemon daemon_uid daemon_gid session_processor_threads "
        "rtp_receiver_threads single_codec_in_ok ignore_rtpxheaders dtmf_detector enable_zrtp* resampling_library "
        "dump_conference_streams dump_conference_path transcoder_*_stats_hdr options_transcoder_* rtp_mux_*".split()
    )
    """SEMS keys (shell patterns) that are accepted and have no effect here; a note in the log says so."""


def interfaces_of(core: CoreOptions) -> NetInterfaces:
    """The interfaces of a configuration, which may have been made without a file."""
    if core.interfaces:
        return NetInterfaces(core.interfaces)
    ips = (core.media_ip or core.sip_ip, core.further_media_ip)
    rtp = [RtpAddress(ip, core.rtp_low_port, core.rtp_high_port) for ip in ips if ip]
    further = [NetInterface("", rtp[0], ip, port, public) for ip, port, public in core.further_sip]
    first = NetInterface(DEFAULT, rtp[0], core.sip_ip, core.sip_port, core.public_ip)
    return NetInterfaces((first, *further, *(NetInterface("", address) for address in rtp[1:])))
