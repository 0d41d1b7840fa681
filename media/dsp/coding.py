# SPDX-License-Identifier: GPL-2.0-or-later
"""How the bytes of a payload stand for samples, as the kernels know it. Constants only: kernels have them in their machine code."""

from __future__ import annotations

MU_LAW = 0
A_LAW = 1
"""G.711, a byte a sample."""

LINEAR_16 = 2
"""16 bits in network order (RFC 3551 §4.5.11)."""

NATIVE = 3
"""16 bits in this machine's order: what a library codec's coder (``Codec.coder``) takes and gives."""
