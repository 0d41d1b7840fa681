# SPDX-License-Identifier: GPL-2.0-or-later
"""Protection of RTP and RTCP by libsrtp (RFC 3711, RFC 7714): contexts made here, used by kernels, which get addresses only.

    key, suite ─► receiving / sending ─► context ─► ``media/engine/secure.py``: one C call a packet ─► close

A context holds session keys, rollover counters and replay windows of a direction. libsrtp zeroes the keys when it is closed.
"""

from __future__ import annotations

import ctypes
from functools import cache

import numpy as np
from numpy.typing import NDArray

from media.control.records import SrtpKey
from media.control.srtp_library import NAME, PACKAGE, SUITES, load
from media.rtp.srtp_numbers import OK, TAG_BYTES

WINDOW_PACKETS = 1024
"""Replay window: what comes later than so many after it was sent counts as a replay (RFC 3711 §3.3.2 wants 64 at least)."""

_SPECIFIC, _ANY_INBOUND = 1, 2
_AES_CM, _AES_GCM, _NO_AUTHENTICATION, _HMAC_SHA1 = 1, 6, 0, 3
_CONFIDENTIAL_AND_AUTHENTIC = 3
_HMAC_KEY_BYTES, _HMAC_TAG_BYTES = 20, 10


class SrtpError(Exception):
    """A context cannot be made; the text says why and what to change."""


class _Ssrc(ctypes.Structure):
    _fields_ = (("type", ctypes.c_int), ("value", ctypes.c_uint))


class _Cipher(ctypes.Structure):
    _fields_ = (
        ("cipher", ctypes.c_uint32), ("key_bytes", ctypes.c_int), ("authentication", ctypes.c_uint32),
        ("authentication_key_bytes", ctypes.c_int), ("tag_bytes", ctypes.c_int), ("services", ctypes.c_int),
    )  # fmt: skip


class _MasterKey(ctypes.Structure):
    _fields_ = (("key", ctypes.c_char_p), ("mki", ctypes.c_char_p), ("mki_bytes", ctypes.c_uint))


class _Policy(ctypes.Structure):
    """What libsrtp 2 is told of a context (`struct srtp_policy_t`)."""

    _fields_ = (
        ("ssrc", _Ssrc), ("rtp", _Cipher), ("rtcp", _Cipher), ("key", ctypes.c_char_p),
        ("keys", ctypes.POINTER(ctypes.POINTER(_MasterKey))), ("key_count", ctypes.c_ulong), ("deprecated", ctypes.c_void_p),
        ("window", ctypes.c_ulong), ("repeats", ctypes.c_int), ("extensions", ctypes.c_void_p), ("extension_count", ctypes.c_int),
        ("next", ctypes.c_void_p),
    )  # fmt: skip


@cache
def _library() -> ctypes.CDLL:
    library = load()
    if library is None:
        raise SrtpError(f"SRTP needs {NAME}: install the package {PACKAGE}")
    for name in ("srtp_create", "srtp_add_stream"):
        getattr(library, name).argtypes = [ctypes.c_void_p, ctypes.POINTER(_Policy)]
    library.srtp_dealloc.argtypes = [ctypes.c_void_p]
    library.srtp_get_stream_roc.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.POINTER(ctypes.c_uint32)]
    library.srtp_set_stream_roc.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32]
    _check(library.srtp_init(), "srtp_init")
    return library


@cache
def functions() -> NDArray[np.uint64]:
    """Addresses of libsrtp's functions for kernels, uint64 (4,). Raises SrtpError."""
    names = ("srtp_unprotect_mki", "srtp_unprotect_rtcp_mki", "srtp_protect", "srtp_protect_rtcp")
    addresses = [ctypes.cast(getattr(_library(), name), ctypes.c_void_p).value or 0 for name in names]
    return np.array(addresses, np.uint64)


def receiving(suite: str, keys: tuple[SrtpKey, ...], rollovers: tuple[int, int] | None = None) -> int:
    """Make a context for what a peer sends, whatever its SSRCs. Raises SrtpError.

    `rollovers`: SSRC of a stream that goes on under these keys, and its rollover counter (RFC 3711 §3.3.1).
    """
    return _context(suite, keys, _Ssrc(_ANY_INBOUND, 0), rollovers)


def sending(suite: str, key: bytes, ssrc: int, rollover: int = 0) -> int:
    """Make a context for what we send with one SSRC. Raises SrtpError."""
    context = _context(suite, (SrtpKey(key),), _Ssrc(_SPECIFIC, ssrc), None)
    if rollover:
        _go_on(context, ssrc, rollover)
    return context


def rollover_of(context: int, ssrc: int) -> int:
    """The rollover counter of a stream of a context; 0 for one that has sent nothing."""
    found = ctypes.c_uint32()
    return int(found.value) if _library().srtp_get_stream_roc(context, ssrc, ctypes.byref(found)) == OK else 0


def close(context: int) -> None:
    """Forget a context and its keys; 0 is none."""
    if context:
        _library().srtp_dealloc(context)


def _context(suite: str, keys: tuple[SrtpKey, ...], ssrc: _Ssrc, rollovers: tuple[int, int] | None) -> int:
    wanted = SUITES.get(suite)
    if wanted is None:
        raise SrtpError(f"no suite {suite!r}: known are {', '.join(SUITES)}")
    for key in keys:
        if len(key.key) != sum(wanted):
            raise SrtpError(f"a key of {len(key.key)} bytes for {suite}, which takes {sum(wanted)}")
    if not keys or len({len(key.mki) for key in keys}) != 1 or (len(keys) > 1 and not keys[0].mki):
        raise SrtpError("several keys need an MKI of one length each")
    library, context = _library(), ctypes.c_void_p()
    policy = _policy(suite, keys, ssrc)
    _check(library.srtp_create(ctypes.byref(context), policy), f"srtp_create of {suite}")
    made = context.value or 0
    if rollovers is not None:
        policy.ssrc = _Ssrc(_SPECIFIC, rollovers[0])
        status = library.srtp_add_stream(made, policy)
        if status != OK:
            close(made)
        _check(status, "srtp_add_stream")
        _go_on(made, *rollovers)
    return made


def _go_on(context: int, ssrc: int, rollover: int) -> None:
    """Let a stream go on with its rollover counter. Raises SrtpError; the context is closed then, with the keys in it."""
    status = _library().srtp_set_stream_roc(context, ssrc, rollover)
    if status != OK:
        close(context)
    _check(status, "srtp_set_stream_roc")


def _policy(suite: str, keys: tuple[SrtpKey, ...], ssrc: _Ssrc) -> _Policy:
    policy = _Policy(ssrc=ssrc, window=WINDOW_PACKETS)
    if suite == "AEAD_AES_128_GCM":
        cipher = (_AES_GCM, sum(SUITES[suite]), _NO_AUTHENTICATION, 0, TAG_BYTES, _CONFIDENTIAL_AND_AUTHENTIC)
    else:
        cipher = (_AES_CM, sum(SUITES[suite]), _HMAC_SHA1, _HMAC_KEY_BYTES, _HMAC_TAG_BYTES, _CONFIDENTIAL_AND_AUTHENTIC)
    policy.rtp, policy.rtcp = _Cipher(*cipher), _Cipher(*cipher)
    if not keys[0].mki:
        policy.key = keys[0].key
        return policy
    masters = [_MasterKey(key.key, key.mki, len(key.mki)) for key in keys]
    array = (ctypes.POINTER(_MasterKey) * len(masters))(*(ctypes.pointer(one) for one in masters))  # it keeps them alive
    policy.keys, policy.key_count = ctypes.cast(array, ctypes.POINTER(ctypes.POINTER(_MasterKey))), len(masters)
    return policy


def _check(status: int, what: str) -> None:
    if status != OK:
        raise SrtpError(f"{what} failed: libsrtp says {status}")
