# SPDX-License-Identifier: GPL-2.0-or-later
"""baresip as a phone without a sound card: it says what a wav file holds and keeps what it hears.

    with Baresip(folder, G722, samples) as phone:
        phone.dial(f"sip:echo@127.0.0.1:{port}", 3)
        samples = phone.heard()

    with Baresip(folder, G722, samples) as phone:      # under command (its module ctrl_tcp: JSON in netstrings)
        phone.start()
        phone.command("dial", f"sip:echo@127.0.0.1:{port}")
        phone.event("CALL_ESTABLISHED")

Speech comes from its `aufile` source. What it hears is written by its `sndfile` filter before it goes to a player that leads
nowhere. Configuration, accounts and recordings live in a folder of the test. Without baresip a test skips on a desk and fails where
the environment variable CI is set.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from tests.support.ports import free_port, free_ports
from tests.support.server import wait_until

MODULE_FOLDERS = (Path("/usr/lib/baresip/modules"), Path("/usr/local/lib/baresip/modules"))


@dataclass(frozen=True, slots=True)
class PhoneCodec:
    """A codec as baresip names it. `rtpmap`: as our configuration names it · `module`: the file that brings it."""

    rtpmap: str
    name: str
    module: str
    rate_hz: int
    channels: int = 1


PCMU = PhoneCodec("PCMU/8000", "PCMU/8000/1", "g711", 8000)
PCMA = PhoneCodec("PCMA/8000", "PCMA/8000/1", "g711", 8000)
G722 = PhoneCodec("G722/8000", "G722/16000/1", "g722", 16000)
GSM = PhoneCodec("GSM/8000", "GSM/8000/1", "gsm", 8000)
L16 = tuple(PhoneCodec(f"L16/{rate_hz}", f"L16/{rate_hz}/1", "l16", rate_hz) for rate_hz in (8000, 16000, 32000, 44100, 48000))
OPUS = PhoneCodec("OPUS/48000", "opus/48000/2", "opus", 48000, 2)


def module_folder() -> Path:
    """Where baresip's modules are; without baresip skips, or fails under CI."""
    found = next((folder for folder in MODULE_FOLDERS if folder.is_dir()), None)
    if found is None or shutil.which("baresip") is None:
        if os.environ.get("CI"):
            pytest.fail("baresip is missing: install the package baresip-core")
        pytest.skip("baresip is missing (Debian package baresip-core)")
    return found


class Baresip:
    """One phone with one codec. `samples`: what it says, once, at the codec's rate. `ip`: where it listens, ::1 for IPv6.

    `encryption`: its `mediaenc`, as srtp (offered, with plain RTP's profile), srtp-mand, srtp-mandf. `certificate`: it takes calls by TLS.
    """

    def __init__(
        self,
        folder: Path,
        codec: PhoneCodec,
        samples: NDArray[np.int16],
        ip: str = "127.0.0.1",
        encryption: str = "",
        certificate: Path | None = None,
    ) -> None:
        self.folder, self.codec, self._ip = folder, codec, ip
        host = f"[{ip}]" if ":" in ip else ip
        folder.mkdir(parents=True)
        said = np.stack([samples] * codec.channels, axis=1)
        soundfile.write(str(folder / "says.wav"), said, codec.rate_hz, subtype="PCM_16")
        rtp_port = free_ports(42)
        modules = (codec.module, "aufile", "sndfile", "aubridge", *(("srtp",) if encryption else ()))
        self.sip_port, self._control_port = free_ports(2), free_port()
        self._control: socket.socket | None = None
        self._unread = b""
        self._events: list[dict[str, Any]] = []
        lines = [
            "poll_method select",
            # the next port is taken for TLS
            f"sip_listen {host}:{self.sip_port}",
            *((f"sip_certificate {certificate}",) if certificate is not None else ()),
            f"ctrl_tcp_listen 127.0.0.1:{self._control_port}",
            f"net_interface {ip}",
            f"rtp_ports {rtp_port}-{rtp_port + 40}",
            "jitter_buffer_delay 1-5",
            f"audio_source aufile,{folder}/says.wav",
            "audio_player aubridge,nowhere",
            "audio_alert aubridge,nowhere",
            f"snd_path {folder}",
            f"module_path {module_folder()}",
            *(f"module {name}.so" for name in modules),
            *(f"module_tmp {name}.so" for name in ("uuid", "account")),
            "module_app menu.so",
            "module_app ctrl_tcp.so",
        ]
        (folder / "config").write_text("\n".join(lines) + "\n")
        wish = f";mediaenc={encryption}" if encryption else ""
        (folder / "accounts").write_text(f"<sip:phone@{host}>;regint=0;audio_codecs={codec.name}{wish}\n")
        (folder / "contacts").write_text("")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        """Where it can be called."""
        return f"sip:phone@127.0.0.1:{self.sip_port}"

    def dial(self, uri: str, seconds: int) -> None:
        """Start the phone, let it call and hang up after so long; returns at once."""
        self._launch("-e", f"/dial {uri}", "-t", str(seconds))

    def start(self) -> None:
        """Start the phone and take command of it."""
        self._launch()
        self._control = wait_until(self._connected, f"baresip takes commands: {self.log}")

    def _launch(self, *arguments: str) -> None:
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                ["baresip", "-6" if ":" in self._ip else "-4", "-f", str(self.folder), *arguments],
                stdin=subprocess.PIPE,  # its end would be taken for a command
                stdout=log,
                stderr=log,
                env={**os.environ, "TERM": "dumb"},
            )

    # --------------------------------------------------------------------------------------------------------- under command
    def _connected(self) -> socket.socket | None:
        try:
            return socket.create_connection(("127.0.0.1", self._control_port), 1)
        except OSError:
            return None

    def command(self, name: str, params: str = "") -> str:
        """Carry out one of its menu's long commands; what it prints. Raises AssertionError when it fails."""
        assert self._control is not None
        order = json.dumps({"command": name, "params": params}).encode()
        self._control.sendall(b"%d:%s," % (len(order), order))
        while True:
            message = self._next(40)
            if "response" in message:
                assert message["ok"], f"{name} {params}: {message}\n{self.log}"
                return str(message["data"])
            self._events.append(message)

    def event(self, kind: str, patience_s: float = 40) -> dict[str, Any]:
        """The next event of a type (`CALL_INCOMING`, `CALL_ESTABLISHED`, `CALL_CLOSED` …); those before it are passed over."""
        while self._events:
            if (known := self._events.pop(0))["type"] == kind:
                return known
        while True:
            message = self._next(patience_s)
            if message.get("type") == kind:
                return message

    def _next(self, patience_s: float) -> dict[str, Any]:
        assert self._control is not None
        self._control.settimeout(patience_s)
        while True:
            head, colon, rest = self._unread.partition(b":")
            if colon and len(rest) > int(head):
                self._unread = rest[int(head) + 1 :]
                return dict(json.loads(rest[: int(head)]))
            data = self._control.recv(65536)
            assert data, f"baresip is gone:\n{self.log}"
            self._unread += data

    def rates(self) -> tuple[int, int]:
        """Bits a second of audio that it sends and gets, over its last three seconds."""
        found = re.findall(r"audio=([0-9]+)/([0-9]+)", self.log)
        return (int(found[-1][0]), int(found[-1][1])) if found else (0, 0)

    def quit(self) -> None:
        """Let it end by itself, so that what it heard is on disk."""
        self.command("quit")
        self.wait()

    def wait(self) -> None:
        """Wait until it has hung up."""
        assert self._process is not None
        try:
            self._process.wait(40)
        except subprocess.TimeoutExpired:
            self.stop()
            raise AssertionError(f"baresip did not end:\n{self.log}") from None

    @property
    def log(self) -> str:
        """The end of what it printed."""
        return (self.folder / "log").read_text(errors="replace")[-3000:]

    def heard(self) -> NDArray[np.int16]:
        """All that it heard, its first channel, at the codec's rate."""
        self.wait()
        files = sorted(self.folder.glob("dump-*-dec.wav"))
        assert files, f"baresip heard nothing:\n{self.log}"
        samples, rate_hz = soundfile.read(str(files[-1]), dtype="int16", always_2d=True)
        assert rate_hz == self.codec.rate_hz
        return np.ascontiguousarray(samples[:, 0])

    def stop(self) -> None:
        """End it now."""
        if self._control is not None:
            self._control.close()
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Baresip:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()
