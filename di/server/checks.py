# SPDX-License-Identifier: GPL-2.0-or-later
"""What of a configuration this machine must bear out: addresses, certificates, ports, applications that are loaded.

`serve` asks before it starts anything, `check-config` asks the same and goes on to the next question. Each answer is a ConfigError that
names its own key.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Collection, Iterator
from dataclasses import fields

from di.kernel.addresses import bind_hint, probe
from di.kernel.errors import ConfigError
from di.kernel.server_options import CoreOptions
from di.server.settings import Settings


def place(settings: Settings) -> Iterator[Callable[[], None]]:
    """The questions that come before the start: each is to be called, and raises ConfigError."""
    core = settings.core
    for ip, field in _addresses(core).items():
        yield lambda field=field, ip=ip: _own_address(settings, field, ip)  # type: ignore[misc]
    if core.tls_port:
        yield lambda: _certificate(settings)
        if core.tls_ca_file:
            yield lambda: _authorities(settings)


def _addresses(core: CoreOptions) -> dict[str, str]:
    """Each address that must be this machine's → the key that says it first: one that is wrong is told of once."""
    keys = {core.media_ip: "media_ip", core.sip_ip: "sip_ip"}
    for one in core.interfaces:
        if one.name:
            keys.setdefault(one.sip_ip, f"sip_ip_{one.name}")
            keys.setdefault(one.rtp.ip, f"media_ip_{one.name}")
    for ip, _, _ in core.further_sip:
        keys.setdefault(ip, "further_sip")
    keys.setdefault(core.further_media_ip, "further_media_ip")
    return {ip: key for ip, key in keys.items() if ip}


def ports(settings: Settings) -> Iterator[Callable[[], None]]:
    """Whether the ports of SIP are free; the gateways ask for their own."""
    core = settings.core
    taken = [("sip_port", core.sip_ip, core.sip_port), *(("further_sip", ip, port) for ip, port, _ in core.further_sip)]
    for field, ip, port in taken:
        yield lambda at=(field, ip, port): _free(settings, *at, kinds=(True, False))  # type: ignore[misc]
    if core.tls_port:
        for ip in (core.sip_ip, *(place[0] for place in core.further_sip)):
            yield lambda ip=ip: _free(settings, "tls_port", ip, core.tls_port, kinds=(False,))  # type: ignore[misc]


def applications(settings: Settings, known: Collection[str]) -> Iterator[ConfigError]:
    """Applications that calls would be sent to and that are not there: such calls get 404."""
    loaded = ", ".join(sorted(known)) or "none"
    selection = settings.selection
    if not selection.setting.startswith("$") and selection.setting and selection.setting not in known:
        hint = f"there is no application {selection.setting!r}, every call gets 404; loaded: {loaded}"
        yield ConfigError(*settings.source("application"), "application", hint)
    for rule in selection.mapping:
        if "\\" not in rule.application and rule.application not in known:
            hint = f"there is no application {rule.application!r}, such calls get 404; loaded: {loaded}"
            yield ConfigError(str(settings.conf_dir / "app_mapping.conf"), rule.line, rule.pattern, hint)


def needs_restart(old: Settings, new: Settings) -> list[str]:
    """Keys of sems.conf that have changed and are read at the start only."""
    at_once = ("loglevel", "application", *(f.name for f in fields(old.core) if f.name.startswith("dialout_")))
    return [f.name for f in fields(old.core) if f.name not in at_once and getattr(old.core, f.name) != getattr(new.core, f.name)]


def _own_address(settings: Settings, field: str, ip: str) -> None:
    try:
        probe(ip, 0, udp=True)
    except OSError as error:
        raise ConfigError(*settings.source(field), field, bind_hint(ip, 0, error)[1]) from error


def _free(settings: Settings, field: str, ip: str, port: int, *, kinds: tuple[bool, ...]) -> None:
    """`kinds`: whether UDP, or TCP."""
    try:
        for udp in kinds:
            probe(ip, port, udp=udp)
    except OSError as error:
        raise ConfigError(*settings.source(field), field, bind_hint(ip, port, error)[1]) from error


def _certificate(settings: Settings) -> None:
    core = settings.core
    for field, path in (("tls_certificate", core.tls_certificate), ("tls_key", core.tls_key)):
        try:
            with open(path, "rb"):
                pass
        except OSError as error:
            raise ConfigError(*settings.source(field), field, f"{path} cannot be read ({error.strerror})") from error
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(core.tls_certificate, core.tls_key, _no_password)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        reason = getattr(error, "reason", None) or str(error)
        hint = f"{core.tls_certificate} and tls_key {core.tls_key} cannot be used ({reason}); right are two matching PEM files"
        raise ConfigError(
            *settings.source("tls_certificate"), "tls_certificate", f"{hint}, the key without a password"
        ) from error


def _authorities(settings: Settings) -> None:
    path = settings.core.tls_ca_file
    try:
        ssl.create_default_context(cafile=path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
        hint = f"{path} cannot be used ({reason}); right is a PEM file with certificates"
        raise ConfigError(*settings.source("tls_ca_file"), "tls_ca_file", hint) from error


def _no_password() -> str:
    """A key with a password must not make a server ask for one at a terminal."""
    return ""
