# SPDX-License-Identifier: GPL-2.0-or-later
"""`cordboard rpc METHOD [ARG…]`: call a function of a running server and print the result.

An argument is JSON when it can be read as JSON (5, true, null, '["app","echo"]'), else a string; '"5"' is the string 5. Names with a dot
go to the JSON-RPC port, others (calls, get_cpslimit …) to the XML-RPC port, unless --json or --xml says otherwise.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from clients.rpc import CallError, JsonRpc, RpcError, XmlRpc

CONFIGURATION = "etc/sems.conf"
_WRONG_ARGUMENTS = frozenset({-32602, 300})
"""Codes of the two gateways for arguments that are missing or of another type."""
JSON_URL, XML_URL = "http://127.0.0.1:8080/jsonrpc", "http://127.0.0.1:8090"
_COMPLETION = """_cordboard_rpc() {
  [ "${COMP_WORDS[1]}" = rpc ] || return
  COMPREPLY=($(cordboard rpc --complete "${COMP_WORDS[COMP_CWORD]}" 2>/dev/null))
}
complete -o default -F _cordboard_rpc cordboard
"""


FindUrls = Callable[[str], Mapping[str, str]]
"""From a server's configuration file to the URLs `json` and `xml` of its ports. Raises ValueError."""


def main(argv: Sequence[str] | None = None, find_urls: FindUrls | None = None) -> int:
    """Run the command; returns 0, or 1 when the call gave no result. `find_urls` reads what `-f` names."""
    arguments = _parser().parse_intermixed_args(argv)
    try:
        arguments.urls = urls(arguments.url, arguments.file, find_urls)
        return _run(arguments)
    except (RpcError, ValueError) as error:
        print(f"cordboard rpc: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 1


def urls(given: str, file: str | None, find_urls: FindUrls | None) -> Mapping[str, str]:
    """Where to call: what was given, else what the configuration says, else the usual ports. Raises ValueError."""
    given = given or os.environ.get("CORDBOARD_URL", "")
    if given:
        return {"json": given, "xml": given}
    if file is not None and find_urls is None:
        raise ValueError("-f needs the command `cordboard`; give --url here")
    if find_urls is not None and (file is not None or os.path.isfile(CONFIGURATION)):
        return find_urls(file or CONFIGURATION)
    return {"json": JSON_URL, "xml": XML_URL}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("cordboard rpc", description="Call a function of a running server.")
    parser.add_argument("method", nargs="?", help="module.function, or a method of the XML-RPC port such as calls")
    parser.add_argument("args", nargs="*", metavar="ARG", help="JSON, or else a string")
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--json", action="store_true", help="call by JSON-RPC")
    way.add_argument("--xml", action="store_true", help="call by XML-RPC")
    parser.add_argument("--named", action="store_true", help="arguments are NAME=VALUE (JSON-RPC)")
    parser.add_argument(
        "-f", dest="file", metavar="FILE", help=f"the server's configuration, which says its ports ({CONFIGURATION})"
    )
    parser.add_argument("--url", default="", help=f"the port to call, or CORDBOARD_URL (without either {JSON_URL} and {XML_URL})")
    parser.add_argument("--token", default=os.environ.get("CORDBOARD_TOKEN", ""), help="a token; better in CORDBOARD_TOKEN")
    parser.add_argument("--timeout", type=float, default=30.0, metavar="SECONDS", help="longest wait for an answer")
    parser.add_argument("--compact", action="store_true", help="print the result in one line")
    parser.add_argument("--list", action="store_true", help="list all functions with their first line")
    parser.add_argument("--complete", metavar="PREFIX", help="list the names that begin so, for the shell")
    parser.add_argument("--completion", choices=["bash"], help="print the shell's completion script")
    return parser


def _run(arguments: argparse.Namespace) -> int:
    if arguments.completion:
        print(_COMPLETION, end="")
        return 0
    if arguments.complete is not None or arguments.list:
        return _list(arguments)
    if not arguments.method:
        raise ValueError("which function? `cordboard rpc --list` shows them all")
    try:
        result = _call(arguments)
    except CallError as error:
        if error.code in _WRONG_ARGUMENTS:
            raise ValueError(f"{error}{_right(arguments)}") from error
        raise
    show(result, arguments.compact)
    return 0


def _right(arguments: argparse.Namespace) -> str:
    """Which arguments are missing, and what the function takes, as far as the server tells it."""
    try:
        with _json_client(arguments) as client:
            methods = client.call("rpc.discover")["methods"]
    except (RpcError, KeyError, TypeError):
        return ""
    name = arguments.method
    found = [method for method in methods if method["name"] == name or method["name"].endswith(f".{name}")]
    if len(found) != 1:
        return ""
    (method,) = found
    given = [text.partition("=")[0] for text in arguments.args] if arguments.named else arguments.args
    needed = [parameter["name"] for parameter in method["params"] if parameter.get("required")]
    missing = [one for one in needed if one not in given] if arguments.named else needed[len(given) :]
    return (f"; missing: {', '.join(missing)}" if missing else "") + f"; right is {_signature(method)}"


def _signature(method: dict[str, Any]) -> str:
    params = ", ".join(p["name"] if p.get("required") else f"[{p['name']}]" for p in method["params"])
    return f"{method['name']}({params})"


def _call(arguments: argparse.Namespace) -> Any:
    by_xml = arguments.xml or ("." not in arguments.method and not arguments.json)
    if arguments.named:
        if by_xml:
            raise ValueError("--named needs JSON-RPC")
        with _json_client(arguments) as client:
            return client.call(arguments.method, dict(_named(text) for text in arguments.args))
    values = [value_of(text) for text in arguments.args]
    if by_xml:
        with XmlRpc(arguments.urls["xml"], arguments.token, arguments.timeout) as proxy:
            return proxy.call(arguments.method, *values)
    with _json_client(arguments) as client:
        return client.call(arguments.method, values)


def _json_client(arguments: argparse.Namespace) -> JsonRpc:
    return JsonRpc(arguments.urls["json"], arguments.token, arguments.timeout)


def _list(arguments: argparse.Namespace) -> int:
    with _json_client(arguments) as client:
        document = client.call("rpc.discover")
    for method in sorted(document["methods"], key=lambda method: str(method["name"])):
        if arguments.complete is not None:
            if method["name"].startswith(arguments.complete):
                print(method["name"])
            continue
        print(f"{_signature(method)}  {method.get('summary', '')}")
    return 0


def value_of(text: str) -> Any:
    """What an argument means: JSON when it can be read so, else itself. NaN and the like stay text."""
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return text


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _named(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"{text!r} is no NAME=VALUE")
    return name, value_of(value)


def show(result: Any, compact: bool) -> None:
    """Print a result: a string as it is, anything else as JSON."""
    if isinstance(result, str) and not compact:
        print("".join(c if c.isprintable() or c in "\n\t" else "·" for c in result))  # the terminal is not to be steered
        return
    print(json.dumps(result, indent=None if compact else 2, ensure_ascii=False, default=_text_of))


def _text_of(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else str(value)


if __name__ == "__main__":
    sys.exit(main())
