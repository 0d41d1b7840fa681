# SPDX-License-Identifier: GPL-2.0-or-later
"""`cordboard app`: make an application, run one that is being written, see and renew those of a server.

cordboard app new card            card.py, card.conf, its sounds, test_card.py
cordboard app run card.py --watch attached to a running server: takes the new calls of `card`, shows each as arrows, follows changes
cordboard app list                what runs there
cordboard app reload card         a new generation of one, or of all
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from clients.app.scaffold import CannotMake, make
from clients.app.watch import Watched
from clients.rpc import JsonRpc, RpcError

CONFIGURATION = "etc/sems.conf"
JSON_URL = "http://127.0.0.1:8080/jsonrpc"
FindUrls = Callable[[str], Mapping[str, str]]
"""From a server's configuration file to the URL `json` of its web port. Raises ValueError."""
_COLUMNS = ("name", "generation", "processes", "calls", "file")


def main(argv: Sequence[str] | None = None, find_urls: FindUrls | None = None) -> int:
    """Run the command; returns its exit status. `find_urls` reads what `-f` names."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.do is None:
        parser.print_help()
        return 1
    try:
        return int(arguments.do(arguments, find_urls))
    except (RpcError, CannotMake, ValueError) as error:
        print(f"cordboard app: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("cordboard app", description="Applications in Python.")
    parser.set_defaults(do=None)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    new = commands.add_parser("new", help="write an application that runs, with its sounds, its configuration and its test")
    new.add_argument("name")
    new.add_argument("folder", nargs="?", type=Path, default=Path("."), help="where to (here)")
    new.set_defaults(do=_new)
    run = commands.add_parser("run", help="run a file attached to a server, in whose apps.conf `remote` names it")
    run.add_argument("file", type=Path)
    run.add_argument("--name", default="", help="name of the application (the file's)")
    run.add_argument("--watch", action="store_true", help="start it anew when a file beside it changes")
    run.set_defaults(do=_run)
    listing = commands.add_parser("list", help="list the applications of a server")
    listing.set_defaults(do=_list)
    reload = commands.add_parser("reload", help="let a server read an application's file again, or all")
    reload.add_argument("name", nargs="?", default="")
    reload.set_defaults(do=_reload)
    for command in (run, listing, reload):
        command.add_argument(
            "-f", dest="conf", metavar="FILE", help=f"the server's configuration, which says its port ({CONFIGURATION})"
        )
        command.add_argument("--url", default="", help=f"the server's web port, or CORDBOARD_URL (without either {JSON_URL})")
        command.add_argument("--token", default=os.environ.get("CORDBOARD_TOKEN", ""), help="a token; better in CORDBOARD_TOKEN")
    return parser


def _url(arguments: argparse.Namespace, find_urls: FindUrls | None) -> str:
    """Of JSON-RPC. Raises ValueError."""
    given: str = arguments.url or os.environ.get("CORDBOARD_URL", "")
    if given:
        return given
    if arguments.conf is not None and find_urls is None:
        raise ValueError("-f needs the command `cordboard`; give --url here")
    if find_urls is not None and (arguments.conf is not None or os.path.isfile(CONFIGURATION)):
        return find_urls(arguments.conf or CONFIGURATION)["json"]
    return JSON_URL


def door_of(url: str) -> str:
    """Where programs attach, from any URL of a server's web port."""
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    if scheme not in ("ws", "wss") or not parts.hostname:
        raise ValueError(f"{url!r} is no address; right is http://HOST:PORT")
    return urlunsplit((scheme, parts.netloc, "/apps", "", ""))


def _new(arguments: argparse.Namespace, find_urls: FindUrls | None) -> int:
    del find_urls
    for path in make(arguments.name, arguments.folder):
        print(path)
    where = "" if arguments.folder == Path(".") else f"{arguments.folder}/"
    print(
        f"\nTry it: pytest {where or '.'}      On a server: copy it into script_path of apps.conf, or put `remote={arguments.name}` "
        f"there and\n        cordboard app run {where}{arguments.name}.py --watch"
    )
    return 0


def _run(arguments: argparse.Namespace, find_urls: FindUrls | None) -> int:
    file: Path = arguments.file
    if not file.is_file():
        raise ValueError(f"there is no file {file}; `cordboard app new {file.stem}` makes one")
    watched = Watched(file, door_of(_url(arguments, find_urls)), arguments.name or file.stem, arguments.token)
    return watched.run(follow=arguments.watch)


def _list(arguments: argparse.Namespace, find_urls: FindUrls | None) -> int:
    with JsonRpc(_url(arguments, find_urls), arguments.token) as server:
        found = server.call("apps.list")
    rows = [_COLUMNS, *(tuple(str(one[name]) for name in _COLUMNS) for one in found)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(_COLUMNS))]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    return 0


def _reload(arguments: argparse.Namespace, find_urls: FindUrls | None) -> int:
    failed = False
    with JsonRpc(_url(arguments, find_urls), arguments.token, 120.0) as server:
        there = {str(one["name"]): str(one["file"]) for one in server.call("apps.list")}
        new = [str(name) for name in server.call("apps.newFiles")]
        there.update((name, f"{name}.py") for name in new)
        if arguments.name and arguments.name not in there:
            raise ValueError(f"there is no application {arguments.name!r}; there are {', '.join(there) or 'none'}")
        for name in [arguments.name] if arguments.name else [name for name, file in there.items() if file]:
            code, text = server.call("apps.reload", [name])
            failed |= code != 200
            refused = f"not taken{'' if name in new else ', the old one goes on'}: {text}"
            print(f"{name}: {'a new generation is in service' if code == 200 else refused}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
