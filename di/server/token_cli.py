# SPDX-License-Identifier: GPL-2.0-or-later
"""`cordboard token`: make, list and withdraw credentials in the access file. A running server notices within a second.

cordboard token add panel --role operator         a token, shown once
cordboard token add alice --role admin --user     a user; the password is asked for, or read from standard input
cordboard token remove panel
cordboard token list
"""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from di.access import file as access_file
from di.access.options import read_options
from di.access.rules import NAME
from di.kernel.errors import ConfigError
from di.server import settings

_MIN_PASSWORD_CHARS = 10
_HEADER = (
    "# Access to the RPC gateways. One line each:",
    *(f"#   {form}" for form in access_file.FORMS.values()),
    "# Built-in roles: reader, attendant (calls and rooms), operator (*), admin (* dangerous:*). `cordboard token` writes hashes.",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status: 0, 1 for a wrong request, 255 for a configuration that cannot be used."""
    arguments = _parser().parse_args(argv)
    try:
        path = _path(arguments)
        if arguments.command == "add":
            return add(path, arguments.name, arguments.role, arguments.user)
        if arguments.command == "remove":
            return remove(path, arguments.name)
        return show(path)
    except ConfigError as error:
        print(f"cordboard token: {error}", file=sys.stderr)
        return 255
    except OSError as error:
        print(f"cordboard token: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("cordboard token", description="Make, list and withdraw credentials for the RPC gateways.")
    parser.add_argument("-f", metavar="FILE", default="etc/sems.conf", help="the server's configuration (default: %(default)s)")
    parser.add_argument("--file", metavar="FILE", help="the access file itself, instead of what the configuration names")
    commands = parser.add_subparsers(dest="command", required=True)
    adding = commands.add_parser("add", help="make a token, which is shown once, or a user with a password")
    adding.add_argument("name")
    adding.add_argument(
        "--role", action="append", required=True, help="reader, attendant, operator, admin or a role of the file; may be repeated"
    )
    adding.add_argument("--user", action="store_true", help="a user with a password (HTTP Basic) instead of a token")
    removing = commands.add_parser("remove", help="withdraw a token or a user")
    removing.add_argument("name")
    listing = commands.add_parser("list", help="show names and roles")
    for command in (adding, removing, listing):  # also behind the command, as with the other tools
        command.add_argument("-f", metavar="FILE", default=argparse.SUPPRESS, help="as in front of the command")
    return parser


def _path(arguments: argparse.Namespace) -> Path:
    if arguments.file:
        return Path(arguments.file)
    conf_dir = settings.configuration_folder(Path(arguments.f), os.environ)
    return read_options(conf_dir, os.environ)[1]


def _lines(path: Path) -> list[str]:
    if not path.exists():
        return list(_HEADER)
    access_file.read(path)  # says what is wrong before anything is changed
    return path.read_text("utf-8-sig").splitlines()


def add(path: Path, name: str, roles: list[str], user: bool) -> int:
    """Add a credential and print a token's text. Raises ConfigError when the file would be wrong with it."""
    if not NAME.fullmatch(name):
        print(f"cordboard token: {name!r} is no name; letters, digits, - and _ are, up to 64 of them", file=sys.stderr)
        return 1
    lines = _lines(path)
    if user:
        password = _password()
        if password is None:
            return 1
        token, hashed = "", access_file.hash_secret(password)
    else:
        token, hashed = access_file.new_token(name)
    lines.append(f"{'user' if user else 'token'} {name} {','.join(roles)} {hashed}")
    access_file.parse("\n".join(lines), str(path))
    access_file.rewrite(path, lines)
    if token:
        print(token)
        print(f"This token is not shown again. Use it so: Authorization: Bearer {name}.…", file=sys.stderr)
    else:
        print(f"{name} can log in now: {path}", file=sys.stderr)
    return 0


def _password() -> str | None:
    if sys.stdin.isatty():
        password = getpass.getpass("Password: ")
        if password != getpass.getpass("Once more: "):
            print("cordboard token: the two differ", file=sys.stderr)
            return None
    else:
        password = sys.stdin.readline(1024).rstrip("\r\n")
    if not _MIN_PASSWORD_CHARS <= len(password) <= 256 or not password.isprintable():
        print(f"cordboard token: a password has {_MIN_PASSWORD_CHARS} to 256 printable characters", file=sys.stderr)
        return None
    return password


def remove(path: Path, name: str) -> int:
    """Withdraw a credential; its line goes, the rest of the file stays as it is."""
    lines = _lines(path) if path.exists() else []
    kept = [line for line in lines if line.split()[:2] not in (["token", name], ["user", name])]
    if len(kept) == len(lines):
        print(f"cordboard token: {path} has no token or user {name!r}", file=sys.stderr)
        return 1
    access_file.rewrite(path, kept)
    return 0


def show(path: Path) -> int:
    """Print names and roles, never hashes."""
    if not path.exists():
        print(f"{path} does not exist: nobody has to log in, and only this machine can be listened on", file=sys.stderr)
        return 0
    rules = access_file.read(path)
    for role in rules.roles.values():
        print(f"role       {role.name:<20} {' '.join(role.patterns)}")
    for credential in rules.credentials.values():
        print(f"{credential.kind:<10} {credential.name:<20} {','.join(credential.roles)}")
    for transport, roles in rules.anonymous.items():
        print(f"anonymous  {transport:<20} {','.join(roles)}")
    return 0
