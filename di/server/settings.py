# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything that the configuration says, read and checked before anything starts: what `check-config` shows and `serve` uses."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from di.calls.selection import Selection, parse_mapping
from di.kernel import addresses
from di.kernel.config import ConfigEntry, ConfigFile, module_folder
from di.kernel.errors import ConfigError
from di.kernel.options import keep_sources, load, variable, where
from di.kernel.server_options import CoreOptions, parse_caller_limit
from di.kernel.text import from_file
from di.media_control import codecs
from di.server import interfaces
from di.server import plugin as plugins
from di.server.plugin import Plugin
from di.sip.headers import is_sip_uri
from di.sip.locate import parse_places
from media.control import srtp_library

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadedPlugin:
    """A plug-in with its options (None when it has none)."""

    plugin: Plugin[object]
    options: object


@dataclass(frozen=True)
class Settings:
    """A whole configuration. `source` finds file and line of a sems.conf key for messages."""

    file: Path
    conf_dir: Path
    core: CoreOptions
    selection: Selection
    plugins: tuple[LoadedPlugin, ...]
    environ: Mapping[str, str]
    overrides: Mapping[str, str] = field(default_factory=dict)

    def source(self, key: str) -> tuple[str, int]:
        """File and line of a key of sems.conf."""
        return where(self.core, key)


def read(file: Path, environ: Mapping[str, str], overrides: Mapping[str, str] | None = None) -> Settings:
    """Read sems.conf and all that belongs to it. `overrides`: key → value from the command line. Raises ConfigError."""
    conf = ConfigFile.read(file, file.parent)
    named = interfaces.take_names(conf)
    given = overrides or {}
    for key, value in given.items():
        conf.entries[key] = ConfigEntry(value, "command line", 0)
    shadow = {name: value for name, value in environ.items() if name not in {variable("sems", key) for key in given}}
    core = load(CoreOptions, conf, shadow, "sems")
    if not core.stderr:
        log.debug("stderr is the only place for log lines; let the service manager keep them")
    conf_dir = _conf_dir(file, core)
    core = _with_addresses(core, named)
    _check_srtp(core)
    _check_callers(conf, core)
    codecs.check(core.codec_order, core.exclude_payloads, *where(core, "codec_order"))
    selection = _selection(core, conf_dir)
    return Settings(file, conf_dir, core, selection, _plugins(conf, core, conf_dir, environ), environ, given)


def early_log_format(file: Path, environ: Mapping[str, str]) -> str:
    """How lines are to be written that come before the configuration is known; text where it cannot be read."""
    named = environ.get(variable("sems", "log_format"))
    if named is None:
        try:
            named = ConfigFile.read(file, file.parent).get("log_format")
        except ConfigError:
            return "text"
    return "json" if named == "json" else "text"


def configuration_folder(file: Path, environ: Mapping[str, str]) -> Path:
    """The folder of the `<module>.conf` files that belong to a sems.conf, for tools that need no more. Raises ConfigError."""
    return _conf_dir(file, load(CoreOptions, ConfigFile.read(file, file.parent), environ, "sems"))


def _check_callers(conf: ConfigFile, core: CoreOptions) -> None:
    """Raises ConfigError for a limit of one caller that cannot be used."""
    for key, text in core.dialout_callers.items():
        try:
            parse_caller_limit(text)
        except ValueError as error:
            entry = conf.entries[key]
            raise ConfigError(entry.file, entry.line, key, f"{text!r} cannot be used: {error}") from error


def _check_srtp(core: CoreOptions) -> None:
    """Raises ConfigError where SRTP is wanted and cannot be had; what is risky is said in the log."""
    places = [mode for _, mode in core.srtp_interfaces if mode != "off"]
    modes = {"srtp": core.srtp, "srtp_dialled": core.srtp_dialled, "srtp_interfaces": next(iter(places), "")}
    key = next((key for key, mode in modes.items() if mode not in ("", "off")), "")
    if not key:
        return
    if srtp_library.load() is None:
        hint = f"SRTP needs {srtp_library.NAME}: install the package {srtp_library.PACKAGE}"
        raise ConfigError(*where(core, key), key, hint)
    source = ":".join(map(str, where(core, "srtp_without_tls" if core.srtp_without_tls else key)))
    if core.srtp_without_tls:
        log.warning(
            "%s: srtp_without_tls: keys of SRTP go in the clear where SIP does, and whoever reads them hears the calls", source
        )
    elif not core.tls_port:
        log.warning(
            "%s: %s: there is no tls_port: only calls that are dialled by TLS can have SRTP, calls that come in cannot",
            source,
            key,
        )


def _conf_dir(file: Path, core: CoreOptions) -> Path:
    """Where `<module>.conf` files are."""
    if not core.plugin_config_path:
        return file.parent
    path = module_folder(Path(core.plugin_config_path), file)
    if path.is_dir():
        _tell_where(core, path, file)
        return path
    hint = f"there is no folder {core.plugin_config_path}, neither below {file.absolute().parent} nor the folder above nor the current one"
    raise ConfigError(*where(core, "plugin_config_path"), "plugin_config_path", hint)


def _tell_where(core: CoreOptions, path: Path, file: Path) -> None:
    """Module files from elsewhere than beside sems.conf are not read without a word: they may be another server's."""
    folder = file.absolute().parent
    beside = folder / core.plugin_config_path
    if path.samefile(folder) or (beside.is_dir() and path.samefile(beside)):
        return
    above = folder.parent / core.plugin_config_path
    level = logging.INFO if above.is_dir() and path.samefile(above) else logging.WARNING
    source = ":".join(map(str, where(core, "plugin_config_path")))
    shown = path.resolve()
    log.log(level, "%s: plugin_config_path: modules are read from %s, there is no %s", source, shown, beside)


def _with_addresses(core: CoreOptions, named: interfaces.Named) -> CoreOptions:
    """Device names turned into addresses, checked ranges; keeps the record of where values came from."""
    sip_ip = addresses.resolve(core.sip_ip, "sip_ip", *where(core, "sip_ip"))
    media_ip = addresses.resolve(core.media_ip or sip_ip, "media_ip", *where(core, "media_ip"))
    if core.rtp_high_port < core.rtp_low_port + 1:
        hint = f"{core.rtp_high_port} leaves no port pair above rtp_low_port={core.rtp_low_port}"
        raise ConfigError(*where(core, "rtp_high_port"), "rtp_high_port", hint)
    try:
        if core.next_hop:
            parse_places(core.next_hop)
    except ValueError as error:
        raise ConfigError(*where(core, "next_hop"), "next_hop", str(error)) from error
    if core.outbound_proxy and not is_sip_uri(core.outbound_proxy):
        hint = f"{core.outbound_proxy!r} is no SIP URI; right is e.g. sip:proxy.example.org;lr"
        raise ConfigError(*where(core, "outbound_proxy"), "outbound_proxy", hint)
    if core.tls_port and not (core.tls_certificate and core.tls_key):
        raise ConfigError(*where(core, "tls_port"), "tls_port", "TLS needs tls_certificate and tls_key too")
    for key in ("tls_client_certificate", "tls_verify_server"):
        if getattr(core, key) not in ("off", False) and not core.tls_ca_file:
            raise ConfigError(*where(core, key), key, "needs tls_ca_file too: whose certificates are good")
    further = tuple(
        (addresses.resolve(ip, "further_sip", *where(core, "further_sip")), port, public) for ip, port, public in core.further_sip
    )
    other = core.further_media_ip
    if other:
        other = addresses.resolve(other, "further_media_ip", *where(core, "further_media_ip"))
        if (":" in other) is (":" in media_ip):
            hint = f"{other} is of the same family as media_ip {media_ip}; right is one IPv4 and one IPv6 address"
            raise ConfigError(*where(core, "further_media_ip"), "further_media_ip", hint)
    modes = tuple(
        (addresses.resolve(ip, "srtp_interfaces", *where(core, "srtp_interfaces")), mode) for ip, mode in core.srtp_interfaces
    )
    changed = replace(
        core,
        sip_ip=sip_ip,
        media_ip=media_ip,
        sip_port=core.sip_port or 5060,
        further_sip=further,
        further_media_ip=other,
        srtp_interfaces=modes,
    )
    return interfaces.filled(keep_sources(changed, core), named)


def _selection(core: CoreOptions, conf_dir: Path) -> Selection:
    known = ("$(ruri.user)", "$(ruri.param)", "$(apphdr)", "$(mapping)")
    setting = "$(mapping)" if core.application == "$(app_mapping)" else core.application  # as the 2009 presentation spells it
    if setting.startswith("$") and setting not in known:
        hint = f"{core.application!r} is no way to choose; right is a name or one of {', '.join(known)}"
        raise ConfigError(*where(core, "application"), "application", hint)
    if setting != "$(mapping)":
        return Selection(setting)
    path = conf_dir / "app_mapping.conf"
    try:
        text = from_file(path.read_bytes())
    except (OSError, ValueError) as error:
        hint = f"cannot be read ({getattr(error, 'strerror', '') or error}); application=$(mapping) needs it"
        raise ConfigError(str(path), 0, "", hint) from error
    return Selection(setting, parse_mapping(text, str(path)))


def _plugins(conf: ConfigFile, core: CoreOptions, conf_dir: Path, environ: Mapping[str, str]) -> tuple[LoadedPlugin, ...]:
    file, line = where(core, "load_plugins")
    names = plugins.split_names(core.load_plugins)
    everything = not names
    if everything:
        excluded = plugins.split_names(conf.get("exclude_plugins"))
        names = [name for name in sorted(plugins.available()) if name not in excluded]
    found: list[LoadedPlugin] = []
    named = plugins.find(names, file, line)
    if everything:
        named = [plugin for plugin in named if _has_its_file(plugin, conf_dir)]
    brought = {name for plugin in named for name in plugin.brings}
    for plugin in _with_brought(named, file, line):
        name = plugin.name
        path = conf_dir / f"{name}.conf"
        if any(known.plugin.name == plugin.name for known in found):
            if names.count(name) > 1:
                log.warning("%s:%d: load_plugins: %s is named twice", file, line, name)
            continue
        found.append(LoadedPlugin(plugin, _options(plugin, path, conf_dir, environ, name in brought)))
    _check_order(found, file, line)
    return tuple(found)


def _has_its_file(plugin: Plugin[object], conf_dir: Path) -> bool:
    """Whether a plug-in that nobody named is to be loaded: not one that needs a file which is not there."""
    path = conf_dir / f"{plugin.name}.conf"
    if plugin.config_required and not path.is_file():
        log.info("%s is not loaded: it has no %s", plugin.name, path)
        return False
    return True


def _with_brought(named: list[Plugin[object]], file: str, line: int) -> Iterator[Plugin[object]]:
    """Plug-ins in order, those that one brings along before it."""
    for plugin in named:
        yield from plugins.find(list(plugin.brings), file, line)
        yield plugin


def _options(plugin: Plugin[object], path: Path, conf_dir: Path, environ: Mapping[str, str], brought: bool) -> object:
    if path.is_file():
        conf = ConfigFile.read(path, conf_dir)
    elif plugin.config_required and not brought:
        raise ConfigError(str(path), 0, "", f"does not exist; {plugin.name} in load_plugins needs it (a sample is in etc/)")
    else:
        conf = ConfigFile.empty(str(path))
    return None if plugin.options is None else load(plugin.options, conf, environ, plugin.name)


def _check_order(found: list[LoadedPlugin], file: str, line: int) -> None:
    seen: set[str] = set()
    for loaded in found:
        for needed in loaded.plugin.requires:
            if needed not in seen:
                raise ConfigError(file, line, "load_plugins", f"{loaded.plugin.name} needs {needed} before it")
        seen.add(loaded.plugin.name)
