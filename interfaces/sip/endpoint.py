# SPDX-License-Identifier: GPL-2.0-or-later
"""The pjsua2 endpoint: settings, transports, codecs, log. Made once per process, never taken down (the process ends instead)."""

from __future__ import annotations

import errno
import logging
import re
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pjsua2 as pj

from di.sip.records import Listen, SessionTimer
from interfaces.sip.border import callback
from interfaces.sip.codec_factory import CodecsRefused, take_over
from interfaces.sip.mapping import codec_id
from interfaces.sip.native import quiet
from interfaces.sip.shim import ffi, lib

log = logging.getLogger(__name__)

_RELIABLE = {
    "disabled": "PJSUA_100REL_NOT_USED", "off": "PJSUA_100REL_NOT_USED", "supported": "PJSUA_100REL_OPTIONAL",
    "require": "PJSUA_100REL_MANDATORY",
}  # fmt: skip
_LEVELS = {0: logging.CRITICAL, 1: logging.WARNING, 2: logging.WARNING}
_LOG_LINES_A_SECOND = 5
_RECEIVE_BUFFER_BYTES = 4 << 20
"""Room for some thousand INVITEs; the kernel caps it at net.core.rmem_max."""
_HANDSHAKE_MS = 8000
"""Longest TLS handshake, of peers and to peers; pjsip waits for ever by itself."""
_TLS_VERSIONS = pj.PJ_SSL_SOCK_PROTO_TLS1_2 | pj.PJ_SSL_SOCK_PROTO_TLS1_3
"""Those that RFC 8996 leaves; pjsip alone would offer 1.0 and 1.1, and not 1.3."""
SPARE_CALLS = 64
"""Slots above the configured cap: calls that wait for the answer to our BYE still hold one."""


_SAID_BY_US = re.compile(
    r"sip_transport\.c +!?Dropping |sip_endpoint\.c +!?Error processing packet|Field Content-Length not found"
)
"""Of a message that its parser does not take: whether it is served all the same, refused or dropped is said in a line of ours."""


class ListenError(Exception):
    """A transport or setting is impossible; the text names it and what to change, `key` the key of sems.conf."""

    key = "sip_port"

    def of(self, key: str) -> ListenError:
        """The same, said of another key."""
        self.key = key
        return self


class _Log(pj.LogWriter):  # type: ignore[misc]
    """pjsip's own log lines, a few a second and one line each: hostile packets must neither fill nor forge the log."""

    def __init__(self) -> None:
        super().__init__()
        self._written = self._dropped = 0

    @callback
    def write(self, entry: pj.LogEntry) -> None:
        if _SAID_BY_US.search(entry.msg):
            return
        self._written += 1
        if self._written > _LOG_LINES_A_SECOND:
            self._dropped += 1
            return
        text = "".join(character if character.isprintable() else " " for character in entry.msg)
        log.log(_LEVELS.get(entry.level, logging.DEBUG), "pjsip: %.300s", " ".join(text.split()))

    def second_passed(self) -> None:
        """Count anew; say what was left out."""
        if self._dropped:
            log.warning("pjsip: %d further lines in this second", self._dropped)
        self._written = self._dropped = 0


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """An address that we listen on, with pjsua's numbers of its transports. `tls` -1: none."""

    ip: str
    port: int
    public_ip: str
    udp: int
    tcp: int
    tls: int = -1

    def transport(self, kind: str) -> int:
        """pjsua's number of the one of a kind (udp, tcp, tls); -1: there is none."""
        return {"udp": self.udp, "tcp": self.tcp, "tls": self.tls}.get(kind, -1)


@dataclass(frozen=True, slots=True)
class PublishedAddress:
    """Where others reach one of our transports. `kind`: udp, tcp, tls; `address`: host:port as a URI has it."""

    kind: str
    ip: str
    port: int
    address: str


class _ManyAddresses(pj.Endpoint):  # type: ignore[misc]
    """Asks which account a request belongs to; with one address pjsua need not ask."""

    def __init__(self) -> None:
        super().__init__()
        self.select: Callable[[Any], int | None] = lambda received: None

    @callback
    def onSelectAccount(self, prm: pj.OnSelectAccountParam) -> None:
        account = self.select(ffi.cast("void *", int(prm.rdata.pjRxData)))
        if account is not None:
            prm.accountIndex = account


class SipEndpoint:
    """Owns the library. `poll` lets it work; `transports` says what is bound, `places` where, `published` how others get there."""

    def __init__(self, many: bool = False) -> None:
        quiet()
        self.library = _ManyAddresses() if many else pj.Endpoint()
        self.library.libCreate()
        self.log_writer = _Log()
        self.transports: list[tuple[str, str, int]] = []
        self.places: list[ListenAddress] = []
        self.published: list[PublishedAddress] = []

    def select_accounts(self, select: Callable[[Any], int | None]) -> None:
        """`select` gives the account of a received request, None for pjsua's own choice. Only with `many`."""
        self.library.select = select

    def start(self, listen: Listen) -> None:
        """Initialise and bind. Raises ListenError."""
        if listen.reliable_provisional not in _RELIABLE:
            raise ListenError(f"100rel={listen.reliable_provisional!r}: must be disabled, off, supported or require").of("100rel")
        config = pj.EpConfig()
        config.uaConfig.maxCalls = listen.max_calls + SPARE_CALLS
        config.uaConfig.threadCnt = 0
        config.uaConfig.mainThreadOnly = True
        config.uaConfig.natTypeInSdp = 0
        config.uaConfig.userAgent = listen.user_agent
        config.medConfig.threadCnt = 0
        config.medConfig.hasIoqueue = False
        # Its media never runs, but every call still gets a stream and a bridge port: keep their buffers at the smallest.
        config.medConfig.clockRate = 8000
        config.medConfig.sndClockRate = 8000
        config.medConfig.channelCount = 1
        config.medConfig.ecTailLen = 0
        config.medConfig.jbInit = 0
        config.medConfig.jbMax = 1
        config.logConfig.level = 2
        config.logConfig.consoleLevel = 2  # this one governs the writer
        config.logConfig.msgLogging = 0
        config.logConfig.writer = self.log_writer
        try:
            self.library.libInit(config)
            self._bind(listen)
            self._own_codecs(listen)
            self._codecs(listen.codecs)
            self.library.libStart()
            self.library.audDevManager().setNoDev()
        except pj.Error as error:
            raise ListenError(f"pjsip cannot start: {error.info()}") from None

    def _bind(self, listen: Listen) -> None:
        self._bind_place(listen.ip, listen.port, listen.public_ip)
        try:
            for place in listen.also:
                self._bind_place(*place)
        except ListenError as error:
            raise error.of("further_sip") from None
        if listen.tls_port:
            try:
                check_certificate(listen.tls_certificate, listen.tls_key)
                self._bind_tls(listen)
            except ListenError as error:
                raise error if error.key != "sip_port" else error.of("tls_port") from None

    def _bind_place(self, ip: str, wanted: int, public_ip: str) -> None:
        port = free_port(ip, wanted)
        udp = self._open("udp", ip, port, public_ip)
        tcp = self._open("tcp", ip, port, public_ip)
        self.places.append(ListenAddress(ip, port, public_ip, udp, tcp))

    def _bind_tls(self, listen: Listen) -> None:
        """TLS at every place; those of one address share it."""
        at: dict[str, int] = {}
        for number, place in enumerate(self.places):
            if place.ip not in at:
                check_port(place.ip, listen.tls_port, socket.SOCK_STREAM)
                at[place.ip] = self._open("tls", place.ip, listen.tls_port, place.public_ip, listen)
            self.places[number] = replace(place, tls=at[place.ip])

    def _open(self, name: str, ip: str, port: int, public_ip: str, tls: Listen | None = None) -> int:
        """Make a transport; pjsua's number of it. `tls`: says which certificates. Raises ListenError."""
        config = pj.TransportConfig()
        config.port = port
        config.boundAddress = ip
        config.publicAddress = public_ip
        # a burst waits in the kernel, not in retransmissions; after a restart old connections must not keep the port
        option = (socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES) if name == "udp" else (socket.SO_REUSEADDR, 1)
        config.sockOptParams.sockOpts.append(pj.SockOpt(socket.SOL_SOCKET, *option))
        if tls is not None:
            _certificates(config.tlsConfig, tls)
        config.tlsConfig.msecTimeout = _HANDSHAKE_MS
        config.tlsConfig.proto = _TLS_VERSIONS
        kind = getattr(pj, f"PJSIP_TRANSPORT_{name.upper()}{'6' if ':' in ip else ''}")
        try:
            number = int(self.library.transportCreate(kind, config))
        except pj.Error as error:
            raise ListenError(f"SIP {name} {ip}:{port} cannot be bound: {error.reason}") from None
        self.transports.append((name, ip, port))
        self.published.append(PublishedAddress(name, ip, port, str(self.library.transportGetInfo(number).localName)))
        return number

    def _own_codecs(self, listen: Listen) -> None:
        """Put the media process's codecs in the place of pjmedia's. Raises ListenError."""
        if not listen.formats:
            return
        try:
            take_over(listen.formats)
        except CodecsRefused as error:
            raise ListenError(str(error)).of("exclude_payloads") from None

    def _codecs(self, wanted: tuple[str, ...]) -> None:
        known = [info.codecId for info in self.library.codecEnum2()]
        for name in known:
            self.library.codecSetPriority(name, 0)
        offered = 0
        for rank, name in enumerate(wanted):
            prefix = codec_id(name).lower() + "/"
            match = next((candidate for candidate in known if (candidate.lower() + "/").startswith(prefix)), None)
            if match is None:
                log.warning("codec %s is not known to this pjsip: it is neither offered nor accepted", name)
                continue
            self.library.codecSetPriority(match, max(254 - rank, 1))
            offered += 1
        if not offered:
            text = f"none of the codecs {', '.join(wanted) or '(none)'} is known to pjsip; it has {', '.join(known)}"
            raise ListenError(text).of("exclude_payloads")

    def account_config(
        self,
        listen: Listen,
        next_hop: str = "",
        place: ListenAddress | None = None,
        sent_to: str = "",
        timer: SessionTimer | None = None,
        contact: str = "",
        kind: str = "udp",
    ) -> pj.AccountConfig:
        """An account that registers nowhere, has no credentials and leaves media to others; with `place` it uses that one's transport of a kind.

        `sent_to`: a first hop that no Route names (pjsip's `hide`). `timer`: the interval that its calls have, also with a peer that knows of
        none; None: what the peer wants. `contact`: a complete Contact value, empty for our own.
        """
        config = pj.AccountConfig()
        if timer is not None:
            config.callConfig.timerUse = pj.PJSUA_SIP_TIMER_ALWAYS
            config.callConfig.timerMinSESec, config.callConfig.timerSessExpiresSec = timer.minimum_s, timer.expires_s
        host = listen.public_ip or listen.ip
        if place is not None:
            host = place.public_ip or place.ip
            config.sipConfig.transportId = place.transport(kind)
        if host in ("0.0.0.0", "::"):
            host = "127.0.0.1"
        config.idUri = f"sip:[{host}]" if ":" in host else f"sip:{host}"
        config.mediaConfig.useLoopMedTp = True
        config.mediaConfig.lockCodecEnabled = False
        config.natConfig.sipOutboundUse = 0
        config.natConfig.contactRewriteUse = 0
        config.natConfig.viaRewriteUse = 0
        config.natConfig.udpKaIntervalSec = 0
        config.callConfig.prackUse = getattr(pj, _RELIABLE[listen.reliable_provisional])
        config.sipConfig.contactForced = contact
        if sent_to:
            config.sipConfig.proxies.append(f"<{sent_to};lr;hide>")
        if next_hop:
            route = next_hop.strip("<> ")
            config.sipConfig.proxies.append(f"<{route}{'' if ';lr' in route else ';lr'}>")
        return config

    def place_towards(self, uri_host: str) -> ListenAddress | None:
        """The place that the machine's routes lead from to an address; None for a name, and where no place of ours lies there."""
        family = socket.AF_INET6 if ":" in uri_host else socket.AF_INET
        try:
            socket.inet_pton(family, uri_host)
            with socket.socket(family, socket.SOCK_DGRAM) as sock:
                sock.connect((uri_host, 9))  # sends nothing
                ours = str(sock.getsockname()[0])
        except (OSError, ValueError):  # no address, or nothing that could be one
            return None
        return next((place for place in self.places if place.ip == ours), None)

    def poll(self) -> int:
        """Let pjsip handle some of what is due or has come, without waiting. Returns how much; 0: there was nothing."""
        return int(lib.shim_turn())


def _certificates(config: pj.TlsConfig, listen: Listen) -> None:
    config.certFile, config.privKeyFile, config.CaListFile = listen.tls_certificate, listen.tls_key, listen.tls_authorities
    config.verifyServer = listen.tls_verify_servers
    config.verifyClient = listen.tls_clients in ("ask", "require")
    config.requireClientCert = listen.tls_clients == "require"


def free_port(ip: str, port: int) -> int:
    """Check that UDP and TCP can be bound; with port 0 find one where both can. Raises ListenError.

    pjsip would share a port silently where the system allows it, so this asks first, with plain sockets.
    """
    for _ in range(20):
        with _bound(ip, port, socket.SOCK_DGRAM) as first:
            chosen = int(first.getsockname()[1])
            try:
                check_port(ip, chosen, socket.SOCK_STREAM)
            except ListenError:
                if port:
                    raise
                continue
            return chosen
    raise ListenError(f"no port is free on {ip} for both UDP and TCP")


def check_port(ip: str, port: int, kind: int) -> None:
    """Raise ListenError when a port cannot be bound."""
    _bound(ip, port, kind).close()


def check_certificate(certificate: str, key: str) -> None:
    """Raise ListenError for files that TLS cannot use: pjsip would notice at the first connection only."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key or None)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise ListenError(f"SIP tls: certificate {certificate!r} with key {key!r} cannot be used: {reason}").of(
            "tls_certificate"
        ) from None


def _bound(ip: str, port: int, kind: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    name = "UDP" if kind == socket.SOCK_DGRAM else "TCP"
    sock = socket.socket(family, kind)
    try:
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections in TIME_WAIT do not hold a listener
        sock.bind((ip, port))
        if kind == socket.SOCK_STREAM:
            sock.listen(1)
        return sock
    except OSError as error:
        sock.close()
        key = "sip_ip" if error.errno == errno.EADDRNOTAVAIL else ListenError.key
        raise ListenError(_bind_hint(ip, port, name, error)).of(key) from None


def _bind_hint(ip: str, port: int, name: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"SIP {name} {ip}:{port} is in use by another program: stop it or take a free port"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"SIP {name} {ip}:{port}: {ip} is no address of this machine: name one that is"
    if error.errno == errno.EACCES:
        return f"SIP {name} {ip}:{port}: not permitted: take a port from 1024 up"
    return f"SIP {name} {ip}:{port} cannot be bound: {error.strerror}"
