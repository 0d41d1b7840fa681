# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything a plug-in may use, in one record that `di.boot` fills. There are no globals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from di.calls.applications import Applications
from di.kernel.event_queues import EventQueues
from di.kernel.server_options import CoreOptions
from di.kernel.ports import Clock, MonitoringHooks, NoMonitoring
from di.kernel.registry import Registry

if TYPE_CHECKING:
    from di.access import Access
    from di.calls.sessions import Sessions
    from di.kernel.event_log import EventLog


@dataclass
class Services:
    """The hub's parts. `monitoring` does nothing until that module replaces it; `conf_dir` is where `<module>.conf` files live."""

    registry: Registry
    clock: Clock
    applications: Applications
    queues: EventQueues
    events: EventLog
    access: Access
    core: CoreOptions
    conf_dir: Path
    environ: Mapping[str, str] = field(default_factory=dict)
    sessions: Sessions = field(init=False)
    monitoring: MonitoringHooks = field(default_factory=NoMonitoring)
    loaded: list[str] = field(default_factory=list)
