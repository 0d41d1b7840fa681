# SPDX-License-Identifier: GPL-2.0-or-later
"""What the registry says about itself: XML-RPC signatures and help, JSON schemas, and the OpenRPC document. Pure.

Everything comes from signatures and docstrings that the registry holds; nothing is written twice.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable

from di.kernel.registry import Interface, Method, Parameter, Registry
from di.kernel.value import LongLong, Value

OPENRPC_VERSION = "1.3.2"

_XML_TYPES: dict[object, str] = {
    int: "int",
    bool: "boolean",
    float: "double",
    str: "string",
    bytes: "base64",
    list: "array",
    tuple: "array",
    dict: "struct",
    LongLong: "int",
    type(None): "int",
}
_JSON_TYPES: dict[object, dict[str, Value]] = {
    int: {"type": "integer"},
    LongLong: {"type": "integer"},
    bool: {"type": "boolean"},
    float: {"type": "number"},
    str: {"type": "string"},
    bytes: {"type": "string", "contentEncoding": "base64"},
    type(None): {"type": "null"},
    dict: {"type": "object"},
    list: {"type": "array"},
}
ERRORS: list[Value] = [
    {"code": -32601, "message": "Method not found"},
    {"code": -32602, "message": "Invalid params"},
    {"code": -32000, "message": "Server error"},
    {"code": -32001, "message": "Forbidden"},
]


def xml_type(hint: object) -> str:
    """The XML-RPC type name of an annotation; `undef` for one that may be anything."""
    return _XML_TYPES.get(typing.get_origin(hint) or hint, "undef")


def find(registry: Registry, module: str, method: str) -> Method | None:
    """A function by name, or None."""
    interface = registry.interface(module)
    return interface.methods.get(method) if interface is not None else None


def signatures(registry: Registry, module: str, method: str) -> Value:
    """All signatures of a function: result type first; one for each number of optional arguments. `undef` text when unknown."""
    target = find(registry, module, method)
    if target is None or target.raw:
        return "undef"
    result = xml_type(target.returns)
    names = [xml_type(p.type) for p in target.parameters]
    required = sum(1 for p in target.parameters if p.required)
    return [[result, *names[:count]] for count in range(required, len(names) + 1)]


def help_text(registry: Registry, module: str, method: str) -> str:
    """A function's docstring with its call line before it; empty for an unknown one, as XML-RPC introspection has it."""
    target = find(registry, module, method)
    if target is None:
        return ""
    return f"{call_line(target)}\n{target.doc}"


def call_line(method: Method) -> str:
    """`module.method(a: int, b: str = "")`, for people."""
    parts = [_parameter_text(p) for p in method.parameters]
    if method.rest:
        parts.append("*rest")
    if method.raw:
        parts.append("args")
    return f"{method.full_name}({', '.join(parts)})"


def _parameter_text(parameter: Parameter) -> str:
    hint = parameter.type.__name__ if parameter.type is not None else "any"
    return f"{parameter.name}: {hint}" + ("" if parameter.required else f" = {parameter.default!r}")


def capabilities(registry: Registry) -> dict[str, Value]:
    """Extensions by name. The XML-RPC ones carry specUrl and specVersion, as `system.getCapabilities` clients expect."""
    return {
        "faults_interop": {"specUrl": "http://xmlrpc-epi.sourceforge.net/specs/rfc.fault_codes.php", "specVersion": 20010516},
        "introspection": {"specUrl": "http://xmlrpc-c.sourceforge.net/introspection.html", "specVersion": 1},
        "openrpc": {"specUrl": "https://spec.open-rpc.org/", "specVersion": 1},
        "modules": [interface.name for interface in registry.interfaces()],
    }


def json_schema(hint: object) -> dict[str, Value]:
    """A JSON schema for a type annotation; `{}`, anything, where the annotation says no more."""
    origin = typing.get_origin(hint)
    if origin is typing.Annotated:
        return json_schema(typing.get_args(hint)[0])
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [json_schema(part) for part in typing.get_args(hint)]}
    if origin is list:
        return {"type": "array", "items": json_schema(typing.get_args(hint)[0])}
    if origin is tuple:
        return {"type": "array"}
    if origin is dict:
        return {"type": "object", "additionalProperties": json_schema(typing.get_args(hint)[1])}
    return dict(_JSON_TYPES.get(hint, {}))


def describe_method(method: Method) -> dict[str, Value]:
    """One OpenRPC method object."""
    first, _, more = method.doc.partition("\n")
    described: dict[str, Value] = {
        "name": method.full_name,
        "summary": first,
        "params": [_describe_parameter(p) for p in method.parameters],
        "paramStructure": "by-position" if method.rest or method.raw else "either",
        "result": {"name": "result", "schema": json_schema(method.returns)},
        "errors": ERRORS,
        "tags": [{"name": method.module}],
        "x-changes": method.changes,
        "x-dangerous": method.dangerous,
    }
    if more.strip():
        described["description"] = more.strip()
    if method.rest:
        described["x-rest"] = True
    return described


def _describe_parameter(parameter: Parameter) -> dict[str, Value]:
    described: dict[str, Value] = {
        "name": parameter.name,
        "required": parameter.required,
        "schema": json_schema(parameter.type if parameter.type is not None else object),
    }
    if not parameter.required and _is_json(parameter.default):
        described["description"] = f"Default: {parameter.default!r}"
    return described


def _is_json(value: Value) -> bool:
    return value is None or isinstance(value, (bool, int, float, str, list, dict))


def openrpc(interfaces: Iterable[Interface], version: str) -> dict[str, Value]:
    """The OpenRPC document of everything registered (open-rpc specification 1.3)."""
    methods: list[Value] = [describe_method(m) for interface in interfaces for m in interface.methods.values()]
    return {
        "openrpc": OPENRPC_VERSION,
        "info": {
            "title": "cordboard",
            "version": version,
            "description": "Every function that this server's modules register, for JSON-RPC 2.0.",
            "license": {"name": "GPL-2.0-or-later"},
        },
        "methods": methods,
    }
