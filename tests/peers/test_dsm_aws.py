# SPDX-License-Identifier: GPL-2.0-or-later
"""mod_aws against moto's server, which speaks the services' real protocols (spec dsm.md §5.7)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from di.dsm.language.errors import DsmError
from di.dsm.mods import mod_aws
from tests.support.dsm_calls import Calls

pytestmark = pytest.mark.peers

SETTINGS = {"aws_access_key": "key", "aws_secret_access_key": "very-secret"}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    try:
        from moto.server import ThreadedMotoServer
    except ImportError as error:
        if os.environ.get("CI"):
            pytest.fail(f"moto is missing: {error}")
        pytest.skip(f"moto is missing: {error}")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
async def calls(endpoint: str) -> AsyncIterator[Calls]:
    async with Calls({"aws": {**SETTINGS, "aws_endpoint": endpoint}}) as calls:
        yield calls


async def client(calls: Calls, service: str) -> Any:
    clients = calls.shared["mod_aws"]
    assert isinstance(clients, mod_aws.Clients)
    return await clients.get(service, calls.settings["aws"])


async def test_files_into_a_bucket(calls: Calls, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(bytes(range(256)) * 1000)
    (tmp_path / "b.wav").write_bytes(b"")
    found = await calls.run(
        "mod_aws",
        f"aws.s3.createBucket(records); set($made=$aws.s3.bucket); set($e=$errno); aws.s3.put({tmp_path}/a.wav, first); set($e1=$errno);"
        f"aws.s3.put({tmp_path}/b.wav); set($e2=$errno); aws.s3.putArray(f, k); set($e3=$errno); set($f_size=x); aws.s3.putArray(f); set($e4=$errno);"
        "aws.s3.createBucket(Not_A_Bucket!); set($e5=$errno); set($why=$aws.ereason);"
        f"set($aws.s3.bucket=none); aws.s3.put({tmp_path}/b.wav); set($e6=$errno);",
        f_size="2", f_0=f"{tmp_path}/a.wav", f_1=f"{tmp_path}/b.wav", k_0="zero", k_1="one",
    )  # fmt: skip
    assert [found[name] for name in ("made", "e", "e1", "e2", "e3", "e4", "e5", "e6")] == [
        "records",
        "",
        "",
        "",
        "",
        "arg",
        "aws_create",
        "aws_put",
    ]
    assert found["why"]
    assert not [name for name, value in found.items() if "very-secret" in value]
    s3 = await client(calls, "s3")
    objects = (await s3.list_objects_v2(Bucket="records"))["Contents"]
    assert {item["Key"]: item["Size"] for item in objects} == {"first": 256000, f"{tmp_path}/b.wav": 0, "zero": 256000, "one": 0}
    body = await (await s3.get_object(Bucket="records", Key="first"))["Body"].read()
    assert body == (tmp_path / "a.wav").read_bytes()


@pytest.mark.parametrize(("body", "cause"), [
    ("aws.s3.put(/x)", "$aws.s3.bucket is empty"), ("set($aws.s3.bucket=b); aws.s3.put(/no/such)", "file not found: /no/such"),
])  # fmt: skip
async def test_what_is_thrown(calls: Calls, body: str, cause: str) -> None:
    found = await calls.run("mod_aws", body)
    assert (found["thrown"], found["cause"]) == ("aws", cause)


async def test_without_keys(tmp_path: Path) -> None:
    async with Calls() as calls:
        body = "aws.sqs.sendMessage(m, q); set($e=$errno); aws.sqs.createQueue(5, q); set($e1=$errno); aws.s3.createBucket(b)"
        found = await calls.run("mod_aws", body)
        assert (found["e"], found["e1"], found["thrown"]) == ("aws_conn", "aws_conn", "aws")
    with pytest.raises(DsmError, match="aws_secret_access_key must be set"):
        mod_aws.preload({"aws_access_key": "k"}, lambda name, make: make())


async def test_queues(calls: Calls) -> None:
    found = await calls.run(
        "mod_aws",
        "aws.sqs.createQueue(30, tasks); set($e=$errno); set($errno=kept);"
        "aws.sqs.sendMessage($text); set($e1=$errno); aws.sqs.sendMessage(two, tasks);"
        "aws.sqs.createQueue(x, q); set($e2=$errno); aws.sqs.sendMessage(m, nowhere); set($e3=$errno);"
        "aws.sqs.receiveMessage(x); set($e4=$errno);"
        "aws.sqs.createQueue(5, \"no good\"); set($e5=$errno); set($q=$aws.sqs.queue)", text="ö & <x>",
    )  # fmt: skip
    assert [found[name] for name in ("e", "e1", "e2", "e3", "e4", "e5")] == ["", "kept", "arg", "aws_send", "arg", "aws_create"]
    assert (found["q"].endswith("/tasks"), found["aws.sqs.url"] != "") == (True, True)
    assert found["aws.sqs.md5"] == hashlib.md5(b"two").hexdigest()
    sqs = await client(calls, "sqs")
    messages = (await sqs.receive_message(QueueUrl=found["q"], MaxNumberOfMessages=10))["Messages"]
    assert {message["Body"] for message in messages} == {"ö & <x>", "two"}
    body = "aws.sqs.deleteQueue(tasks); set($e=$errno); aws.sqs.deleteQueue(tasks); set($e1=$errno); aws.sqs.deleteQueue()"
    gone = await calls.run("mod_aws", body)
    assert (gone["e"], gone["e1"], gone["errno"]) == ("", "aws_delete", "arg")


async def test_nobody_there() -> None:
    async with Calls({"aws": {**SETTINGS, "aws_endpoint": "http://127.0.0.1:1"}}) as calls:
        found = await calls.run("mod_aws", "aws.sqs.sendMessage(m, q); set($e=$errno); aws.s3.createBucket(b)")
    assert (found["e"], found["errno"]) == ("aws_conn", "aws_create")
