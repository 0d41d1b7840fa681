# SPDX-License-Identifier: GPL-2.0-or-later
"""mod_aws: object storage and queues (spec dsm.md §5.7). Only the asking call waits; connections are shared by all calls.

Keys stand in aws.conf, which `preload_mods=mod_aws` checks at start; `aws_endpoint` names a server other than Amazon's, `aws_region` the region.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError

from di.dsm.language.errors import DsmError, DsmException
from di.dsm.language.library import Res, action, hook
from di.dsm.language.numbers import unsigned
from di.dsm.run.engine import Run

_KEYS = ("aws_access_key", "aws_secret_access_key")
MAX_FILES = 10_000
T = TypeVar("T")


class Clients:
    """One client a service, made at its first use and closed with the server."""

    def __init__(self) -> None:
        self._session = get_session()
        self._open: dict[str, Any] = {}
        self._lock = asyncio.Lock()
        self._stack = AsyncExitStack()

    def learn(self) -> None:
        """Read the services' descriptions, some megabytes of JSON. Blocks."""
        loader = self._session.get_component("data_loader")
        for service in ("s3", "sqs"):
            loader.load_service_model(service, "service-2")
            loader.load_service_model(service, "endpoint-rule-set-1")
        loader.load_data("endpoints")

    async def get(self, service: str, settings: Mapping[str, str]) -> Any:
        """The client of `s3` or `sqs`. Raises BotoCoreError, ValueError for an impossible endpoint or region."""
        async with self._lock:
            if service not in self._open:
                await asyncio.to_thread(self.learn)
                making = self._session.create_client(
                    service, region_name=settings.get("aws_region") or "us-east-1", endpoint_url=settings.get("aws_endpoint") or None,
                    aws_access_key_id=settings["aws_access_key"], aws_secret_access_key=settings["aws_secret_access_key"],
                    config=AioConfig(connect_timeout=5, read_timeout=60, retries={"total_max_attempts": 2}, s3={"addressing_style": "path"}),
                )  # fmt: skip
                self._open[service] = await self._stack.enter_async_context(making)
            return self._open[service]

    async def close(self) -> None:
        """The server ends."""
        self._open.clear()
        await self._stack.aclose()


@hook("preload")
def preload(settings: Mapping[str, str], shared: Callable[[str, Callable[[], Clients]], Clients]) -> None:
    """The keys must be there; reading the descriptions is done before calls come. Raises DsmError."""
    missing = [key for key in _KEYS if not settings.get(key)]
    if missing:
        raise DsmError(f"aws.conf: {', '.join(missing)} must be set")
    shared("mod_aws", Clients).learn()


def _settings(run: Run) -> dict[str, str] | None:
    """aws.conf; None without keys, which a preload would have refused."""
    settings = {**run.session.hub.settings("mod_aws"), **run.session.hub.settings("aws")}
    return settings if all(settings.get(key) for key in _KEYS) else None


async def _ask(run: Run, service: str, errno: str, ask: Callable[[Any], Awaitable[T]], settings: Mapping[str, str]) -> T | None:
    """What the service answers. None: `$errno` and `$aws.ereason` are set."""
    try:
        return await ask(await run.session.hub.shared("mod_aws", Clients).get(service, settings))
    except (ConnectionError, HTTPClientError) as error:
        code, text = ("aws_conn" if service == "sqs" else errno), str(error)
    except (BotoCoreError, ClientError, OSError, ValueError) as error:
        code, text = errno, str(error)
    run.vars["aws.ereason"] = text
    run.fail(code, text)
    return None


# --------------------------------------------------------------------------------------------------------------------- S3
def _s3_settings(run: Run) -> dict[str, str]:
    settings = _settings(run)
    if settings is None:
        raise DsmException("aws", cause="aws.conf has no keys; list mod_aws in preload_mods")
    return settings


async def _put(run: Run, files: list[tuple[str, str]]) -> None:
    settings, bucket = _s3_settings(run), run.vars.get("aws.s3.bucket", "")
    if not bucket:
        raise DsmException("aws", cause="$aws.s3.bucket is empty")
    for path, key in files:
        try:
            data = await asyncio.to_thread(Path(path).read_bytes)
        except (OSError, ValueError) as error:
            raise DsmException("aws", cause=f"file not found: {path}") from error

        def put(client: Any, key: str = key or path, data: bytes = data) -> Awaitable[object]:
            answer: Awaitable[object] = client.put_object(Bucket=bucket, Key=key, Body=data)
            return answer

        if await _ask(run, "s3", "aws_put", put, settings) is None:
            return
    run.ok()


@action("aws.s3.put")
async def s3_put(run: Run, path: Res, key: Res = "") -> None:
    """Upload a file; its key is its name unless given."""
    await _put(run, [(path, key)])


@action("aws.s3.putArray")
async def s3_put_array(run: Run, files: Res, keys: Res = "") -> None:
    """Upload `$files_0` … under `$keys_0` …"""
    count = unsigned(run.vars.get(f"{files}_size", ""))
    if count is None or count > MAX_FILES:
        run.fail("arg", f"${files}_size must be a number up to {MAX_FILES}")
        return
    pairs = [
        (run.vars.get(f"{files}_{index}", ""), run.vars.get(f"{keys}_{index}", "") if keys else "") for index in range(count)
    ]
    await _put(run, pairs)


@action("aws.s3.createBucket")
async def s3_create_bucket(run: Run, name: Res) -> None:
    """Make a bucket; it becomes `$aws.s3.bucket`."""
    settings, bucket = _s3_settings(run), name or run.vars.get("aws.s3.bucket", "")
    if not bucket:
        run.fail("arg", "a bucket needs a name")
        return
    region = settings.get("aws_region") or "us-east-1"
    where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    if await _ask(run, "s3", "aws_create", lambda client: client.create_bucket(Bucket=bucket, **where), settings) is not None:
        run.vars["aws.s3.bucket"] = bucket
        run.ok()


# -------------------------------------------------------------------------------------------------------------------- SQS
async def _queue(run: Run, name: str, errno: str, ask: Callable[[Any, str], Awaitable[dict[str, Any]]]) -> dict[str, Any] | None:
    """Do something with a queue, given by name or URL, `$aws.sqs.queue` if empty. None: `$errno` is set."""
    name, settings = name or run.vars.get("aws.sqs.queue", ""), _settings(run)
    if settings is None:
        run.fail("aws_conn", "aws.conf has no keys; list mod_aws in preload_mods")
        return None
    if not name:
        run.fail("arg", "a queue name is needed")
        return None

    async def named(client: Any) -> dict[str, Any]:
        url = name if "://" in name else str((await client.get_queue_url(QueueName=name))["QueueUrl"])
        return await ask(client, url)

    return await _ask(run, "sqs", errno, named, settings)


@action("aws.sqs.createQueue")
async def sqs_create_queue(run: Run, visible_s: Res, name: Res = "") -> None:
    """Make a queue; it becomes `$aws.sqs.queue`."""
    queue, seconds, settings = name or run.vars.get("aws.sqs.queue", ""), unsigned(visible_s), _settings(run)
    if settings is None:
        run.fail("aws_conn", "aws.conf has no keys; list mod_aws in preload_mods")
        return
    if not queue or seconds is None:
        run.fail("arg", "a visibility timeout and a queue name are needed")
        return
    attributes = {"VisibilityTimeout": str(seconds)}
    answer: Any = await _ask(
        run, "sqs", "aws_create", lambda client: client.create_queue(QueueName=queue, Attributes=attributes), settings
    )
    if answer is not None:
        run.vars["aws.sqs.queue"] = str(answer.get("QueueUrl", queue))
        run.ok()


@action("aws.sqs.deleteQueue")
async def sqs_delete_queue(run: Run, name: Res) -> None:
    """Delete a queue."""
    if await _queue(run, name, "aws_delete", lambda client, url: client.delete_queue(QueueUrl=url)) is not None:
        run.ok()


@action("aws.sqs.sendMessage")
async def sqs_send_message(run: Run, message: Res, name: Res = "") -> None:
    """Send a message; `$aws.sqs.url` is its id, `$aws.sqs.md5` its check sum. `$errno` is not cleared."""
    answer = await _queue(run, name, "aws_send", lambda client, url: client.send_message(QueueUrl=url, MessageBody=message))
    if answer is not None:
        run.vars["aws.sqs.url"], run.vars["aws.sqs.md5"] = (
            str(answer.get("MessageId", "")),
            str(answer.get("MD5OfMessageBody", "")),
        )


@action("aws.sqs.receiveMessage", "aws.sqs.deleteMessage")
def sqs_not_there(run: Run) -> None:
    """SEMS has these names without a function behind them."""
    if _settings(run) is None:
        run.fail("aws_conn", "aws.conf has no keys; list mod_aws in preload_mods")
    else:
        run.fail("arg", "receiving and deleting messages is not implemented, as in SEMS")
