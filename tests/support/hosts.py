# SPDX-License-Identifier: GPL-2.0-or-later
"""Host names for one process alone: a program that is started with this environment finds them, the machine stays as it is."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from pathlib import Path

import pytest


def known_hosts(folder: Path, addresses: Mapping[str, str]) -> dict[str, str]:
    """The environment in which each name has its address (libnss_wrapper). Without that library skips, or fails under CI."""
    library = "libnss_wrapper.so"
    try:
        ctypes.CDLL(library)  # found as the loader will find it; here it wraps nothing
    except OSError:
        text = "libnss_wrapper is missing (Debian package libnss-wrapper)"
        if os.environ.get("CI"):
            pytest.fail(text)
        pytest.skip(text)
    hosts = folder / "hosts"
    hosts.write_text("".join(f"{ip} {name}\n" for name, ip in {"localhost": "127.0.0.1", **addresses}.items()))
    return {"LD_PRELOAD": library, "NSS_WRAPPER_HOSTS": str(hosts)}
