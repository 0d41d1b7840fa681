# SPDX-License-Identifier: GPL-2.0-or-later
"""`cordboard dsm check|graph|run`: look at state diagrams without a server.

Exit status: 0 fine, 1 a script is wrong (or, with --strict, doubtful) or an expectation failed, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Callable, Sequence

from di.dsm.language.check import findings
from di.dsm.language.draw import to_dot, to_mermaid, to_svg
from di.dsm.language.errors import caret
from di.dsm.language.graph import Graph, graph_of
from di.dsm.language.model import Diagram
from di.dsm.language.reader import Reading, read_diagram
from di.dsm.load.bundles import DiskFiles
from di.dsm.load.modules import Modules, core_library
from di.dsm.run.simulator import ExpectationFailed, Simulator


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    parser = _parser()
    try:
        options = parser.parse_args(argv)
    except SystemExit as stopped:
        return int(stopped.code or 0) if isinstance(stopped.code, int) else 2
    try:
        return int(options.run(options))
    except BrokenPipeError:
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cordboard dsm", description="Check, draw and try out state diagrams.")
    commands = parser.add_subparsers(required=True, metavar="check|graph|run")
    check = commands.add_parser("check", help="all errors and doubts of scripts")
    check.add_argument("--strict", action="store_true", help="doubts count as errors")
    graph = commands.add_parser("graph", help="draw a diagram")
    graph.add_argument("--format", choices=("svg", "dot", "mermaid", "json"), help="default: by the suffix of --output, else svg")
    graph.add_argument("-o", "--output", help="file to write; default: standard output")
    run = commands.add_parser("run", help="feed events to a diagram")
    run.add_argument("--script", help="commands from a file; the status says whether every `expect` held")
    for command, function in ((check, _check), (graph, _graph), (run, _run)):
        command.add_argument("files", nargs="+", metavar="FILE", help="scripts (.dsm); the first is drawn or started")
        command.add_argument("--load-path", help="folder that includes are relative to (diag_path); default: the script's")
        command.add_argument("--mod-path", default="", help="folder of further modules")
        command.set_defaults(run=function)
    return parser


def _name(path: str) -> str:
    return os.path.basename(path).removesuffix(".dsm")


def _read(path: str, options: argparse.Namespace, modules: Modules) -> Reading | None:
    """Read a script, all errors collected; None, with a message, when there is no such file."""
    try:
        text = DiskFiles().read(path)
    except (OSError, ValueError) as error:
        print(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}", file=sys.stderr)
        return None
    load_path = options.load_path if options.load_path is not None else os.path.dirname(path)
    load_path = load_path + "/" if load_path and not load_path.endswith("/") else load_path
    return read_diagram(
        _name(path), path, text, loader=DiskFiles(), core=core_library(), load_path=load_path, collect=True,
        find_module=lambda module: modules.find(module, options.mod_path),
    )  # fmt: skip


def _check(options: argparse.Namespace) -> int:
    modules = Modules()
    errors = doubts = 0
    names = [_name(path) for path in options.files]
    for path in options.files:
        reading = _read(path, options, modules)
        if reading is None:
            errors += 1
            continue
        for error in reading.errors:
            print(f"error: {error}")
        warnings = list(reading.warnings)
        if reading.diagram is not None and not reading.errors:
            warnings += findings(reading.diagram, known=names)
        for warning in warnings:
            print(f"warning: {warning}{caret(warning.source_line, warning.position.column)}")
        errors += len(reading.errors)
        doubts += len(warnings)
    print(f"{len(options.files)} script(s): {errors} error(s), {doubts} warning(s)")
    return 1 if errors or (options.strict and doubts) else 0


def _diagrams(options: argparse.Namespace) -> dict[str, Diagram] | None:
    """All scripts, or None with their errors shown."""
    modules = Modules()
    found: dict[str, Diagram] = {}
    failed = False
    for path in options.files:
        reading = _read(path, options, modules)
        if reading is None or reading.errors or reading.diagram is None:
            failed = True
            for error in reading.errors if reading is not None else ():
                print(f"error: {error}", file=sys.stderr)
        else:
            found[_name(path)] = reading.diagram
    return None if failed else found


def _to_json(graph: Graph) -> str:
    return json.dumps(graph.as_value(), indent=1) + "\n"


def _graph(options: argparse.Namespace) -> int:
    diagrams = _diagrams(options)
    if diagrams is None:
        return 1
    graph = graph_of(diagrams[_name(options.files[0])])
    suffixes = {".dot": "dot", ".gv": "dot", ".mmd": "mermaid", ".json": "json"}
    form = options.format or suffixes.get(os.path.splitext(options.output or "")[1], "svg")
    writers: dict[str, Callable[[Graph], str]] = {"svg": to_svg, "dot": to_dot, "mermaid": to_mermaid, "json": _to_json}
    text = writers[form](graph)
    if options.output is None:
        sys.stdout.write(text)
        return 0
    try:
        with open(options.output, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
    except OSError as error:
        print(f"{options.output}: cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def _run(options: argparse.Namespace) -> int:
    diagrams = _diagrams(options)
    if diagrams is None:
        return 1
    return asyncio.run(_simulate(diagrams, _name(options.files[0]), options.script))


async def _simulate(diagrams: dict[str, Diagram], start: str, script: str | None) -> int:
    simulator = Simulator(diagrams, start, print)
    await simulator.begin()
    if script is None:
        return await _terminal(simulator)
    try:
        lines = DiskFiles().read(script).splitlines()
    except OSError as error:
        print(f"{script}: cannot be read: {error.strerror}", file=sys.stderr)
        return 1
    for number, line in enumerate(lines, 1):
        print(f"> {line}")
        try:
            await simulator.command(line)
        except (ExpectationFailed, ValueError) as error:
            print(f"{script}:{number}: {error}", file=sys.stderr)
            return 1
        if simulator.ended:
            break
    return 0


async def _terminal(simulator: Simulator) -> int:
    status = 0
    interactive = sys.stdin.isatty()
    while not simulator.ended:
        if interactive:
            print(f"{simulator.position}> ", end="", flush=True)
        line = await asyncio.to_thread(sys.stdin.readline)
        if not line:
            break
        try:
            await simulator.command(line)
        except (ExpectationFailed, ValueError) as error:
            print(f"  {error}")
            status = 0 if interactive else 1
    return status


if __name__ == "__main__":
    sys.exit(main())
