# SPDX-License-Identifier: GPL-2.0-or-later
"""Start and stop of the message storage: folder, thread, DI functions, capability, sweeper."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from di.kernel.errors import ConfigError
from di.kernel.options import where
from di.kernel.paths import configured
from di.stores.messages import MESSAGES, BoxChanged
from di.stores.msg_storage.interface import MsgStorageInterface
from di.stores.msg_storage.keeper import Keeper, Quota
from di.stores.msg_storage.metrics import collect
from di.stores.msg_storage.options import Options
from di.stores.msg_storage.storage import MessageStorage
from di.stores.msg_storage.sweep import Retention, Sweeper
from di.stores.msg_storage.worker import Worker, lock_patience

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.core import Metric

    from di.server.plugin import Closer
    from di.server.services import Services

log = logging.getLogger(__name__)


def start(services: Services, options: Options) -> Closer:
    """Provide the storage. Raises ConfigError when the folder cannot be made or written."""
    root = configured(options.storage_dir, services.conf_dir)
    if services.trial:
        _try_folder(root, options)
        return None

    def now_ns() -> int:
        return int(services.clock.epoch_s() * 1e9)

    def publish(change: BoxChanged) -> None:
        owner = change.owner
        services.events.publish("message.changed", attributes={"domain": owner.domain, "user": owner.user, "what": change.what})

    _try_folder(root, options)
    try:
        keeper = Keeper(root, _quota(options), now_ns, lock_patience)
    except OSError as error:
        raise _unusable(root, options, str(error.strerror)) from error
    worker = Worker(keeper)
    storage = MessageStorage(keeper, worker)
    interface = MsgStorageInterface(storage, services.registry, services.sessions.spawn)
    services.registry.register("msg_storage", interface)
    undo = (
        services.capabilities.provide(MESSAGES, storage),
        storage.watch(interface.on_changed),
        storage.watch(publish),
    )
    sweeper = Sweeper(keeper, storage, _retention(options), now_ns, options.sweep_minutes * 60)
    sweeping = asyncio.get_running_loop().create_task(sweeper.run(), name="msg_storage_sweep")

    def metrics() -> Iterator[Metric]:
        return collect(storage, sweeper.totals)

    services.metric_sources.append(metrics)

    def reload(new: Options) -> None:
        if configured(new.storage_dir, services.conf_dir) != root:
            log.warning("%s:%d: storage_dir has changed; that needs a restart", *where(new, "storage_dir"))
        keeper.quota, sweeper.retention, sweeper.every_s = _quota(new), _retention(new), new.sweep_minutes * 60

    services.on_reload("msg_storage", Options, reload)

    async def close() -> None:
        sweeping.cancel()
        services.metric_sources.remove(metrics)
        for withdraw in undo:
            withdraw()
        services.registry.unregister("msg_storage")
        await worker.close()

    return close


def _quota(options: Options) -> Quota:
    return Quota(options.quota_messages, options.quota_mb << 20, options.min_free_mb << 20)


def _retention(options: Options) -> Retention:
    return Retention(options.keep_new_days, options.keep_read_days, options.spool_keep_hours)


def _try_folder(root: Path, options: Options) -> None:
    """Whether the folder could be used, leaving nothing behind."""
    there = next(path for path in (root, *root.parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise _unusable(root, options, f"{there} is no folder that the server's user may write")


def _unusable(root: Path, options: Options, why: str) -> ConfigError:
    hint = f"the folder {root} cannot be used: {why}; name another one, or make it and give it to the server's user"
    return ConfigError(*where(options, "storage_dir"), "storage_dir", hint)
