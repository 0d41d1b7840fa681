# SPDX-License-Identifier: GPL-2.0-or-later
"""The shared library that protects RTP: which one it is, and whether this machine has it. The media process calls it, the hub asks."""

from __future__ import annotations

import ctypes
import os
import sys

NAME = "libsrtp2.so.1"
OWN = os.path.join(sys.prefix, "lib", "libcordboard-srtp.so")
"""The same library with faster ciphers, which `etc/setup/srtp.sh` builds."""
PACKAGE = "libsrtp2-1"
"""Debian's."""

SUITES = {"AEAD_AES_128_GCM": (16, 12), "AES_CM_128_HMAC_SHA1_80": (16, 14)}
"""Bytes of master key and salt of each suite that is spoken, the most wanted first (RFC 7714 §12, RFC 4568 §6.2.1)."""


def load() -> ctypes.CDLL | None:
    """The library: our own build, else the system's; None when neither is there."""
    for name in (OWN, NAME):
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None
