# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything a plug-in may use, in one record that `di.boot` fills. There are no globals."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from di.access import Access
from di.calls.control_modules import ControlModule
from di.calls.sessions import Sessions
from di.calls.surroundings import Surroundings
from di.kernel.ports import MEDIA_FIGURES
from di.kernel.registry import Registry
from di.sip.records import SipHeld

if TYPE_CHECKING:
    from prometheus_client.core import Metric

OptionsT = TypeVar("OptionsT")


@dataclass(kw_only=True)
class Services(Surroundings):
    """The hub's parts. `conf_dir` is where `<module>.conf` files live; `metric_sources` add to /metrics.

    `urls`: where the gateways can be reached from this machine: `panel`, `web`, `xmlrpc2di`. `reloaders`: plug-in → what takes its options,
    read anew, while calls go on; it raises ConfigError, and then keeps what it had.

    `trial`: the configuration is only tried out (`check-config`). A plug-in then reads and checks all that it needs, and leaves nothing
    behind: it writes no file, runs no script and keeps no port, which it binds for a moment if `try_ports`.
    """

    registry: Registry
    access: Access
    conf_dir: Path
    environ: Mapping[str, str] = field(default_factory=dict)
    sessions: Sessions = field(init=False)
    loaded: list[str] = field(default_factory=list)
    control_modules: dict[str, ControlModule] = field(default_factory=dict)
    """What a configuration may name as a control, by name; plug-ins add and remove theirs."""
    problem_sources: list[Callable[[], Mapping[str, str]]] = field(default_factory=list)
    """Plug-ins that may keep new calls out: by part, why (`di.server.health`)."""
    metric_sources: list[Callable[[], Iterable[Metric]]] = field(default_factory=list)
    urls: dict[str, str] = field(default_factory=dict)
    reloaders: dict[str, Callable[[object], Awaitable[None] | None]] = field(default_factory=dict)
    when_loaded: list[Callable[[], Awaitable[None] | None]] = field(default_factory=list)
    """Run once, when all plug-ins but the gateways are loaded and before the first call; one that raises stops the start."""
    sip_held: SipHeld = field(default_factory=SipHeld)
    """What the SIP process last said that it holds."""
    trial: bool = False
    try_ports: bool = False

    def on_reload(self, plugin: str, options: type[OptionsT], take: Callable[[OptionsT], Awaitable[None] | None]) -> None:
        """Let `take` have a plug-in's options when they are read anew. What takes longer than some milliseconds is an awaitable."""

        def checked(new: object) -> Awaitable[None] | None:
            assert isinstance(new, options)
            return take(new)

        self.reloaders[plugin] = checked

    def media_figures(self) -> Mapping[int, Mapping[str, float]]:
        """What each media process last reported, by its number; empty while there are none."""
        figures = self.capabilities.find(MEDIA_FIGURES)
        return figures() if figures is not None else {}
