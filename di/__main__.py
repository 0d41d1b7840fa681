# SPDX-License-Identifier: GPL-2.0-or-later
"""The command `cordboard` (also `python -m di`): serve, check-config, and the way to the other tools.

`serve` understands SEMS's options too (spec core.md §2). Exit status: 0 stopped in order, 1 a start that failed or a wrong option,
255 an error in the configuration, as SEMS has it.
"""

from __future__ import annotations

import argparse
import asyncio
import grp
import importlib
import logging
import os
import pwd
import sys
from collections.abc import Sequence
from pathlib import Path

from di.kernel import logs
from di.kernel.errors import ConfigError
from media.control import log_lines

log = logging.getLogger("cordboard")

VERSION = "0.1"
CONFIG_STATUS = 255
_TOOLS = {
    "dsm": ("di.dsm.cli", "check, draw and try out state diagrams"),
    "rpc": ("clients.cli.rpc", "call a function of a running server"),
    "top": ("clients.cli.top", "watch a running server"),
    "prompts": ("di.apps.sample_prompts", "make the sample prompts"),
    "token": ("di.server.token_cli", "make and withdraw access tokens"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    command = arguments[0] if arguments else "serve"
    if command in _TOOLS:
        return _tool(command, arguments[1:])
    if command == "check-config":
        return check_config(_options("check-config").parse_args(arguments[1:]))
    if command == "serve" or (command.startswith("-") and command not in ("-h", "--help", "-v", "--version")):
        parser = _options("serve")
        return serve(parser.parse_args(arguments[1:] if command == "serve" else arguments))
    if command in ("-v", "--version"):
        print(f"cordboard {VERSION}")
        return 0
    print(_usage(), file=sys.stdout if command in ("-h", "--help") else sys.stderr)
    return 0 if command in ("-h", "--help") else 1


def _usage() -> str:
    lines = ["usage: cordboard COMMAND …", "", "  serve         run the server (serve -h shows its options)"]
    lines.append("  check-config  read the configuration and say what is wrong with it")
    lines += [f"  {name:<13} {text}" for name, (_, text) in _TOOLS.items()]
    return "\n".join(lines)


def _tool(command: str, arguments: list[str]) -> int:
    module, _ = _TOOLS[command]
    try:
        tool = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name):
            raise
        print(f"cordboard {command}: this installation does not have it ({module})", file=sys.stderr)
        return 1
    status = tool.main(arguments)
    return int(status or 0)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        self.print_usage(sys.stderr)
        self.exit(1, f"cordboard: {message}\n")


def _options(command: str) -> argparse.ArgumentParser:
    parser = _Parser(prog=f"cordboard {command}")
    parser.add_argument("-f", dest="file", default="etc/sems.conf", help="configuration file (etc/sems.conf)")
    parser.add_argument("-x", dest="plugin_path", help="SEMS's plug-in folder; accepted, there is nothing to load from it")
    parser.add_argument("-d", dest="address", help="address or device for SIP and RTP, instead of sip_ip and media_ip")
    parser.add_argument(
        "-E", dest="foreground", action="store_true", help="stay in the foreground, log to stderr; it always does"
    )
    parser.add_argument("-P", dest="pid_file", help="write the process id there")
    parser.add_argument("-u", dest="user", help="user (name or number) to run as")
    parser.add_argument("-g", dest="group", help="group (name or number) to run as")
    parser.add_argument("-D", dest="level", help="log level, instead of loglevel")
    parser.add_argument("-v", action="version", version=f"cordboard {VERSION}")
    return parser


def _overrides(options: argparse.Namespace) -> dict[str, str]:
    found: dict[str, str] = {}
    if options.address:
        found |= {"sip_ip": options.address, "media_ip": options.address}
    if options.level:
        found["loglevel"] = options.level
    return found


def check_config(options: argparse.Namespace) -> int:
    """Read everything, start nothing."""
    from di.server import settings

    logs.set_up(1)
    try:
        found = settings.read(Path(options.file), os.environ, _overrides(options))
    except ConfigError as error:
        print(f"cordboard: {error}", file=sys.stderr)
        return CONFIG_STATUS
    names = ", ".join(loaded.plugin.name for loaded in found.plugins)
    print(f"{options.file}: good. Plug-ins: {names or 'none'}. Application: {found.core.application or 'none'}")
    return 0


def serve(options: argparse.Namespace) -> int:
    """Run the server until it is told to stop."""
    from di import boot
    from di.kernel.child import StartFailed
    from di.server import settings

    log_lines.name_process()
    logs.set_up(2)
    loop: asyncio.AbstractEventLoop | None = None
    try:
        found = settings.read(Path(options.file), os.environ, _overrides(options))
        logs.set_up(found.core.loglevel, found.core.log_format)
        if found.core.fork:
            log.warning("fork=yes: cordboard stays in the foreground; let a service manager put it into the background")
        _become(options.user, options.group)
        if options.pid_file:
            Path(options.pid_file).write_text(f"{os.getpid()}\n")
        loop = boot.make_loop()
        asyncio.set_event_loop(loop)
        loop.run_until_complete(boot.serve(found))
    except ConfigError as error:
        print(f"cordboard: {error}", file=sys.stderr)
        return CONFIG_STATUS
    except (StartFailed, OSError, LookupError) as error:
        print(f"cordboard: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 1
    finally:
        if loop is not None:
            loop.close()
        if options.pid_file:
            Path(options.pid_file).unlink(missing_ok=True)
    return 0


def _become(user: str | None, group: str | None) -> None:
    """Give up the present user for another, group first. Raises LookupError or OSError."""
    if group:
        os.setgid(int(group) if group.isdigit() else grp.getgrnam(group).gr_gid)
    if user:
        entry = pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)
        if not group:
            os.setgid(entry.pw_gid)
        os.initgroups(entry.pw_name, entry.pw_gid)
        os.setuid(entry.pw_uid)


if __name__ == "__main__":
    sys.exit(main())
