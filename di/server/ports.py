# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the server of a configuration can be reached by RPC, for the tools `rpc` and `top`. Reads those two modules' files only."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol, cast

from di.kernel.config import ConfigFile
from di.kernel.errors import ConfigError
from di.kernel.options import load
from di.server import plugin
from di.server.settings import configuration_folder

_REACHED_AT = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Where one that listens everywhere is reached from this machine."""


class _Gateway(Protocol):
    server_ip: str
    tls_certificate: str


class _Web(_Gateway, Protocol):
    port: int


class _Xml(_Gateway, Protocol):
    xmlrpc_port: int


def find_urls(file: str) -> dict[str, str]:
    """`json` and `xml`: the URLs of the two ports. Raises ValueError for a configuration that cannot be read."""
    try:
        folder = configuration_folder(Path(file), os.environ)
        web, xml = cast(_Web, _options("web", folder)), cast(_Xml, _options("xmlrpc2di", folder))
    except ConfigError as error:
        raise ValueError(str(error)) from error
    return {"json": _url(web, web.port) + "/jsonrpc", "xml": _url(xml, xml.xmlrpc_port)}


def _options(name: str, folder: Path) -> object:
    (found,) = plugin.find([name], "", 0)
    assert found.options is not None
    path = folder / f"{name}.conf"
    return load(found.options, ConfigFile.read(path, folder) if path.is_file() else ConfigFile.empty(str(path)), os.environ, name)


def _url(options: _Gateway, port: int) -> str:
    ip = _REACHED_AT.get(options.server_ip, options.server_ip)
    return f"{'https' if options.tls_certificate else 'http'}://{f'[{ip}]' if ':' in ip else ip}:{port}"
