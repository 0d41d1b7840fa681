# SPDX-License-Identifier: GPL-2.0-or-later
"""kill -9 of the hub at random moments while messages are stored, marked and deleted: what was answered holds, what was not is whole or absent."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import threading
import time
import xmlrpc.client
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.server import Server, wait_until
from tests.support.sizes import size

pytestmark = pytest.mark.peers

KILLS = size(1, 200)
CLIENTS = 4
DOMAIN = "shop.example"
OWN_TIME_S = 60 + 12 * KILLS


def content(name: str) -> bytes:
    """A message that says which it is, and whether it is whole."""
    body = name.encode() * (200 + len(name) * 37 % 900)
    return hashlib.sha256(body).digest() + body


@dataclass
class Client:
    """Stores, marks and deletes through RPC until the server is gone; keeps what was answered."""

    port: int
    user: str
    stored: set[str] = field(default_factory=set)
    marked: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    """Names whose deletion was asked for; without an answer it may have happened."""

    def run(self, number: int) -> None:
        proxy = xmlrpc.client.ServerProxy(f"http://127.0.0.1:{self.port}/", allow_none=True)

        def di(function: str, *args: object) -> object:
            return proxy.di("msg_storage", function, DOMAIN, self.user, *args)

        try:
            for count in range(100_000):
                name = f"{1_700_000_000 + count}+{number}.wav"
                assert di("msg_new", name, xmlrpc.client.Binary(content(name))) == [0]
                self.stored.add(name)
                if count % 2:
                    assert di("msg_markread", name) == [0]
                    self.marked.add(name)
                if count % 3 == 2:
                    self.asked.add(name)
                    assert di("msg_delete", name) == [0]
                    self.deleted.add(name)
        except (OSError, xmlrpc.client.ProtocolError, EOFError):
            return  # the hub is gone


def one_kill(server: Server, boxes: Path, user: str, chance: random.Random) -> int:
    """Let clients work, kill the hub at some moment, start it, compare. Returns how many stores had been answered."""
    clients = [Client(server.xml_port, user) for _ in range(CLIENTS)]
    threads = [threading.Thread(target=client.run, args=(number,)) for number, client in enumerate(clients)]
    for thread in threads:
        thread.start()
    wait_until(lambda: any(client.stored for client in clients), "a first message")
    time.sleep(chance.uniform(0, 0.4))  # the moment is what is tried out
    os.kill(server.pid, signal.SIGKILL)
    server.wait_status()
    for thread in threads:
        thread.join(30)
    server.forget_log()
    server.start()
    code, listed = server.xml.di("msg_storage", "userdir_open", DOMAIN, user)
    assert code == 0
    new = {name: unread for name, unread, _ in listed}
    files = {path.name: path.read_bytes() for path in (boxes / DOMAIN / user).iterdir()}
    assert new.keys() == files.keys() and len(listed) == len(new), "shown is what is there, once"
    assert all(data == content(name) for name, data in files.items()), "none is torn"
    for client in clients:
        assert client.stored - client.asked <= new.keys(), "a message that was answered for is lost"
        assert not client.deleted & new.keys(), "a message that was deleted is back"
        assert not [name for name in client.marked & new.keys() if new[name]], "a message that was heard is new again"
    assert "Traceback" not in server.log and "cannot be used" not in server.log, server.log
    return sum(len(client.stored) for client in clients)


@pytest.mark.timeout(OWN_TIME_S)
def test_the_hub_is_killed_while_messages_are_kept(tmp_path: Path) -> None:
    boxes = tmp_path / "boxes"
    files = {"msg_storage.conf": f"storage_dir={boxes}\nmin_free_mb=0\n", "app_mapping.conf": "^sip:=>echo\n"}
    chance = random.Random(11)
    with Server(tmp_path, files, plugins="msg_storage;echo;xmlrpc2di") as server:
        answered = [one_kill(server, boxes, f"user{number}", chance) for number in range(KILLS)]
    assert sum(answered) >= KILLS
    print(f"{KILLS} kills, {sum(answered)} messages had been answered for")
