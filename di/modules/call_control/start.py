# SPDX-License-Identifier: GPL-2.0-or-later
"""Start and stop: an `Instance` in the chain for each control of the configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from di.calls.control_modules import CONTROL_MAKER
from di.kernel.errors import ConfigError
from di.modules.call_control.instance import ControlFigures, Instance
from di.modules.call_control.interface import ControlledCalls
from di.modules.call_control.maker import ChainMaker, NamedByCall, UnknownModule
from di.modules.call_control.options import Options

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from di.server.plugin import Closer
    from di.server.services import Services


def start(services: Services, options: Options) -> Closer:
    """Put the configured controls into the chain. Raises ConfigError for a module that is not loaded, a value that is missing."""
    file = str(services.conf_dir / "call_control.conf")
    maker = ChainMaker(services, options)
    links = [_link(name, maker, options, file) for name in options.call_control]
    known = {f"{one.name}_" for one in links} | {_owner(key) for key in options.values if key.endswith("_module")}
    for key in options.values:
        if not any(key.startswith(prefix) for prefix in known):
            raise ConfigError(
                file, 0, key, f"there is no control of that name in call_control ({', '.join(options.call_control)})"
            )
    control = services.sessions.control
    control.controls.extend(links)
    services.registry.register("control", ControlledCalls(services.sessions, maker))
    withdraw = services.capabilities.provide(CONTROL_MAKER, maker)

    def metrics() -> Iterator[Metric]:
        return _metrics(maker.figures)

    services.metric_sources.append(metrics)

    def close() -> None:
        withdraw()
        services.metric_sources.remove(metrics)
        services.registry.unregister("control")
        for one in links:
            control.controls.remove(one)

    return close


def _owner(key: str) -> str:
    """A control that only headers and scripts name has its values here, too; it must then name its module."""
    return key.removesuffix("module")


def _link(name: str, maker: ChainMaker, options: Options, file: str) -> Instance | NamedByCall:
    if "$" in name:
        return NamedByCall(name, maker, options)
    try:
        return maker.configured(name)
    except UnknownModule as error:
        raise ConfigError(file, 0, f"{name}_{error.key}", str(error)) from error


def _metrics(figures: Mapping[str, ControlFigures]) -> Iterator[Metric]:
    decided = CounterMetricFamily("cordboard_control_decisions", "Decisions of a control.", labels=["control", "decision"])
    waited = CounterMetricFamily("cordboard_control_wait_seconds", "Time that answers of a control took.", labels=["control"])
    waits = CounterMetricFamily("cordboard_control_waits", "Answers that took time.", labels=["control"])
    longest = GaugeMetricFamily("cordboard_control_longest_wait_seconds", "The longest of them.", labels=["control"])
    for name, one in figures.items():
        for decision in ("granted", "refused", "unreachable"):
            decided.add_metric([name, decision], getattr(one, decision))
        waited.add_metric([name], one.waited_s)
        waits.add_metric([name], one.waited)
        longest.add_metric([name], one.longest_s)
    yield from (decided, waits, waited, longest)
