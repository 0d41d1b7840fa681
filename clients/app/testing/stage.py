# SPDX-License-Identifier: GPL-2.0-or-later
"""What a test has in its hands: a stage with callers and callees, whether simulated (`Simulator`) or real.

All names of files are names: `enter_pin.wav` is the sound that the application plays by this name or by a path that ends with it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol

from clients.app.app import App
from clients.app.dialog import Dialog

Application = App | type[Dialog] | Path
"""What takes the calls of a test: an `App`, a class of `Dialog`, or a file."""
Who = Literal["app", "caller", "callee"]
HEARD_S = 0.4
"""So much of a sound must have been heard for it to count as heard; all of it when it is shorter."""


class Caller(Protocol):
    """Who calls the application."""

    pressed: str
    """Keys that have been pressed."""

    @property
    def id(self) -> str:
        """The call as the application and DI functions name it. Empty until the application has been told of it."""

    async def answered(self, within_s: float = 10) -> int:
        """Wait for the final reply to the call and return its code, 200 or what refused it."""

    async def hears(self, sound: str, within_s: float = 10) -> None:
        """Wait until a sound is heard that was not waited for before; those in between may be passed over. Fails naming what was heard."""

    def press(self, keys: str) -> None:
        """Press keys, one after the other."""

    def hangs_up(self) -> None:
        """Hang up, or give up before the answer."""

    async def ended(self, within_s: float = 10) -> Who:
        """Wait for the end; who ended the call: `app` (the server's side, whatever the reason) or `caller`."""

    async def logged(self, name: str, within_s: float = 10) -> str:
        """Wait until the application has logged an attribute of the call; its value as text."""

    async def talks_with(self, other: Caller | Callee, within_s: float = 10) -> None:
        """Wait until both hear each other: the second leg of this call, or somebody in the same room."""

    async def gets_keys(self, keys: str, within_s: float = 10) -> None:
        """Wait until the application has sent these keys."""

    async def held(self, on: bool = True, within_s: float = 10) -> None:
        """Wait until the application holds the call, or takes it back."""

    async def sends(self, method: str, body: str = "", headers: Sequence[str] = ()) -> int:
        """Send a request inside the call; the code of its reply. A body is text/plain."""

    def replies(self, method: str, code: int) -> None:
        """Answer the application's requests of a method so from now on; without it 200, REFER 202."""

    async def asked(self, method: str, within_s: float = 10) -> dict[str, str]:
        """Wait for a request of the application; its headers, by names in small letters. `body` is the text of its body."""


class Callee(Protocol):
    """Who is called by the application (`Stage.dials`)."""

    async def called(self, within_s: float = 10) -> dict[str, str]:
        """Wait for the call; the headers of its INVITE, by names in small letters. `request-uri` is where it goes."""

    async def asked(self, method: str, within_s: float = 10) -> dict[str, str]:
        """Wait for a request inside the call, as `Caller.asked`. It is answered 200."""

    async def hears(self, sound: str, within_s: float = 10) -> None:
        """Wait until a sound is heard, as `Caller.hears`: an application may play to its second leg."""

    def press(self, keys: str) -> None:
        """Press keys, one after the other."""

    def answers(self) -> None:
        """Answer what rings."""

    def rejects(self, code: int = 486) -> None:
        """Refuse what rings."""

    def hangs_up(self) -> None:
        """Hang up."""

    async def ended(self, within_s: float = 10) -> Who:
        """Wait for the end; who ended it: `app` or `callee`."""


class Stage(Protocol):
    """The fixture `sim`."""

    real: bool
    """Whether a server and phones are at work, and time is real."""

    def run(self, work: Coroutine[object, object, None]) -> None:
        """Run a whole test: all that has begun ends with it. Fails when an application failed and nobody expected it (`faults`)."""

    def sound(self, name: str, seconds: float = 1.0) -> None:
        """Let there be a sound of so many seconds that the applications may play."""

    def sounds(self, folder: Path) -> None:
        """Let there be the WAV files of a folder."""

    async def call(
        self,
        app: Application,
        to: str = "sip:app@here.example",
        *,
        caller: str = "sip:caller@there.example",
        headers: Sequence[str] = (),
        config: Mapping[str, str] | None = None,
    ) -> Caller:
        """Call an application. `config` is its configuration, of the first call; `headers`: further lines of the INVITE."""

    def dials(self, uri: str, *, rejected: int = 0, rings: bool = False) -> Callee:
        """Say what becomes of calls to a URI: answered at once; or refused with a code; or it rings until the test says more.

        `*` in it stands for any text. A call to where nobody was named is answered 404, and fails the test.
        """

    def di(self, function: str, answer: object) -> None:
        """Let `worker.di` of `module.function` be answered so; a callable is called with the arguments. What it raises is the error."""

    def asked(self, function: str) -> list[list[object]]:
        """The arguments of each call of a function of `di`, oldest first."""

    async def invoke(self, app: Application, function: str, *arguments: object) -> object:
        """Call a DI function of an application (`@app.di_method`), which must have had a call before."""

    async def post(self, caller: Caller, params: Mapping[str, str]) -> None:
        """Post an event to a call, as `core.post_event` does."""

    async def kick(self, caller: Caller) -> None:
        """Put a caller out of the room, as `rooms.kick` does."""

    async def room(self, name: str) -> list[str]:
        """The ids of the calls in a room."""

    async def wait(self, seconds: float) -> None:
        """Let so much time pass."""

    def faults(self) -> list[str]:
        """What applications have raised in calls, as text. Who asks expects it: the test does not fail by those."""


def app_of(app: Application) -> App | Path:
    """What a worker runs."""
    if inspect.isclass(app):
        made = App()
        made.register(app)
        return made
    assert isinstance(app, (App, Path)), f"an App, a class of Dialog, or a Path; not {app!r}"
    return app


def name_of(app: Application) -> str:
    """The name of an application: that of its file."""
    if isinstance(app, Path):
        return app.stem
    function: Callable[..., object] | type | None = app if inspect.isclass(app) else app.handler or app.dialog
    module = getattr(function, "__module__", "") or "app"
    return str(module).rpartition(".")[2]


Requests = list[tuple[str, dict[str, str]]]
"""What an application has asked inside a call and nobody has waited for yet, oldest first: method, headers."""


def has_come(requests: Requests, method: str) -> bool:
    """Whether there is one of a method."""
    return any(one == method for one, _ in requests)


def take_oldest(requests: Requests, method: str) -> dict[str, str]:
    """Take the oldest of a method out; its headers. There must be one (`has_come`)."""
    return requests.pop(next(place for place, (one, _) in enumerate(requests) if one == method))[1]
