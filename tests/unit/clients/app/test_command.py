# SPDX-License-Identifier: GPL-2.0-or-later
"""`cordboard app`: where a server's door is; the rest is run beside a server in tests/peers/test_app_command.py."""

from __future__ import annotations

import pytest

from clients.app.command import door_of, main


@pytest.mark.parametrize(
    ("url", "door"),
    [
        ("http://127.0.0.1:8080/jsonrpc", "ws://127.0.0.1:8080/apps"),
        ("https://server.example/jsonrpc", "wss://server.example/apps"),
        ("wss://[::1]:9000/apps", "wss://[::1]:9000/apps"),
    ],
)
def test_the_door_stands_beside_json_rpc(url: str, door: str) -> None:
    assert door_of(url) == door


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "ftp://server/", "http://", ""])
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(ValueError, match="right is http"):
        door_of(url)


def test_without_a_command_there_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 1
    assert "new" in capsys.readouterr().out


def test_a_configuration_is_read_by_the_server_s_command_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CORDBOARD_URL", raising=False)
    assert main(["list", "-f", "sems.conf"]) == 1
    assert "give --url here" in capsys.readouterr().err
