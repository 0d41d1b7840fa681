# SPDX-License-Identifier: GPL-2.0-or-later
"""DI `system` and `rpc`: the registry describes itself, and callers ask who they are.

Every gateway publishes them, the first one for all. Being functions of the registry like any other, they are decided like any other: by
roles (docs/access.md), whichever way a call comes.
"""

from __future__ import annotations

from collections.abc import Callable

from di.kernel.registry import Caller, Registry, di_method
from di.kernel.value import Value
from interfaces import introspect

VERSION = "1"


class SystemInterface:
    """Introspection functions. They show every registered function; what a caller may run is another matter."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    @di_method("listMethods", changes=False)
    def list_methods(self) -> list[Value]:
        """List every function as `module.function`."""
        return [m.full_name for interface in self._registry.interfaces() for m in interface.methods.values()]

    @di_method("methodSignature", changes=False)
    def method_signature(self, name: str) -> Value:
        """List a function's signatures: type of the result, then types of the parameters."""
        module, _, method = name.partition(".")
        return introspect.signatures(self._registry, module, method)

    @di_method("methodHelp", changes=False)
    def method_help(self, name: str) -> str:
        """Describe a function; empty for an unknown one."""
        module, _, method = name.partition(".")
        return introspect.help_text(self._registry, module, method)

    @di_method("capabilities", changes=False)
    def capabilities(self) -> dict[str, Value]:
        """Say which extensions this server has and which modules are loaded."""
        return introspect.capabilities(self._registry)


class RpcInterface:
    """What JSON-RPC clients ask about the service itself."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._document: dict[str, Value] = {}
        self._made_of = -1

    @di_method("discover", changes=False)
    def discover(self) -> dict[str, Value]:
        """Return the OpenRPC document of everything that is registered. Made once, until a module comes or goes."""
        if self._made_of != self._registry.version:
            self._document = introspect.openrpc(self._registry.interfaces(), VERSION)
            self._made_of = self._registry.version
        return self._document

    @di_method("permissions", changes=False)
    def permissions(self, caller: Caller) -> dict[str, Value]:
        """Say who this caller is and which functions he may call: {name, methods}. Whoever is let in may ask."""
        methods: list[Value] = [
            method.full_name
            for interface in self._registry.interfaces()
            for method in interface.methods.values()
            if caller.would_allow(method.module, method.name)
        ]
        return {"name": "" if caller.name.startswith("*") else caller.name, "methods": methods}


def publish(registry: Registry) -> Callable[[], None]:
    """Register what another gateway has not registered yet; returns what withdraws that."""
    made = []
    for name, interface in (("system", SystemInterface), ("rpc", RpcInterface)):
        if registry.interface(name) is None:
            registry.register(name, interface(registry))
            made.append(name)

    def withdraw() -> None:
        for name in made:
            registry.unregister(name)

    return withdraw
