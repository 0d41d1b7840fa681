# SPDX-License-Identifier: GPL-2.0-or-later
"""The command `cordboard` (also `python -m di`): serve, check-config, and the way to the other tools.

`serve` understands SEMS's options too (spec core.md §2). Exit status: 0 stopped in order, 1 a start that failed or a wrong option,
255 an error in the configuration, as SEMS has it.
"""

from __future__ import annotations

import signal

if __name__ == "__main__":  # Ctrl-C ends a command that is still being loaded without a word
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import argparse
import asyncio
import gc
import importlib
import logging
import os
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
    "app": ("clients.app.command", "make an application in Python, run one that is being written, list and renew"),
    "prompts": ("di.spoken.cli", "make the prompts of the text lists, list and play them, see what is missing"),
    "token": ("di.server.token_cli", "make and withdraw access tokens"),
}
_FIND_PORTS = frozenset({"rpc", "top", "app"})
"""Tools that ask for the ports of the server that a configuration belongs to."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    command = arguments[0] if arguments else "--help"
    if command != "serve" and not command.startswith("-"):
        signal.signal(signal.SIGINT, signal.default_int_handler)
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
    if command not in ("-h", "--help"):
        print(f"cordboard: there is no command {command!r}\n\n{_usage()}", file=sys.stderr)
        return 1
    print(_usage())
    return 0


def _usage() -> str:
    lines = ["usage: cordboard COMMAND …      (cordboard COMMAND -h: its options)", ""]
    lines.append("  serve         run the server, in the foreground")
    lines.append("  check-config  read the configuration and say what is wrong with it")
    lines += [f"  {name:<13} {text}" for name, (_, text) in _TOOLS.items()]
    lines += ["", "All read etc/sems.conf, or the file of -f FILE. A first try: cordboard serve"]
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
    if command in _FIND_PORTS:
        from di.server.ports import find_urls

        return int(tool.main(arguments, find_urls) or 0)
    return int(tool.main(arguments) or 0)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        self.print_usage(sys.stderr)
        self.exit(1, f"cordboard: {message}\n")


def _options(command: str) -> argparse.ArgumentParser:
    parser = _Parser(prog=f"cordboard {command}")
    parser.add_argument("-f", dest="file", metavar="FILE", default="etc/sems.conf", help="configuration file (etc/sems.conf)")
    parser.add_argument("-d", dest="address", help="address or device for SIP and RTP, instead of sip_ip and media_ip")
    parser.add_argument("-D", dest="level", help="log level, instead of loglevel: 0 to 3, or error, warning, info, debug")
    parser.add_argument("-v", action="version", version=f"cordboard {VERSION}")
    if command == "check-config":
        parser.add_argument(
            "--ports", action="store_true", help="see, too, whether the ports are free: not while the server runs"
        )
        return parser
    parser.add_argument("-P", dest="pid_file", metavar="FILE", help="write the process id there")
    parser.add_argument("-u", dest="user", help="user (name or number) to run as")
    parser.add_argument("-g", dest="group", help="group (name or number) to run as")
    parser.add_argument("-x", dest="plugin_path", help="SEMS's plug-in folder; accepted, there is nothing to load from it")
    parser.add_argument(
        "-E", dest="foreground", action="store_true", help="stay in the foreground, log to stderr; it always does"
    )
    return parser


def _overrides(options: argparse.Namespace) -> dict[str, str]:
    found: dict[str, str] = {}
    if options.address:
        found |= {"sip_ip": options.address, "media_ip": options.address}
    if options.level:
        found["loglevel"] = options.level
    return found


class _Told(logging.Handler):
    """Prints what a start would log, without the time; counts errors."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.errors = self.warnings = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Called by logging."""
        serious = record.levelno >= logging.ERROR
        self.errors += serious
        self.warnings += not serious
        print(f"cordboard: {record.levelname.lower()}: {record.getMessage()}", file=sys.stderr)


def check_config(options: argparse.Namespace) -> int:
    """Say what `serve` would say, and leave nothing running and nothing written."""
    from di import boot
    from di.server import settings

    told = _Told()
    root = logging.getLogger()
    before, root.handlers[:] = root.handlers[:], [told]
    root.setLevel(logging.WARNING)
    try:
        found = settings.read(Path(options.file), os.environ, _overrides(options))
        errors = asyncio.run(boot.try_out(found, options.ports))
    except ConfigError as error:
        errors = [error]
    finally:
        root.handlers[:] = before
    for problem in errors:
        print(f"cordboard: {problem}", file=sys.stderr)
    if errors or told.errors:
        return CONFIG_STATUS
    names = ", ".join(loaded.plugin.name for loaded in found.plugins)
    verdict = "good" if not told.warnings else f"good, with {told.warnings} warning{'s' * (told.warnings > 1)}"
    print(f"{options.file}: {verdict}. Plug-ins: {names or 'none'}. Application: {found.core.application or 'none'}")
    print(
        f"Modules are configured in {found.conf_dir.resolve()}"
        + ("" if options.ports else "; --ports sees whether ports are free")
    )
    return 0


def serve(options: argparse.Namespace) -> int:
    """Run the server until it is told to stop."""
    gc.disable()  # what is loaded stays; looking through it again and again is a fifteenth of a start (`boot.serve` enables it)
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)  # until the hub listens to it there is nothing to end in order
    log_lines.name_process()
    from di import boot
    from di.kernel.child import StartFailed
    from di.server import settings
    from di.server.privileges import NotPermitted, PidFile, become

    logs.set_up(2, settings.early_log_format(Path(options.file), os.environ))
    loop: asyncio.AbstractEventLoop | None = None
    pid_file: PidFile | None = None
    try:
        found = settings.read(Path(options.file), os.environ, _overrides(options))
        logs.set_up(found.core.loglevel, found.core.log_format)
        if found.core.fork:
            log.warning("fork=yes: cordboard stays in the foreground; let a service manager put it into the background")
        pid_file = PidFile(options.pid_file) if options.pid_file else None
        become(options.user, options.group)
        if pid_file is not None:
            pid_file.write()
        loop = boot.make_loop()
        asyncio.set_event_loop(loop)
        loop.run_until_complete(boot.serve(found))
    except ConfigError as error:
        print(f"cordboard: {error}", file=sys.stderr)
        return CONFIG_STATUS
    except (StartFailed, NotPermitted, OSError) as error:
        print(f"cordboard: {error}", file=sys.stderr)
        return 1
    finally:
        gc.enable()
        if loop is not None:
            loop.close()
        if pid_file is not None:
            pid_file.remove()
        signal.signal(signal.SIGINT, before)
    return 0


if __name__ == "__main__":
    sys.exit(main())
