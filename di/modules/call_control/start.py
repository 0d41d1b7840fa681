# SPDX-License-Identifier: GPL-2.0-or-later
"""Start and stop: an `Instance` in the chain for each control of the configuration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from di.kernel.errors import ConfigError
from di.kernel.value import Value
from di.modules.call_control.instance import Instance
from di.modules.call_control.interface import ControlledCalls
from di.modules.call_control.options import Options, values_of

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from di.server.plugin import Closer
    from di.server.services import Services


def start(services: Services, options: Options) -> Closer:
    """Put the configured controls into the chain. Raises ConfigError for a module that is not loaded, a value that is missing."""
    file = str(services.conf_dir / "call_control.conf")
    instances = [_instance(name, services, options, file) for name in options.call_control]
    known = {f"{one.name}_" for one in instances}
    for key in options.values:
        if not any(key.startswith(prefix) for prefix in known):
            raise ConfigError(
                file, 0, key, f"there is no control of that name in call_control ({', '.join(options.call_control)})"
            )
    control = services.sessions.control
    control.controls.extend(instances)
    services.registry.register("control", ControlledCalls(services.sessions))

    def metrics() -> Iterator[Metric]:
        return _metrics(instances)

    services.metric_sources.append(metrics)

    def close() -> None:
        services.metric_sources.remove(metrics)
        services.registry.unregister("control")
        for one in instances:
            control.controls.remove(one)

    return close


def _instance(name: str, services: Services, options: Options, file: str) -> Instance:
    values = values_of(name, options.values)
    wanted = values.pop("module", name)
    module = services.control_modules.get(wanted)
    if module is None:
        loaded = ", ".join(sorted(services.control_modules)) or "none"
        hint = f"module {wanted!r} is not loaded; put it before call_control in load_plugins (loaded: {loaded})"
        raise ConfigError(file, 0, f"{name}_module", hint)
    for key in module.mandatory:
        if not values.get(key):
            raise ConfigError(file, 0, f"{name}_{key}", f"{wanted} needs this value")

    def publish(kind: str, call: str, **more: Value) -> None:
        services.events.publish(kind, call, attributes=dict(more))

    return Instance(name, module, values, options, publish)


def _metrics(instances: list[Instance]) -> Iterator[Metric]:
    decided = CounterMetricFamily("cordboard_control_decisions", "Decisions of a control.", labels=["control", "decision"])
    waited = CounterMetricFamily("cordboard_control_wait_seconds", "Time that answers of a control took.", labels=["control"])
    waits = CounterMetricFamily("cordboard_control_waits", "Answers that took time.", labels=["control"])
    longest = GaugeMetricFamily("cordboard_control_longest_wait_seconds", "The longest of them.", labels=["control"])
    for one in instances:
        for decision in ("granted", "refused", "unreachable"):
            decided.add_metric([one.name, decision], getattr(one.figures, decision))
        waited.add_metric([one.name], one.figures.waited_s)
        waits.add_metric([one.name], one.figures.waited)
        longest.add_metric([one.name], one.figures.longest_s)
    yield from (decided, waits, waited, longest)
