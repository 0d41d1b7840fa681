# SPDX-License-Identifier: GPL-2.0-or-later
"""Numbers of libsrtp's that kernels have in their machine code, apart from ``srtp.py``, which needs what is not for kernels."""

from __future__ import annotations

UNPROTECT, UNPROTECT_RTCP, PROTECT, PROTECT_RTCP = range(4)
"""Places in ``media.rtp.srtp.functions``."""
OK, NOT_AUTHENTIC, REPLAY, REPLAY_OLD, WRONG_MKI = 0, 7, 9, 10, 25
"""What libsrtp's functions return (srtp_err_status_t)."""

TAG_BYTES = 16
"""The longest tag that a suite adds to a packet; SRTCP adds INDEX_BYTES more (RFC 3711 §3.4)."""
INDEX_BYTES = 4
