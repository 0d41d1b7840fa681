# SPDX-License-Identifier: GPL-2.0-or-later
"""The module `ivr` of SEMS for scripts that were written for it (spec core.md §11): they run unchanged.

The worker puts this module under the names `ivr` and `log` before it imports a script that asks for them. Names, arguments and quirks are
SEMS's; what differs stands in docs/python-apps.md. A script's methods run in a thread that belongs to its call, and may block.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import traceback
import types
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from clients.app.dialog import Dialog
from clients.app.ivr_audio import AUDIO_READ, AUDIO_WRITE, IvrAudioFile, IvrAudioMixIn, IvrNullAudio, played
from clients.app.ivr_seen import IvrSipDialog, IvrSipReply, IvrSipRequest, header_block
from clients.app.results import CallEnded, CallFailed, Request

if TYPE_CHECKING:
    from clients.app.call import Call
    from clients.app.home import Worker
    from clients.app.known_call import Action

__all__ = [
    "AUDIO_READ",
    "AUDIO_WRITE",
    "LOCAL_SIP_IP",
    "LOCAL_SIP_PORT",
    "SEMS_LOG_LEVEL",
    "IvrAudioFile",
    "IvrAudioMixIn",
    "IvrDialogBase",
    "IvrNullAudio",
    "IvrSipDialog",
    "IvrSipReply",
    "IvrSipRequest",
    "IvrUAC",
    "config",
    "createThread",
    "getHeader",
    "getHeaders",
    "log",
    "monitorFinish",
    "monitorLog",
    "monitorLogAdd",
    "semserror",
    "sendMessage",
    "setIgnoreSigchld",
]
"""What `from ivr import *` gives a script."""

LOCAL_SIP_IP, LOCAL_SIP_PORT, SEMS_LOG_LEVEL = "", 0, 2
config: dict[str, str] = {}
_LEVELS = ("error", "warning", "info", "debug")
_KEYS = {key: number for number, key in enumerate("0123456789*#ABCD")}
_THREADS: list[Callable[[], object]] = []
_HOME: list[tuple[Worker, asyncio.AbstractEventLoop]] = []
"""The process, once it serves."""


class semserror(Exception):
    """Raised with a dict `{"code": …, "reason": …, "hdrs": …}` it refuses a request."""


# ------------------------------------------------------------------------------------------------------------------- functions
def log(level: int, text: str) -> None:
    """Write a line into the server's log."""
    print(f"{_LEVELS[max(0, min(int(level), 3))]}: {text}", file=sys.stderr, flush=True)


def getHeaders(hdrs: str, name: str) -> list[str]:
    """All values of a header in a block of lines."""
    found = []
    for line in str(hdrs).replace("\r\n", "\n").split("\n"):
        key, colon, value = line.partition(":")
        if colon and key.strip().lower() == name.lower():
            found.append(value.strip())
    return found


def getHeader(hdrs: str, name: str) -> str:
    """The first of them, empty without any."""
    return next(iter(getHeaders(hdrs, name)), "")


def createThread(function: Callable[[], object]) -> None:
    """Start a thread once the script is loaded."""
    _THREADS.append(function)


def setIgnoreSigchld(on: int) -> None:
    """Nothing: children are the script's own here."""
    del on


def _ask_server(module: str, function: str, *arguments: object) -> None:
    worker, loop = _HOME[0]

    async def ask() -> None:
        try:
            await worker.di(module, function, *arguments)
        except CallFailed as error:
            log(1, f"{module}.{function}: {error.reason}")

    asyncio.run_coroutine_threadsafe(ask(), loop)


def monitorLog(id: str, key: str, value: str) -> None:
    """Set an attribute of a record of the monitoring store."""
    _ask_server("monitoring", "log", id, key, str(value))


def monitorLogAdd(id: str, key: str, value: str) -> None:
    """Append to one."""
    _ask_server("monitoring", "logAdd", id, key, str(value))


def monitorFinish(id: str) -> None:
    """Mark a record as finished."""
    _ask_server("monitoring", "markFinished", id)


def sendMessage(dest_tag: str, text: str) -> None:
    """Send a text to another call of a script: its `onIvrMessage`."""
    _ask_server("core", "post_event", dest_tag, {"ivr_message": text})


class IvrUAC:
    """Calls out."""

    def dialout(
        self,
        user: str,
        app: str,
        r_uri: str,
        from_: str,
        from_uri: str,
        to: str,
        local_tag: str = "",
        hdrs: str = "",
        session_params: object = None,
    ) -> None:
        """Place a call for an application. What becomes of it is that call's."""
        del from_, to
        params: object = None
        if isinstance(session_params, dict):
            params = {name: value for name, value in session_params.items() if isinstance(name, str) and isinstance(value, str)}
        elif isinstance(session_params, list):
            params = [value for value in session_params if isinstance(value, str)]
        _ask_server("core", "dialout", app, user, r_uri, from_uri, hdrs, params, local_tag)


class IvrDialogBase:
    """What a script's class `IvrDialog` is derived from."""

    _run: IvrRun

    # the dialog
    @property
    def dialog(self) -> IvrSipDialog:
        """What is known of it."""
        return self._run.known

    @property
    def invite_req(self) -> IvrSipRequest:
        """The INVITE."""
        return self._run.invite

    def stopSession(self) -> None:
        """End the call."""
        self._run.stopSession()

    def bye(self, hdrs: str = "") -> None:
        """The same, with headers."""
        self._run.soon(lambda call: call.hangup(_lines(hdrs)))

    def dropSession(self) -> None:
        """Forget the call; here it is ended."""
        self._run.stopSession()

    def redirect(self, uri: str) -> None:
        """Send the peer elsewhere by REFER, and end."""
        self._run.soon(lambda call: call.transfer(uri))

    def refer(self, to: str, expires: int = 0, referred_by: str = "", hdrs: str = "") -> None:
        """REFER the peer to somebody."""
        more = [f"Expires: {int(expires)}"] if expires else []
        more += [f"Referred-By: {referred_by}"] if referred_by else []
        self._run.soon(lambda call: call.transfer(to, [*more, *_lines(hdrs)]))

    def sendRequest(self, method: str, hdrs: str = "") -> None:
        """Send a request; its reply is `onSipReply`."""
        values: dict[str, object] = {"method": method, "headers": _lines(hdrs), "whole": True}
        self._run.soon(lambda call: self._run.watch(method, call.ask("request", values, _reply)))

    def sendReply(self, code: int, reason: str, hdrs: str = "") -> None:
        """Answer the request that `onSipRequest` got last, or the INVITE."""
        self._run.reply(int(code), reason, _lines(hdrs))

    def onRtpTimeout(self) -> None:
        """No RTP comes any more. Ends the call."""
        self.stopSession()

    # audio
    def enqueue(self, play: IvrAudioFile | IvrAudioMixIn | IvrNullAudio | None, rec: IvrAudioFile | None = None) -> None:
        """Play something, or record, after what is queued."""
        self._run.queue_up(play, rec)

    def flush(self) -> None:
        """Drop what is queued."""
        self._run.flush()

    def queueIsEmpty(self) -> bool:
        """Whether nothing is queued."""
        return not self._run.queued

    def _set(self, **what: bool) -> None:
        self._run.soon(lambda call: call.tell("audio", dict(what)))

    def mute(self) -> None:
        """What the peer says is not heard."""
        self._set(muted=True)

    def unmute(self) -> None:
        """It is, again."""
        self._set(muted=False)

    def enableReceiving(self) -> None:
        """Take what the peer sends."""
        self._set(receiving=True)

    def disableReceiving(self) -> None:
        """Ignore it."""
        self._set(receiving=False)

    def enableDTMFReceiving(self) -> None:
        """Keys are told."""
        self._run.keys = True

    def disableDTMFReceiving(self) -> None:
        """They are not."""
        self._run.keys = False

    def connectMedia(self) -> None:
        """The playlist is heard."""
        self._set(attached=True)

    def disconnectMedia(self) -> None:
        """It is not."""
        self._set(attached=False)

    def enableDTMFDetection(self) -> None:
        """Look for keys in the audio."""
        self._set(inband=True)

    def disableDTMFDetection(self) -> None:
        """Do not."""
        self._set(inband=False)

    # the second leg
    def connectCallee(self, party: str | None = None, uri: str = "", from_party: str = "", from_uri: str = "") -> None:
        """Call a second leg; without arguments whom the caller wanted. `onOtherReply` tells."""
        del from_uri
        target = uri or (self.invite_req.r_uri if party is None else party)
        self._run.connectCallee(target, from_party)

    def terminateLeg(self) -> None:
        """End this leg."""
        self._run.stopSession()

    def terminateOtherLeg(self) -> None:
        """End the other one."""
        self._run.terminateOtherLeg()

    def setRelayonly(self) -> None:
        """Nothing: what no callback takes is relayed in any case."""

    def setNoRelayonly(self) -> None:
        """Nothing, likewise."""

    # timers and parameters
    def setTimer(self, id: int, seconds: float) -> None:
        """Start a timer. Raises ValueError for a number that is not above 0."""
        if int(id) <= 0:
            raise ValueError("a timer's id must be above 0")
        self._run.setTimer(int(id), float(seconds))

    def removeTimer(self, id: int) -> None:
        """Stop it."""
        self._run.removeTimer(int(id))

    def removeTimers(self) -> None:
        """Stop all."""
        self._run.remove_timers()

    def getAppParam(self, name: str) -> str:
        """A value of P-App-Param, empty without it."""
        wanted = name.lower()
        return next((value for key, value in self._run.call.app_params.items() if key.lower() == wanted), "")

    def getSessionParams(self) -> object:
        """What `dialout` gave; None without it."""
        params = self._run.call.params
        return params if isinstance(params, (list, dict)) else None


# ------------------------------------------------------------------------------------------------------------------- the shell
class IvrRun(Dialog):
    """One call of a script."""

    script_class: type[IvrDialogBase]

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self.keys = True
        self.queued = 0
        self.known = IvrSipDialog(call)
        self.invite = IvrSipRequest(call, Request("INVITE", call.headers, "", b"", 0))
        self._request: Request | None = None
        self._replied = False
        self.script = self.script_class()
        self.script._run = self
        call.tell("audio", {"silence_ends": False})  # the script's onRtpTimeout does, or that of its base

    def soon(self, do: Callable[[Call], object]) -> None:
        """Do something in the process's loop."""
        self._soon(lambda: do(self.call))

    def _default(self, name: str, *arguments: object) -> bool:
        """Run a script's callback; whether the default follows: it has no such method, or that returned True."""
        method = getattr(self.script, name, None)
        if method is None:
            return True
        try:
            return method(*arguments) is True
        except semserror as refused:
            what = refused.args[0] if refused.args and isinstance(refused.args[0], dict) else {}
            self.reply(
                int(what.get("code", 500)), str(what.get("reason", "Server Internal Error")), _lines(str(what.get("hdrs", "")))
            )
        except Exception:  # noqa: BLE001 - SEMS prints it and goes on
            traceback.print_exc()
        return False

    # callbacks
    def onInvite(self, request: Request) -> bool:
        return not self._default("onInvite", header_block(request.headers))

    def onSessionStart(self) -> None:
        self._default("onSessionStart")

    def onDtmf(self, key: str, duration: int) -> None:
        if self.keys:
            self._default("onDtmf", _KEYS.get(key, 0), duration)

    def onBye(self) -> None:
        self._default("onBye")

    def onCancel(self) -> None:
        self._default("onCancel")

    def onOtherBye(self) -> None:
        if self._default("onOtherBye"):
            self.stopSession()

    def onOtherReply(self, code: int, reason: str) -> None:
        self._default("onOtherReply", code, reason)

    def onSipRequest(self, request: Request) -> bool:
        self._request, self._replied = request, False
        self._default("onSipRequest", IvrSipRequest(self.call, request))
        return self._replied

    def onEmptyQueue(self) -> None:
        self._default("onEmptyQueue")

    def onTimer(self, id: int) -> None:
        self._default("onTimer", id)

    def onEvent(self, params: dict[str, str]) -> None:
        if "ivr_message" in params:
            self._default("onIvrMessage", params["ivr_message"])

    def onRtpTimeout(self) -> None:
        self._default("onRtpTimeout")

    def onAudioCleared(self) -> None:
        self._default("onAudioCleared")

    def onSystem(self, kind: str) -> None:
        """`user1`, `user2`, `shutdown`."""
        name = {"user1": "onUser1", "user2": "onUser2", "shutdown": "onServerShutdown"}.get(kind)
        if name is not None:
            self._default(name)

    # commands
    def reply(self, code: int, reason: str, lines: Sequence[str]) -> None:
        """Answer what is open: the last request, else the INVITE."""
        request, self._replied = self._request, True
        if request is not None and request.token:
            self.soon(lambda call: call.reply(request, code, reason, headers=lines))
        elif code < 300:
            self.soon(lambda call: call.answer(code, reason, lines))
        else:
            self.soon(lambda call: call.reject(code, reason, lines))

    def watch(self, method: str, sent: Action[tuple[int, str, tuple[tuple[str, str], ...]]]) -> None:
        """Tell the script of the reply to a request of its own."""

        async def wait() -> None:
            try:
                reply = await sent
            except (CallEnded, CallFailed):
                return
            self._put("_replied_to", method, *reply)

        self._keep(asyncio.ensure_future(wait()))

    def _replied_to(self, method: str, code: int, reason: str, headers: tuple[tuple[str, str], ...]) -> None:
        request = IvrSipRequest(self.call, Request(method, (), "", b"", 0))
        self._default("onSipReply", request, IvrSipReply(self.call, code, reason, headers))

    def queue_up(self, play: IvrAudioFile | IvrAudioMixIn | IvrNullAudio | None, rec: IvrAudioFile | None) -> None:
        """Play, record, or both."""
        self.queued += (play is not None) + (rec is not None)

        def do(call: Call) -> None:
            if play is not None:
                self._count(played(call, play)._done)
            if rec is not None:
                self._count(call.record(rec.name, max_s=rec.record_ms / 1000)._done)

        self.soon(do)

    def _count(self, done: asyncio.Future[object]) -> None:
        done.add_done_callback(self._over)

    def _over(self, done: asyncio.Future[object]) -> None:
        self.queued -= 1
        if not done.cancelled() and isinstance(error := done.exception(), CallFailed):
            log(1, f"call {self.call.id}: {error.reason}")
        if not self.queued and self.call.over is None:
            self._put("onEmptyQueue")

    def remove_timers(self) -> None:
        """Stop all timers."""
        for id in list(self._timers_set):
            self.removeTimer(id)


def _reply(told: object) -> tuple[int, str, tuple[tuple[str, str], ...]]:
    if not isinstance(told, dict):
        return (told if isinstance(told, int) else 0), "", ()
    headers = told.get("headers")
    pairs = tuple((str(one[0]), str(one[1])) for one in headers) if isinstance(headers, list) else ()
    code = told.get("code")
    return code if isinstance(code, int) else 0, str(told.get("reason", "")), pairs


def _lines(hdrs: str) -> list[str]:
    return [line for line in str(hdrs).replace("\r\n", "\n").split("\n") if line.strip()]


def offer(settings: dict[str, str], about: Mapping[str, object]) -> None:
    """Let scripts import `ivr` and `log`. `settings`: what `ivr.config` has during the import; `about`: the server, for the constants."""
    config.clear()
    config.update(settings)
    names = {"LOCAL_SIP_IP": "sip_ip", "LOCAL_SIP_PORT": "sip_port", "SEMS_LOG_LEVEL": "log_level"}
    globals().update({name: about[key] for name, key in names.items() if key in about})
    module = types.ModuleType("log")
    for level, name in enumerate(("error", "warn", "info", "debug")):
        setattr(module, name, lambda text, level=level: log(level, f"Ivr-Python: {text}"))
    sys.modules["ivr"], sys.modules["log"] = sys.modules[__name__], module


def begin(worker: Worker) -> None:
    """The script is loaded: its threads start, and what it asks of the server goes by this process."""
    _HOME[:] = [(worker, asyncio.get_running_loop())]
    threads, _THREADS[:] = list(_THREADS), []
    for function in threads:
        threading.Thread(target=function, daemon=True).start()


def run_of(script: type[IvrDialogBase]) -> type[IvrRun]:
    """What serves the calls of a script's class."""
    return type("ScriptRun", (IvrRun,), {"script_class": script})
