# SPDX-License-Identifier: GPL-2.0-or-later
"""access.conf: where credentials are kept and how hard guessing is.

Optional; without an access file nobody has to log in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from di.kernel.config import ConfigFile
from di.kernel.options import load, option


@dataclass(frozen=True)
class AccessOptions:
    """Keys of access.conf."""

    access_file: str = option(
        "access.secrets", help="File with roles, users and tokens, made by `cordboard token`; relative to this file's folder."
    )
    lockout_failures: int = option(5, help="So many wrong credentials lock a source address out.", minimum=1, maximum=1000)
    lockout_s: int = option(
        60, help="For how long; twice as long each further time, up to an hour.", unit="s", minimum=1, maximum=3600
    )
    requests_per_s: int = option(
        500, help="Requests that one source address may send on average, not counting this machine; 0: no limit.", maximum=1000000
    )


def read_options(conf_dir: Path, environ: Mapping[str, str]) -> tuple[AccessOptions, Path]:
    """Read `<conf_dir>/access.conf`, if there is one; return the options and the access file's path.

    Raises ConfigError.
    """
    path = conf_dir / "access.conf"
    conf = ConfigFile.read(path, conf_dir) if path.is_file() else ConfigFile.empty(str(path))
    options = load(AccessOptions, conf, environ, "access")
    return options, conf_dir / options.access_file
