# SPDX-License-Identifier: GPL-2.0-or-later
"""RTP and RTCP as bytes and arrays (RFC 3550, RFC 4733)."""
