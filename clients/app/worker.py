# SPDX-License-Identifier: GPL-2.0-or-later
"""The process of an application: `python -m clients.app.worker --fd N FILE`, started by the server; `--attach URL`: see `attach`.

hello ─► import, setup ─► ready ─► call … op … done … ended     ping ─► pong     the connection ends ─► so does the process
"""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import importlib.util
import inspect
import logging
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Awaitable
from pathlib import Path
from types import ModuleType

from clients.app import ivr
from clients.app.app import App, outcome
from clients.app.attach import Way, keep_attached
from clients.app.call import Call, Leg
from clients.app.confined import confine
from clients.app.dialog import Dialog
from clients.app.home import Worker
from clients.app.link import Connection, Link, Message
from clients.app.results import CallEnded, CallFailed
from clients.app.seen_link import Shown

log = logging.getLogger("app")
_GRACE_S = 2.0
_STACK_BYTES = 512 << 10
"""Of a call's thread: with the usual 8 MB a thousand calls would not fit into the address space of a process."""


class NoApp(Exception):
    """The file has no application; the text says what is missing."""


def load(path: Path, settings: dict[str, str], about: Message | None = None) -> App:
    """Import a file and return its `App`. Raises NoApp, and whatever the file raises."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise NoApp(f"{path} is no Python file")
    ivr.offer(settings, about or {})
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    sys.path.insert(0, str(path.parent))
    spec.loader.exec_module(module)
    script = vars(module).get("IvrDialog")
    if inspect.isclass(script) and issubclass(script, ivr.IvrDialogBase):  # written for SEMS
        vars(module)["config"] = dict(settings)
        app = App()
        app.register(ivr.run_of(script))
        return app
    return app_of(module, path)


def app_of(module: ModuleType, path: Path) -> App:
    """The one `App` of a module, or one made of its one `Dialog` class."""
    found = [thing for thing in vars(module).values() if isinstance(thing, App)]
    if len({id(one) for one in found}) > 1:
        raise NoApp(f"{path} has several App objects; right is one")
    app = found[0] if found else App()
    if app.handler is None and app.dialog is None:
        own = [
            thing for thing in vars(module).values()
            if inspect.isclass(thing) and issubclass(thing, Dialog) and thing.__module__ == module.__name__
        ]  # fmt: skip
        if len(own) != 1:
            raise NoApp(f"{path}: nothing takes calls; right is an App with @app.call, or one class of Dialog")
        app.register(own[0])
    return app


class Serving:
    """An application at work."""

    def __init__(self, link: Connection, source: Path | App) -> None:
        """`source`: a file, imported when the server has said what its configuration is; or the application itself."""
        self._link = link
        self._source = source
        self._app = App()
        self._worker: Worker | None = None
        self._calls: dict[str, Call] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serve until the server closes the connection."""
        while (message := await self._link.receive()) is not None:
            kind = message["k"]
            if kind == "ping":
                self._link.send({"k": "pong", "n": message.get("n")})
            elif kind == "hello":
                self._spawn(self._begin(message))
            elif self._worker is not None:
                self._take(self._worker, str(kind), message)
        if self._worker is not None:
            for call in list(self._calls.values()):
                call.end(CallEnded(500, "the server is gone", "error"))
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_GRACE_S)

    async def _begin(self, message: Message) -> None:
        config = message.get("config")
        worker = Worker(
            self._link,
            str(message.get("app", "")),
            {str(k): str(v) for k, v in config.items()} if isinstance(config, dict) else {},
        )
        try:
            self._app = self._source if isinstance(self._source, App) else load(self._source, worker.config, message)
            for setup in self._app.setups:
                await setup(worker)
        except BaseException as error:  # noqa: BLE001 - a file may raise what it likes; the server is told
            traceback.print_exc()
            self._link.send({"k": "broken", "why": "".join(traceback.format_exception_only(error)).strip()})
            return
        self._worker = worker
        ivr.begin(worker)
        self._link.send(
            {"k": "ready", "functions": {name: signature(function) for name, function in self._app.functions.items()}}
        )

    def _take(self, worker: Worker, kind: str, message: Message) -> None:
        if kind == "call" and "leg_of" in message:
            first = self._calls.get(str(message["leg_of"]))
            if first is not None:
                self._calls[str(message["call"])] = first.leg(str(message["call"]), message)
        elif kind == "call":
            call = Call(worker, str(message["call"]), message)
            self._calls[call.id] = call
            self._spawn(self._serve(worker, call))
        elif kind == "di_call":
            self._spawn(self._function(message))
        elif kind == "di_done":
            worker.answered(message)
        else:
            call_or_none = self._calls.get(str(message.get("call", "")))
            if call_or_none is not None:
                call_or_none.took(message)
                if kind == "ended":
                    del self._calls[call_or_none.id]
                    if isinstance(call_or_none, Leg):
                        call_or_none.call.forget_leg(call_or_none.id)

    async def _serve(self, worker: Worker, call: Call) -> None:
        """One call, from its first line to its last."""
        try:
            if self._app.dialog is not None and self._app.handler is None:
                await self._app.dialog(call).run()
            elif self._app.handler is not None:
                await self._app.handler(call)
        except CallEnded as end:
            if call.over is None:  # it was another's, and this one would stay up without its program
                why = (
                    f"its second leg has ended ({end.code} {end.reason}, {end.by}), and the program did not catch that CallEnded"
                )
                log.error("call %s: %s", call.id, why)
                call.tell("fault", {"why": why})
            return
        except Exception as error:  # the program's fault costs its own call
            log.exception("call %s: the application failed", call.id)
            worker.send(
                {"k": "op", "call": call.id, "op": 0, "do": "fault", "with": {"why": f"{type(error).__name__}: {error}"[:500]}}
            )
            return
        call.hangup()

    async def _function(self, message: Message) -> None:
        """A DI function of the application."""
        answer: Message = {"k": "di_result", "n": message.get("n")}
        function = self._app.functions.get(str(message.get("function")))
        arguments = message.get("args")
        try:
            if function is None or not isinstance(arguments, list):
                raise CallFailed(404, "there is no such function")
            answer["result"] = await outcome(function, *arguments)
        except Exception as error:  # noqa: BLE001 - the caller hears of it
            answer["error"] = f"{type(error).__name__}: {error}"
        try:
            self._link.send(answer)
        except (TypeError, ValueError, OverflowError) as error:
            self._link.send({"k": "di_result", "n": message.get("n"), "error": f"its result cannot be told: {error}"})

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def signature(function: object) -> Message:
    """What the server publishes of a function: its parameters and its first line of help."""
    parameters = [
        {"name": one.name, "needed": one.default is one.empty}
        for one in inspect.signature(function).parameters.values()  # type: ignore[arg-type]
    ]
    return {"parameters": parameters, "help": (inspect.getdoc(function) or "").partition("\n")[0]}


async def serve(descriptor: int, path: Path) -> None:
    """Run over an inherited socket."""
    connection = socket.socket(fileno=descriptor)
    reader, writer = await asyncio.open_unix_connection(sock=connection)
    await Serving(Link(reader, writer), path).run()


def main() -> None:
    """The process."""
    parser = argparse.ArgumentParser(prog="cordboard-app")
    way = parser.add_mutually_exclusive_group(required=True)
    way.add_argument("--fd", type=int)
    way.add_argument("--attach", metavar="URL", help="ws[s]://HOST:PORT/apps; the token is taken from CORDBOARD_TOKEN")
    parser.add_argument("--name", default="", help="of the application, default: the file's")
    parser.add_argument("--exclusive", action="store_true", help="take every new call while it is there")
    parser.add_argument("--max-calls", type=int, default=0)
    parser.add_argument("--arrows", action="store_true", help="print each call as a sequence of arrows")
    parser.add_argument("--ready-fd", type=int, default=-1, help="1 is written there when it can take calls, 0 when it cannot")
    for name in ("memory-mb", "open-files", "file-mb", "nice", "uid", "gid"):
        parser.add_argument(f"--{name}", type=int, default=0, help="0: no limit of ours")
    parser.add_argument("file", type=Path)
    arguments = parser.parse_args()
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    confine(arguments.memory_mb, arguments.open_files, arguments.file_mb, arguments.nice, (arguments.uid, arguments.gid))
    threading.stack_size(_STACK_BYTES)
    if arguments.attach is not None:
        if importlib.util.find_spec("aiohttp") is None:
            sys.exit("there is no aiohttp here: pip install 'cordboard-app[attach]'")
        name = arguments.name or arguments.file.stem
        to = Way(arguments.attach, name, os.environ.pop("CORDBOARD_TOKEN", ""), arguments.exclusive, arguments.max_calls)
        show = arguments.arrows or arguments.ready_fd >= 0
        shown = Shown(arguments.arrows, arguments.ready_fd) if show else None
        asyncio.run(keep_attached(to, lambda link: Serving(shown.around(link) if shown else link, arguments.file).run()))
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's business
    asyncio.run(serve(arguments.fd, arguments.file))


if __name__ == "__main__":
    main()
