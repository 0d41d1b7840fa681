# SPDX-License-Identifier: GPL-2.0-or-later
"""SEMS's named interfaces in sems.conf (spec core.md §3.1): a list of names, and keys that end in one of them (docs/sip.md).

The first one that has SIP stands for the keys without a name, so that all that knows of one address only goes on as before; the others
are further ones. The key `additional_interfaces`, as SEMS had it before, leaves the keys without a name to the interface `default`.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace

from di.kernel import addresses
from di.kernel.config import ConfigEntry, ConfigFile
from di.kernel.errors import ConfigError
from di.kernel.interfaces import DEFAULT, NetInterface, NetInterfaces, is_address
from di.kernel.options import keep_sources, where
from di.kernel.server_options import CoreOptions
from di.media_control.port_ranges import port_ranges
from media.control.records import RtpAddress

log = logging.getLogger(__name__)

_KEYS = ("sip_ip", "sip_port", "media_ip", "public_ip", "rtp_low_port", "rtp_high_port")
_SRTP = "srtp"
_KEYS_WITHOUT_EFFECT = ("sig_sock_opts", "tcp_connect_timeout", "tcp_idle_timeout")

Keys = dict[str, ConfigEntry]


@dataclass(frozen=True)
class Named:
    """The names of a file: that of the first interface, and the keys of the others, without it."""

    first: str = DEFAULT
    others: dict[str, Keys] = field(default_factory=dict)


def take_names(conf: ConfigFile) -> Named:
    """Take the keys that carry a name out of a file; those of the first interface stay without it. Raises ConfigError."""
    entry = conf.entries.pop("interfaces", None)
    more = conf.entries.pop("additional_interfaces", None)
    found = {name: keys for given in (entry, more) if given is not None for name, keys in _named(conf, given).items()}
    told = entry or more
    if not found or told is None:
        return Named()
    first = next((name for name, keys in found.items() if "sip_ip" in keys), next(iter(found))) if entry is not None else DEFAULT
    modes = [f"{keys['sip_ip'].value}={keys[_SRTP].value}" for keys in found.values() if "sip_ip" in keys and _SRTP in keys]
    if modes:
        conf.entries["srtp_interfaces"] = replace(told, value=",".join(modes))
    conf.entries.update({key: value for key, value in found.pop(first, {}).items() if key in _KEYS})
    further = [_as_further_sip(keys) for keys in found.values() if "sip_ip" in keys]
    if further:
        conf.entries["further_sip"] = replace(told, value=",".join(further))
    return Named(first, found)


def _named(conf: ConfigFile, entry: ConfigEntry) -> dict[str, Keys]:
    names = [name.strip() for name in entry.value.split(",") if name.strip()]
    if not names:
        raise ConfigError(entry.file, entry.line, "interfaces", "the list is empty; right are names separated by commas")
    named = {name: _keys_of(conf, name) for name in names}
    for name, keys in named.items():
        if "sip_ip" not in keys and "media_ip" not in keys:
            hint = f"interface {name} has neither sip_ip_{name} nor media_ip_{name}"
            raise ConfigError(entry.file, entry.line, "interfaces", hint)
    return named


def _keys_of(conf: ConfigFile, name: str) -> Keys:
    found = {key: conf.entries.pop(f"{key}_{name}", None) for key in (*_KEYS, _SRTP, *_KEYS_WITHOUT_EFFECT)}
    return {key: entry for key, entry in found.items() if entry is not None}


def _as_further_sip(keys: Keys) -> str:
    """One SIP address as `further_sip` has it."""
    ip = keys["sip_ip"].value.strip("[]")
    port = keys["sip_port"].value if "sip_port" in keys else "5060"
    public = f"/{keys['public_ip'].value}" if "public_ip" in keys else ""
    return f"{f'[{ip}]' if ':' in ip else ip}:{port}{public}"


def filled(core: CoreOptions, named: Named) -> CoreOptions:
    """The options, whose addresses are resolved, with `interfaces`. Raises ConfigError."""
    rtp = RtpAddress(core.media_ip, core.rtp_low_port, core.rtp_high_port)
    found = [NetInterface(named.first, rtp, core.sip_ip, core.sip_port, core.public_ip)]
    other = RtpAddress(core.further_media_ip, core.rtp_low_port, core.rtp_high_port) if core.further_media_ip else None
    places = iter(core.further_sip)
    for name, keys in named.others.items():
        audio_only = ("", 0, keys["public_ip"].value if "public_ip" in keys else "")
        place = next(places, audio_only) if "sip_ip" in keys else audio_only
        found.append(NetInterface(name, _rtp(name, keys, place[0]), *place))
    for ip, port, public in places:  # of a further_sip without names: the audio of their calls is where that of all is
        same_family = other is None or (":" in ip) is rtp.ipv6
        found.append(NetInterface("", rtp if same_family else other or rtp, ip, port, public))
    if other is not None:
        found.append(NetInterface("", other))
    _check(core, found)
    told = {f"{key}_{name}": (entry.file, entry.line) for name, keys in named.others.items() for key, entry in keys.items()}
    return keep_sources(replace(core, interfaces=NetInterfaces(found).all), core, told)


def _rtp(name: str, keys: Keys, sip_ip: str) -> RtpAddress:
    """Where the audio of an interface is: its `media_ip`, else the address of its SIP. Raises ConfigError."""
    entry = keys.get("media_ip")
    ip = addresses.resolve(entry.value, f"media_ip_{name}", entry.file, entry.line) if entry is not None else sip_ip
    low, high = (
        _port(name, keys, "rtp_low_port", RtpAddress().port_low),
        _port(name, keys, "rtp_high_port", RtpAddress().port_high),
    )
    return RtpAddress(ip, low, high)


def _port(name: str, keys: Keys, key: str, usual: int) -> int:
    entry = keys.get(key)
    if entry is None:
        return usual
    if not entry.value.isascii() or not entry.value.isdigit() or not 1 <= int(entry.value) <= 65535:
        raise ConfigError(entry.file, entry.line, f"{key}_{name}", f"{entry.value!r} is not a whole number from 1 to 65535")
    return int(entry.value)


def _check(core: CoreOptions, found: list[NetInterface]) -> None:
    for one in found:
        suffix = f" of interface {one.name}" if one.name not in ("", DEFAULT) else ""
        try:
            port_ranges(one.rtp.port_low, one.rtp.port_high, core.media_processor_threads)
        except ValueError as error:
            hint = f"{error}: widen rtp_low_port to rtp_high_port{suffix}"
            raise ConfigError(*where(core, "media_processor_threads"), "media_processor_threads", hint) from error
        if one.public_ip and not is_address(one.public_ip):
            log.warning("public_ip %s%s is no IP address: it stands in Contact and Via, but not in SDP", one.public_ip, suffix)
    if core.outbound_interface and NetInterfaces(found).named(core.outbound_interface) is None:
        hint = f"no interface {core.outbound_interface!r} has SIP; there are {', '.join(one.name for one in found if one.sip_ip)}"
        raise ConfigError(*where(core, "outbound_interface"), "outbound_interface", hint)
