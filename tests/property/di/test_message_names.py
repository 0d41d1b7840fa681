# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever names come from outside: nothing beyond the boxes is read, written, listed or deleted, and nothing raises."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from di.stores.messages import BoxOwner, Existing, MsgCode, message_name
from di.stores.msg_storage.names import Place, numbered, usable
from tests.support.boxes import keeper, recording
from tests.support.sizes import size

HOSTILE = st.sampled_from(
    [
        "..",
        ".",
        "",
        "/",
        "../..",
        "../secret",
        "a/../../secret",
        "/etc",
        ".spool",
        ".index.db",
        ".lock",
        "a\0b",
        "a\nb",
        "\ud800",
        "a" * 300,
        "é" * 200,
        "%2e%2e",
        "..\\x",
        "~",
        "-rf",
        "a/b",
        "outside",
        "\udcff\udcfe",
        "｡｡",
        "‥",
    ]
)
NAMES = HOSTILE | st.text(max_size=30) | st.lists(HOSTILE, max_size=3).map("/".join)


@settings(max_examples=size(60, 20_000), deadline=None)
@given(NAMES, NAMES, NAMES, st.sampled_from(Existing))
def test_no_name_leads_out(domain: str, user: str, name: str, existing: Existing) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "storage"
        secret = recording(Path(folder) / "secret", b"secret")
        (Path(folder) / "outside").mkdir()
        boxes = keeper(root)
        owner = BoxOwner(domain, user)
        with boxes.turn():
            path = recording(boxes.place.spool / "r.wav")
            stored = boxes.store(owner, name, path, existing)
            found = boxes.open(owner, stored.name or name)
            boxes.messages(owner)
            boxes.room_for(owner)
            boxes.mark_read(owner, stored.name or name)
            assert (stored.code is MsgCode.OK) == (found.code is MsgCode.OK) == (not path.exists())
            if found.path is not None:
                assert found.path.parent.parent.parent == root and found.path.resolve().is_relative_to(root)
            assert boxes.delete(owner, stored.name or name) is found.code
        boxes.close()
        assert sorted(os.listdir(folder)) == ["outside", "secret", "storage"]
        assert secret.read_bytes() == b"secret" and not os.listdir(Path(folder) / "outside")
        assert (root / ".index.db").is_file() and (root / ".spool").is_dir()


@given(NAMES, NAMES, NAMES)
def test_every_path_is_below_the_root(domain: str, user: str, name: str) -> None:
    path = Place(Path("/root")).message(BoxOwner(domain, user), name)
    if path is not None:
        assert os.path.normpath(path) == os.fspath(path) and len(path.parts) == 5
        assert not any(part.startswith(".") for part in path.parts)


@given(st.integers(0, 1 << 40), NAMES)
def test_a_message_of_any_sender_has_a_usable_name(epoch_s: int, sender: str) -> None:
    name = message_name(epoch_s, sender)
    assert usable(name) and usable(numbered(name, 9999)) and name.startswith(f"{epoch_s}+")
