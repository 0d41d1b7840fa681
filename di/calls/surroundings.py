# SPDX-License-Identifier: GPL-2.0-or-later
"""What calls need of the server around them. `di.server.services.Services` is this and more; a test makes one by itself."""

from __future__ import annotations

from dataclasses import dataclass, field

from di.calls.applications import Applications
from di.calls.events import QueueEvent
from di.kernel.capabilities import CapabilityRegistry
from di.kernel.event_log import EventLog
from di.kernel.event_queues import EventQueues
from di.kernel.ports import MONITORING, Clock, MonitoringHooks, NoMonitoring
from di.kernel.server_options import CoreOptions

_NO_MONITORING = NoMonitoring()


@dataclass(kw_only=True)
class Surroundings:
    """Clock, options, applications, queues, event log, and what plug-ins offer."""

    clock: Clock
    applications: Applications
    queues: EventQueues[QueueEvent]
    events: EventLog
    core: CoreOptions
    capabilities: CapabilityRegistry = field(default_factory=CapabilityRegistry)

    @property
    def monitoring(self) -> MonitoringHooks:
        """The store's hooks; they do nothing while no store is loaded."""
        return self.capabilities.find(MONITORING) or _NO_MONITORING
