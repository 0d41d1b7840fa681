# SPDX-License-Identifier: GPL-2.0-or-later
"""The XML-RPC name space: built-ins, `di`, directly exported functions, `system.*`, all over the one registry (spec di.md §3.2, §3.3).

A name resolves to `module.method` and arguments; permission is asked there, so a caller gets the same decision by whatever
name he comes. Only texts and codes of this file reach the wire.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from di.kernel.errors import CallFailed, Forbidden, NoSuchModule, NotImplementedInDI, OutOfBounds, TypeMismatch
from di.kernel.registry import Caller, Registry
from di.kernel.value import Value
from interfaces import introspect
from interfaces.gateway import settle, waits

log = logging.getLogger(__name__)

MAX_MULTICALL = 100
"""Entries of one system.multicall; the rest of the world waits while they run."""

MAX_ELEMENTS = 2_000_000
"""Elements of arrays in the answers of one system.multicall."""
_AT_ONCE = 8
"""Entries that run before the rest of the world has its turn."""

_MULTICALL = "system.multicall"


def elements_in(value: Value, depth: int = 2) -> int:
    """About how many elements an answer's arrays have: those of the first stand for all."""
    if not isinstance(value, list) or not value:
        return 0
    return len(value) * (1 + (elements_in(value[0], depth - 1) if depth else 0))


class FaultError(Exception):
    """Ends a call with a `<fault>`."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code} {text}")
        self.code, self.text = code, text


@dataclass(frozen=True, slots=True)
class Builtin:
    """A method of the gateway itself, served by `core`.

    `answer` replaces the result; `default` stands for a missing parameter.
    """

    function: str
    takes: type | None = None
    default: Value = None
    answer: str | None = None


BUILTINS: dict[str, Builtin] = {
    "calls": Builtin("calls"),
    "get_loglevel": Builtin("get_loglevel"),
    "set_loglevel": Builtin("set_loglevel", int, 0, "200 OK"),
    "get_shutdownmode": Builtin("get_shutdownmode"),
    "set_shutdownmode": Builtin("set_shutdownmode", bool, False, "200 OK"),
    "get_sessioncount": Builtin("get_sessioncount"),
    "get_callsavg": Builtin("get_callsavg"),
    "get_callsmax": Builtin("get_callsmax"),
    "get_cpsavg": Builtin("get_cpsavg"),
    "get_cpsmax": Builtin("get_cpsmax"),
    "get_cpslimit": Builtin("get_cpslimit"),
    "set_cpslimit": Builtin("set_cpslimit", int, 0, "200 OK"),
}


def fault_of(error: Exception) -> FaultError:
    """What a failed call answers (spec di.md §2.2). The table is the whole rule."""
    match error:
        case FaultError():
            return error
        case NotImplementedInDI():
            return FaultError(504, f"Exception: AmDynInvoke::NotImplemented: {error.what}")
        case OutOfBounds():
            return FaultError(300, "Exception: AmArg out of bounds - parameter number mismatch.")
        case TypeMismatch():
            return FaultError(300, "Exception: Type mismatch in arguments.")
        case NoSuchModule():
            return FaultError(500, "could not get factory")
        case Forbidden():
            return FaultError(403, str(error))
        case CallFailed():
            return FaultError(500, f"Exception: {error}")
        case _:
            log.error("a call failed", exc_info=error)
            return FaultError(500, f"Exception: {error}" if str(error) else "Exception occured.")


class Methods:
    """All XML-RPC methods of a gateway."""

    def __init__(self, registry: Registry, export_di: bool = True, direct_export: Iterable[str] = ()) -> None:
        """`direct_export`: DI names whose listed functions become methods. One that is not loaded is logged and left out."""
        self.registry = registry
        self.export_di = export_di
        self.exported: dict[str, tuple[str, str]] = {}
        for module in direct_export:
            self._export(module)

    def _export(self, module: str) -> None:
        interface = self.registry.interface(module)
        if interface is None:
            log.error("direct_export: %s is not loaded; put it before xmlrpc2di in load_plugins", module)
            return
        for listed in interface.listed():
            name = str(listed)
            self.exported[f"{module}.{name}"] = (module, name)
            if name in self.exported or name in BUILTINS or name in ("di", _MULTICALL):
                log.error("direct_export: a method %s exists already, so %s.%s has only its long name", name, module, name)
            else:
                self.exported[name] = (module, name)

    def execute(self, name: str, params: list[Value] | None, caller: Caller) -> Value | Awaitable[Value]:
        """Run a method. `params` None: the request had none at all. Raises what `fault_of` translates."""
        builtin = BUILTINS.get(name)
        if builtin is not None:
            return self._builtin(builtin, params, caller)
        if name == "di" and self.export_di:
            return self._di(params, caller)
        target = self.exported.get(name)
        if target is not None:
            return self._direct(target, params, caller)
        if name == _MULTICALL:
            return self._multicall(params, caller)
        system = _SYSTEM.get(name)
        if system is not None:
            function, run = system
            _permitted(caller, "system", function)
            return run(self, params or [])
        raise FaultError(-1, f"{name}: unknown method name")

    def _builtin(self, builtin: Builtin, params: list[Value] | None, caller: Caller) -> Value | Awaitable[Value]:
        args: list[Value] = []
        if builtin.takes is not None:
            value = params[0] if params else builtin.default
            if type(value) is not builtin.takes:
                _permitted(caller, "core", builtin.function)
                raise FaultError(-1, "type error")
            args.append(value)
        answer = self.registry.invoke("core", builtin.function, args, caller)
        if builtin.answer is None:
            return answer
        return _replaced(answer, builtin.answer) if waits(answer) else builtin.answer

    def _di(self, params: list[Value] | None, caller: Caller) -> Value | Awaitable[Value]:
        if params is None:
            raise FaultError(-1, "type error")
        if len(params) < 2:
            raise FaultError(400, "need at least factory name and function name to call")
        module, function, *args = params
        if type(module) is not str or type(function) is not str:
            raise FaultError(-1, "type error")
        return self.registry.invoke(module, function, args, caller)

    def _direct(self, target: tuple[str, str], params: list[Value] | None, caller: Caller) -> Value | Awaitable[Value]:
        if self.registry.interface(target[0]) is None:
            _permitted(caller, *target)
            raise FaultError(500, "could not get DI factory")
        return self.registry.invoke(*target, params, caller)

    def _multicall(self, params: list[Value] | None, caller: Caller) -> Value | Awaitable[Value]:
        entries = params[0] if params and len(params) == 1 else None
        if not isinstance(entries, list):
            raise FaultError(-1, f"{_MULTICALL}: Invalid argument (expected an array)")
        if len(entries) > MAX_MULTICALL:
            raise FaultError(-1, f"{_MULTICALL}: {len(entries)} calls are too many; at most {MAX_MULTICALL} at once")
        results: list[Value] = []
        for entry in entries[:_AT_ONCE]:
            answer = self._entry(entry, caller)
            if waits(answer):
                return self._rest(entries, answer, results, caller)
            results.append(answer)
        return results if len(entries) <= _AT_ONCE else self._rest(entries, None, results, caller)

    async def _rest(self, entries: list[Value], first: Awaitable[Value] | None, results: list[Value], caller: Caller) -> Value:
        """Go on with a multicall: entries run one after the other, never side by side, and others have their turn in between."""
        if first is not None:
            results.append(await first)
        elements = sum(map(elements_in, results))
        for entry in entries[len(results) :]:
            await asyncio.sleep(0)
            if elements > MAX_ELEMENTS:
                text = f"{_MULTICALL}: not run: the answers before it have more than {MAX_ELEMENTS} elements"
                results.append(_fault_struct(FaultError(500, text)))
                continue
            results.append(await settle(self._entry(entry, caller)))
            elements += elements_in(results[-1])
        return results

    def _entry(self, entry: Value, caller: Caller) -> Value | Awaitable[Value]:
        """One entry's outcome: a list of one value, or a fault as a struct. Raises nothing."""
        try:
            name = entry.get("methodName") if isinstance(entry, dict) else None
            if not isinstance(entry, dict) or not isinstance(name, str) or "params" not in entry:
                raise FaultError(-1, f"{_MULTICALL}: Invalid argument (expected a struct with members methodName and params)")
            if name == _MULTICALL:
                raise FaultError(-1, f"{_MULTICALL}: recursive calls are refused")
            params = entry["params"]
            answer = self.execute(name, params if isinstance(params, list) else [params], caller)
        except Exception as error:  # noqa: BLE001 - every failure of an entry is that entry's fault struct
            return _fault_struct(error)
        return _wrapped(answer) if waits(answer) else [answer]

    def names(self) -> list[str]:
        """Every method name that `execute` knows."""
        di = ["di"] if self.export_di else []
        return sorted([*BUILTINS, *di, *self.exported, _MULTICALL, *_SYSTEM])

    def described(self, name: str) -> tuple[str, str]:
        """The `module.method` behind a name; for a built-in that of `core`."""
        if name in BUILTINS:
            return "core", BUILTINS[name].function
        if name in self.exported:
            return self.exported[name]
        module, _, method = name.partition(".")
        return module, method


async def _replaced(answer: Awaitable[Value], text: str) -> Value:
    await answer
    return text


async def _wrapped(answer: Awaitable[Value]) -> Value:
    try:
        return [await answer]
    except Exception as error:  # noqa: BLE001 - as in _entry
        return _fault_struct(error)


def _fault_struct(error: Exception) -> Value:
    fault = fault_of(error)
    return {"faultCode": fault.code, "faultString": fault.text}


def _permitted(caller: Caller, module: str, function: str) -> None:
    """Decide what does not go through the registry as the registry would. Raises Forbidden."""
    if not caller.allows(module, function):
        raise Forbidden(f"{module}.{function}")


def _list_methods(methods: Methods, params: list[Value]) -> Value:
    return list(methods.names())


def _name_parameter(params: list[Value]) -> str:
    if not params or not isinstance(params[0], str):
        raise FaultError(-1, "type error")
    return params[0]


def _method_signature(methods: Methods, params: list[Value]) -> Value:
    name = _name_parameter(params)
    if name in _OWN_SIGNATURES:
        return [list(signature) for signature in _OWN_SIGNATURES[name]]
    builtin = BUILTINS.get(name)
    if builtin is not None and builtin.answer is not None:
        return [["string", introspect.xml_type(builtin.takes)]]
    return introspect.signatures(methods.registry, *methods.described(name))


def _method_help(methods: Methods, params: list[Value]) -> Value:
    name = _name_parameter(params)
    return _OWN_HELP.get(name) or introspect.help_text(methods.registry, *methods.described(name))


def _capabilities(methods: Methods, params: list[Value]) -> Value:
    return introspect.capabilities(methods.registry)


_SYSTEM: dict[str, tuple[str, Callable[[Methods, list[Value]], Value]]] = {
    "system.listMethods": ("listMethods", _list_methods),
    "system.methodSignature": ("methodSignature", _method_signature),
    "system.methodHelp": ("methodHelp", _method_help),
    "system.capabilities": ("capabilities", _capabilities),
    "system.getCapabilities": ("capabilities", _capabilities),
}
"""Method → the function of `system` whose permission it needs, and what it answers about XML-RPC's own names."""
_OWN_SIGNATURES: dict[str, list[list[str]]] = {
    "di": [["undef", "string", "string"]],
    _MULTICALL: [["array", "array"]],
    "system.listMethods": [["array"]],
    "system.methodSignature": [["array", "string"]],
    "system.methodHelp": [["string", "string"]],
    "system.capabilities": [["struct"]],
    "system.getCapabilities": [["struct"]],
}
_OWN_HELP: dict[str, str] = {
    "di": "Call function `params[1]` of DI interface `params[0]` with the further parameters as its arguments.",
    _MULTICALL: "Run several calls, one after the other; each is a struct of methodName and params.",
    "system.listMethods": "List the names of all methods.",
    "system.methodSignature": "List a method's signatures: result type, then parameter types.",
    "system.methodHelp": "Describe a method. Every `module.function` of the DI registry is known, exported or not.",
    "system.capabilities": "Say which extensions this server has.",
    "system.getCapabilities": "Say which extensions this server has.",
}
