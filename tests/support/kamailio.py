# SPDX-License-Identifier: GPL-2.0-or-later
"""Kamailio as registrar and proxy with digest, by UDP on loopback: own folder, free port, stopped by PID.

with Kamailio(users={"anna": "secret"}) as kamailio:
    kamailio.port, kamailio.contacts("anna")

`routes` is put in front of what its main route does, for tests with other wishes. Without Kamailio a test skips on a desk and fails where
the environment variable CI is set.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from tests.support.databases import program
from tests.support.ports import free_port

_START_S = 30
_CONFIG = """
debug={debug}
log_stderror=yes
fork=yes
children=2
tcp_children=1
disable_tcp=yes
auto_aliases=no
listen=udp:127.0.0.1:{port}
{modules}
loadmodule "ctl.so"
modparam("ctl", "binrpc", "unix:{folder}/ctl")
modparam("jsonrpcs", "fifo_name", "{folder}/fifo")
modparam("jsonrpcs", "transport", 2)
modparam("usrloc", "db_mode", 0)
modparam("usrloc", "timer_interval", 1)
modparam("registrar", "min_expires", {min_expires})
modparam("registrar", "max_expires", {max_expires})
modparam("registrar", "default_expires", {max_expires})
modparam("auth", "nonce_expire", {nonce_s})
modparam("auth", "algorithm", "{algorithm}")
modparam("auth", "nonce_count", 1)
modparam("auth", "qop", "auth")
modparam("rr", "enable_full_lr", 1)
modparam("htable", "htable", "users=>size=4;")

event_route[htable:mod-init] {{
{users}
}}

request_route {{
{routes}
    if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
    if (is_method("CANCEL")) {{ if (t_check_trans()) t_relay(); exit; }}
    if (has_totag()) {{
        if (loose_route()) {{ t_relay(); exit; }}
        if (is_method("ACK") && t_check_trans()) t_relay();
        exit;
    }}
    t_check_trans();
    if (is_method("REGISTER|INVITE|MESSAGE") && $au == $null && !(is_method("INVITE") && $sht(users=>$fU) == $null)) {{ route(ASK); }}
    if ($au != $null) {{
        if ($sht(users=>$au) == $null || !pv_auth_check("127.0.0.1", "$sht(users=>$au)", "0", "0")) {{ route(ASK); }}
        consume_credentials();
    }}
    if (is_method("REGISTER")) {{ if (!save("location")) sl_reply_error(); exit; }}
    if (is_method("INVITE")) record_route();
    if (!lookup("location")) {{ sl_send_reply("404", "Not Found"); exit; }}
    t_relay();
}}

route[ASK] {{
    if (is_method("REGISTER")) {{ www_challenge("127.0.0.1", "1"); }} else {{ proxy_challenge("127.0.0.1", "1"); }}
    exit;
}}
"""
_MODULES = "tm tmx sl rr pv maxfwd usrloc registrar textops siputils xlog auth htable jsonrpcs kex".split()


class Kamailio:
    """A registrar whose realm is 127.0.0.1; callers who are none of its users need no password. Use as a context manager."""

    def __init__(
        self,
        users: Mapping[str, str],
        *,
        algorithm: str = "MD5",
        min_expires: int = 0,
        max_expires: int = 600,
        nonce_s: int = 300,
        routes: str = "",
        debug: int = 1,
    ) -> None:
        self._program = program("kamailio", "kamailio")
        self._folder = tempfile.TemporaryDirectory(prefix="cordboard-kamailio-")
        self.folder = Path(self._folder.name)
        self._arguments = ["-m", "32", "-M", "4"]
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        text = _CONFIG.format(
            port=self.port, folder=self.folder, modules="\n".join(f'loadmodule "{name}.so"' for name in _MODULES), debug=debug,
            users="\n".join(f'    $sht(users=>{user}) = "{password}";' for user, password in users.items()), routes=routes,
            algorithm=algorithm, min_expires=min_expires, max_expires=max_expires, nonce_s=nonce_s,
        )  # fmt: skip
        (self.folder / "kamailio.cfg").write_text(text)

    @property
    def log(self) -> str:
        """What it has written."""
        return (self.folder / "log").read_text(errors="replace")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self.folder / "log").open("ab") as out:
            self._process = subprocess.Popen(
                [self._program, "-DD", "-f", str(self.folder / "kamailio.cfg"), "-Y", str(self.folder), *self._arguments],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
            )  # fmt: skip
        end = time.monotonic() + _START_S
        while not self._answers():
            assert self._process.poll() is None, self.log[-2000:]
            assert time.monotonic() < end, self.log[-2000:]

    def _answers(self) -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(0.2)
            sock.connect(("127.0.0.1", self.port))
            own = sock.getsockname()[1]
            try:
                sock.send(
                    f"OPTIONS sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{own};branch=z9hG4bKup\r\nFrom: <sip:t@t>;tag=1\r\n"
                    f"To: <sip:t@t>\r\nCall-ID: up\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 5\r\nContent-Length: 0\r\n\r\n".encode()
                )
                return sock.recv(4000).startswith(b"SIP/2.0")
            except OSError:
                return False

    def contacts(self, user: str) -> dict[str, int]:
        """What is bound to a user now: contact URI → seconds left."""
        text = self.command("ul.lookup", "location", user)
        found = re.findall(r"Address: (\S+).*?Expires: (-?\d+)", text, re.DOTALL)
        return {uri: int(left) for uri, left in found}

    def count(self) -> int:
        """How many contacts are bound."""
        return self.command("ul.dump").count("Address: ")

    def command(self, *words: str) -> str:
        """Ask it by its control socket; what it says, errors too."""
        done = subprocess.run(
            [program("kamcmd", "kamailio"), "-s", f"unix:{self.folder}/ctl", *words],
            check=False, capture_output=True, text=True, timeout=20,
        )  # fmt: skip
        return done.stdout + done.stderr

    def kill(self) -> None:
        """End it at once, with all that it knew."""
        if self._process is None:
            return
        pids = [self._process.pid, *_children(self._process.pid)]
        for pid in pids:
            _signal(pid)
        self._process.wait(10)
        self._process = None

    def __enter__(self) -> Kamailio:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.kill()
        self._folder.cleanup()


def _children(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children]


def _signal(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
