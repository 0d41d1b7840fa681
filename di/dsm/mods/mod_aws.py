# SPDX-License-Identifier: GPL-2.0-or-later
"""mod_aws: object storage and queues (spec dsm.md §5.7). Keys stand in aws.conf; `aws_endpoint` names a server other than Amazon's."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError, ClientError

from di.dsm.engine import Run
from di.dsm.errors import DsmError, DsmException
from di.dsm.library import Res, action, hook
from di.dsm.numbers import unsigned

_KEYS = ("aws_access_key", "aws_secret_access_key")


@hook("preload")
def preload(settings: Mapping[str, str], shared: object) -> None:
    """The keys must be there. Raises DsmError."""
    missing = [key for key in _KEYS if not settings.get(key)]
    if missing:
        raise DsmError(f"aws.conf: {', '.join(missing)} must be set")


def _settings(run: Run) -> dict[str, str]:
    settings = {**run.session.hub.settings("mod_aws"), **run.session.hub.settings("aws")}
    if not all(settings.get(key) for key in _KEYS):
        raise DsmException("aws", cause="aws.conf has no keys; list mod_aws in preload_mods")
    return settings


def _client(run: Run, service: str) -> Any:
    settings = _settings(run)
    return get_session().create_client(
        service, region_name=settings.get("aws_region", "us-east-1"), endpoint_url=settings.get("aws_endpoint") or None,
        aws_access_key_id=settings["aws_access_key"], aws_secret_access_key=settings["aws_secret_access_key"],
        config=AioConfig(connect_timeout=5, read_timeout=60, retries={"max_attempts": 2}, s3={"addressing_style": "path"}),
    )  # fmt: skip


def _failed(run: Run, code: str, error: Exception) -> None:
    run.vars["aws.ereason"] = str(error)
    run.fail(code, str(error))


async def _put(run: Run, files: list[tuple[str, str]]) -> None:
    bucket = run.vars.get("aws.s3.bucket", "")
    if not bucket:
        raise DsmException("aws", cause="$aws.s3.bucket is empty")
    for path, _ in files:
        if not os.path.isfile(path):
            raise DsmException("aws", cause=f"file not found: {path}")
    try:
        async with _client(run, "s3") as client:
            for path, key in files:
                with open(path, "rb") as file:
                    await client.put_object(Bucket=bucket, Key=key or path, Body=file.read())
    except (BotoCoreError, ClientError, OSError) as error:
        _failed(run, "aws_put", error)
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
    if count is None or count > 10_000:
        run.fail("arg", f"${files}_size must be a number")
        return
    pairs = [(run.vars.get(f"{files}_{index}", ""), run.vars.get(f"{keys}_{index}", "") if keys else "") for index in range(count)]
    await _put(run, pairs)


@action("aws.s3.createBucket")
async def s3_create_bucket(run: Run, name: Res) -> None:
    """Make a bucket; it becomes `$aws.s3.bucket`."""
    bucket = name or run.vars.get("aws.s3.bucket", "")
    if not bucket:
        run.fail("arg", "a bucket needs a name")
        return
    try:
        async with _client(run, "s3") as client:
            await client.create_bucket(Bucket=bucket)
    except (BotoCoreError, ClientError, OSError) as error:
        _failed(run, "aws_create", error)
        return
    run.vars["aws.s3.bucket"] = bucket
    run.ok()


async def _queue_url(client: Any, name: str) -> str:
    return str((await client.get_queue_url(QueueName=name))["QueueUrl"]) if "://" not in name else name


@action("aws.sqs.createQueue")
async def sqs_create_queue(run: Run, timeout: Res, name: Res = "") -> None:
    """Make a queue; it becomes `$aws.sqs.queue`."""
    queue, seconds = name or run.vars.get("aws.sqs.queue", ""), unsigned(timeout)
    if not queue or seconds is None:
        run.fail("arg", "a visibility timeout and a queue name are needed")
        return
    try:
        async with _client(run, "sqs") as client:
            answer = await client.create_queue(QueueName=queue, Attributes={"VisibilityTimeout": str(seconds)})
    except (BotoCoreError, ClientError, OSError) as error:
        _failed(run, "aws_create", error)
        return
    run.vars["aws.sqs.queue"] = str(answer.get("QueueUrl", queue))
    run.ok()


@action("aws.sqs.deleteQueue")
async def sqs_delete_queue(run: Run, name: Res) -> None:
    """Delete a queue."""
    queue = name or run.vars.get("aws.sqs.queue", "")
    if not queue:
        run.fail("arg", "a queue name is needed")
        return
    try:
        async with _client(run, "sqs") as client:
            await client.delete_queue(QueueUrl=await _queue_url(client, queue))
    except (BotoCoreError, ClientError, OSError) as error:
        _failed(run, "aws_delete", error)
        return
    run.ok()


@action("aws.sqs.sendMessage")
async def sqs_send_message(run: Run, message: Res, name: Res = "") -> None:
    """Send a message; `$aws.sqs.url` is its id, `$aws.sqs.md5` its check sum."""
    queue = name or run.vars.get("aws.sqs.queue", "")
    if not queue:
        run.fail("arg", "a queue name is needed")
        return
    try:
        async with _client(run, "sqs") as client:
            answer = await client.send_message(QueueUrl=await _queue_url(client, queue), MessageBody=message)
    except (BotoCoreError, ClientError, OSError) as error:
        _failed(run, "aws_send", error)
        return
    run.vars["aws.sqs.url"], run.vars["aws.sqs.md5"] = str(answer.get("MessageId", "")), str(answer.get("MD5OfMessageBody", ""))


def _refuse(run: Run) -> None:
    run.fail("arg", "receiving is not implemented, as in SEMS")


@action("aws.sqs.receiveMessage")
def sqs_receive_message(run: Run) -> None:
    """Not implemented in SEMS either."""
    _refuse(run)


@action("aws.sqs.deleteMessage")
def sqs_delete_message(run: Run) -> None:
    """Not implemented in SEMS either."""
    _refuse(run)
