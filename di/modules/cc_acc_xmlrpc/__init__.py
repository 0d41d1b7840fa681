# SPDX-License-Identifier: GPL-2.0-or-later
"""DI module `cc_acc` over a server elsewhere, which plug-in `cc_acc_xmlrpc` asks by XML-RPC (spec applications.md §24)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from di.kernel.options import option
from di.kernel.registry import di_method
from di.modules.cc_prepaid_xmlrpc.control import CreditServer, RemoteCredits
from di.server.plugin import Plugin

if TYPE_CHECKING:
    from di.server.plugin import Closer
    from di.server.services import Services


@dataclass(frozen=True)
class Options:
    """Keys of cc_acc_xmlrpc.conf."""

    server_url: str = option("http://localhost:8000/RPC2", help="The XML-RPC server.")


class RemoteAccounts(RemoteCredits):
    """The same functions, and the one that does nothing."""

    @di_method("connectCall", changes=False)
    def connect_call(self) -> None:
        """Do nothing, as in SEMS."""


def start(services: Services, options: Options) -> Closer:
    """Publish the functions."""
    server = CreditServer(options.server_url)
    services.registry.register("cc_acc", RemoteAccounts(server))

    async def close() -> None:
        services.registry.unregister("cc_acc")
        await server.close()

    return close


PLUGIN = Plugin("cc_acc_xmlrpc", start=start, options=Options)
