# SPDX-License-Identifier: GPL-2.0-or-later
"""cc_radius.conf."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from di.kernel.options import REQUIRED, option
from di.kernel.paths import absolute_path

_AUTH_PORT, _ACCT_PORT = 1812, 1813
_SHORTEST_SECRET = 8


@dataclass(frozen=True, slots=True)
class RadiusHost:
    """A server: where it is asked, and where it is told."""

    host: str
    auth_port: int = _AUTH_PORT
    acct_port: int = _ACCT_PORT

    @property
    def where(self) -> str:
        """For messages."""
        return f"{self.host}:{self.auth_port}"


@dataclass(frozen=True, slots=True)
class RadiusSecrets:
    """Shared secrets by host; "" stands for every other. Never shown."""

    by_host: dict[str, bytes] = field(repr=False)

    def of(self, host: str) -> bytes:
        """The secret of a host; empty without one."""
        return self.by_host.get(host) or self.by_host.get("", b"")


def parse_hosts(text: str) -> tuple[RadiusHost, ...]:
    """Read a list of HOST, HOST:PORT or HOST:PORT:ACCOUNTING PORT. Raises ValueError with what would be right."""
    found = []
    for part in text.split(","):
        host, *ports = part.strip().split(":")
        if not host or len(ports) > 2 or not all(port.isdigit() and 0 < int(port) < 1 << 16 for port in ports):
            raise ValueError("right is a list of host, host:port or host:port:accounting port")
        auth = int(ports[0]) if ports else _AUTH_PORT
        found.append(RadiusHost(host, auth, int(ports[1]) if len(ports) > 1 else auth + 1))
    return tuple(found)


def parse_secrets(text: str) -> RadiusSecrets:
    """Read a file: one line with the secret of all servers, or a line `HOST SECRET` for each. Raises ValueError; it names no secret."""
    try:
        lines = [line.split() for line in Path(text).read_text("utf-8").splitlines() if line.strip() and not line.startswith("#")]
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{text} cannot be read: {error}") from error
    found: dict[str, bytes] = {}
    for words in lines:
        if len(words) > 2 or len(words[-1]) < _SHORTEST_SECRET:
            raise ValueError(
                f"right are lines SECRET or HOST SECRET, each secret of {_SHORTEST_SECRET} letters or more, without spaces"
            )
        found[words[0] if len(words) == 2 else ""] = words[-1].encode()
    if not found:
        raise ValueError(f"{text} has no secret")
    return RadiusSecrets(found)


@dataclass(frozen=True)
class Options:
    """Keys of cc_radius.conf."""

    servers: tuple[RadiusHost, ...] = option(
        REQUIRED, help="HOST, HOST:PORT or HOST:PORT:ACCOUNTING PORT, the preferred one first.", parse=parse_hosts
    )
    secret_file: RadiusSecrets = option(
        REQUIRED, help="File with the shared secret, or with lines HOST SECRET.", parse=parse_secrets, secret=True
    )
    nas_identifier: str = option("", help="NAS-Identifier; empty: the machine's name.")
    timeout_ms: int = option(
        500, help="First wait for an answer; each further one is twice as long.", unit="ms", minimum=50, maximum=10_000
    )
    attempts: int = option(2, help="How often a server is asked before the next one is.", minimum=1, maximum=10)
    dead_time: int = option(30, help="A server that did not answer is asked last for so long.", unit="s", maximum=3600)
    require_message_authenticator: bool = option(
        True, help="Take no answer to an Access-Request without Message-Authenticator (CVE-2024-3596)."
    )
    interim_interval: int = option(
        600,
        help="Accounting updates while a call lasts, unless the server says Acct-Interim-Interval; 0: none.",
        unit="s",
        maximum=86400,
    )
    slice: int = option(
        0,
        help="Grant so much at a time, and ask again with an update before; 0: all of Session-Timeout at once.",
        unit="s",
        maximum=86400,
    )
    refuse_code: int = option(
        403, help="Reply to a call that is rejected; its reason is Reply-Message.", minimum=400, maximum=699
    )
    disconnect_ip: str = option("0.0.0.0", help="Address where Disconnect- and CoA-Requests are taken.")
    disconnect_port: int = option(0, help="Its port (RFC 5176: 3799), for those servers only; 0: none.", maximum=65535)
    warn: int = option(0, help="Play `warn_file` so long before the end; 0: not.", unit="s", maximum=3600)
    warn_file: str = option("", help="What is played then, over the conversation, to the caller only.")
    file: Path | None = option(
        None, help="SQLite file of the calls whose Stop is to be told; without it a crash forgets them.", parse=absolute_path
    )
