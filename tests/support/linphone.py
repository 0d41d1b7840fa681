# SPDX-License-Identifier: GPL-2.0-or-later
"""linphonec as a phone without sound card or display: it says what a wav file holds and keeps what it hears.

    with Linphone(folder, "PCMU", 8000, samples) as phone:
        phone.command(f"call sip:echo@127.0.0.1:{port}")
        phone.waits_for("Media streams established")

It is led by lines on its standard input, as a user at a terminal would (`help` there lists them); a key is a line of its own. Its configuration
and recordings live in a folder of the test. Without linphonec a test skips on a desk and fails where the environment variable CI is set.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from types import TracebackType

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from tests.support import tones
from tests.support.ports import free_port, free_ports
from tests.support.server import wait_until
from tests.support.tls import self_signed

_CODEC = re.compile(r"^\s*(?:linphonec> )?\s*([0-9]+): (\S+) \(([0-9]+)\) (?:enabled|disabled)", re.MULTILINE)


def _own_certificate(folder: Path) -> str:
    """As many phones have one: pjsip asks for it, though nothing depends on it, and without one linphonec would ask the user."""
    path = self_signed(folder)
    return f"client_cert_chain={path}\nclient_cert_key={path}\n"


class Linphone:
    """One phone with one codec, as `codec list` names it. `samples`: what it says, once, at 8000 Hz · `transport`: the only one it has."""

    def __init__(self, folder: Path, codec: str, rate_hz: int, samples: NDArray[np.int16], transport: str = "UDP") -> None:
        if shutil.which("linphonec") is None:
            if os.environ.get("CI"):
                pytest.fail("linphonec is missing: install the package linphone-cli")
            pytest.skip("linphonec is missing (Debian package linphone-cli)")
        self.folder, self.codec, self.rate_hz = folder, codec, rate_hz
        (folder / ".local" / "share" / "linphone").mkdir(parents=True)  # it makes its database there, but not the folder
        tones.write_wav(folder / "says.wav", samples)
        rtp_port = free_ports(10)
        ports = {name: free_port() if name == transport else 0 for name in ("UDP", "TCP", "TLS")}
        lines = (
            f"[sip]\nsip_port={ports['UDP']}\nsip_tcp_port={ports['TCP']}\nsip_tls_port={ports['TLS']}\nverify_server_certs=0\n"
            f"verify_server_cn=0\n{_own_certificate(folder) if transport == 'TLS' else ''}"
            "guess_hostname=0\ncontact=sip:phone@127.0.0.1",
            f"[rtp]\naudio_rtp_port={rtp_port}-{rtp_port + 9}",
            "[video]\nenabled=0\ncapture=0\ndisplay=0\nautomatically_initiate=0\nautomatically_accept=0",
            "[sound]\nechocancellation=0\n",
        )
        (folder / "rc").write_text("\n".join(lines))
        self._log = (folder / "log").open("wb")
        self._process = subprocess.Popen(
            ["linphonec", "-c", str(folder / "rc")],
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=self._log,
            env={**os.environ, "HOME": str(folder), "TERM": "dumb"},
        )

    def __enter__(self) -> Linphone:
        try:
            # it would name an IPv6 address of the machine in its offers, whichever way they go
            self.command("ipv6 disable", "soundcard use files", f"play {self.folder}/says.wav", f"record {self.folder}/heard.wav")
            self._choose()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def _choose(self) -> None:
        """Leave one codec."""
        self.command("codec list")
        self.waits_for(r"L16 \(44100\)")
        known = {number: (name, int(clock)) for number, name, clock in _CODEC.findall(self.log)}
        assert (self.codec, self.rate_hz) in known.values(), f"linphonec has no {self.codec}:\n{self.log}"
        wanted = (self.codec, self.rate_hz)
        self.command(*(f"codec {'enable' if codec == wanted else 'disable'} {number}" for number, codec in known.items()))

    @property
    def log(self) -> str:
        """What it printed."""
        return (self.folder / "log").read_text(errors="replace")

    def command(self, *lines: str) -> None:
        """Type lines; what comes of them is printed."""
        assert self._process.stdin is not None and self._process.poll() is None, f"linphonec is gone:\n{self.log}"
        self._process.stdin.write("".join(line + "\n" for line in lines).encode())
        self._process.stdin.flush()

    def waits_for(self, pattern: str, times: int = 1) -> None:
        """Until it has printed so, so often."""
        wait_until(lambda: len(re.findall(pattern, self.log)) >= times, f"{self.codec}: linphonec says {pattern}", 40)

    def heard_bytes(self) -> int:
        """How much it has recorded: grows while it gets audio."""
        file = self.folder / "heard.wav"
        return file.stat().st_size if file.exists() else 0

    def quit(self) -> None:
        """Let it end by itself, so that what it heard is on disk."""
        self.command("quit")
        self._process.wait(20)

    def heard(self) -> tuple[NDArray[np.int16], int]:
        """All that it heard, and at how many Hz."""
        samples, rate_hz = soundfile.read(str(self.folder / "heard.wav"), dtype="int16", always_2d=True)
        return np.ascontiguousarray(samples[:, 0]), int(rate_hz)

    def stop(self) -> None:
        """End it now."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._log.close()
