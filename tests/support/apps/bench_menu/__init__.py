# SPDX-License-Identifier: GPL-2.0-or-later
"""The menu of tests/benches/bench_apps.py as an application of the server itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from di.apps.api import Application, Closer, Plugin, Services, option
from di.apps.keypad import Gather, Gathered, Keypad
from media.control.play_items import PlayFile


class BenchMenu(Application):
    """One caller: a prompt, a key, a farewell."""

    folder = ""

    def on_session_start(self) -> None:
        self.keypad = Keypad(self.session)
        self.keypad.begin(Gather(max_digits=1, first_ms=30_000), (PlayFile(f"{self.folder}/menu.wav"),), done=self.chosen)

    def chosen(self, gathered: Gathered) -> None:
        self.session.log(chosen=gathered.digits)
        self.session.audio.play(PlayFile(f"{self.folder}/bye.wav"))
        self.on_playlist_empty = self.session.stop  # type: ignore[method-assign]

    def on_digit(self, event: int, duration_ms: int) -> None:
        self.keypad.on_digit(event)

    def on_timer(self, id: int) -> None:
        self.keypad.on_timer(id)

    def on_separator(self, number: int) -> None:
        self.keypad.on_separator(number)


@dataclass(frozen=True)
class Options:
    """bench_menu.conf."""

    folder: Path = option(Path(), help="Where menu.wav and bye.wav are.")


def start(services: Services, options: Options) -> Closer:
    """Register the application."""
    application = type("BenchMenuHere", (BenchMenu,), {"folder": str(options.folder)})
    services.applications.register("bench_menu", application)
    return lambda: services.applications.unregister("bench_menu")


PLUGIN = Plugin("bench_menu", start=start, options=Options)
