# SPDX-License-Identifier: GPL-2.0-or-later
"""The attributes that are used here, with their numbers and types, in the field's own form (RFC 2865, 2866, 2869, 5176; Cisco's)."""

from __future__ import annotations

import io

from pyrad.dictionary import Dictionary

_TEXT = """\
ATTRIBUTE User-Name 1 string
ATTRIBUTE User-Password 2 octets
ATTRIBUTE NAS-Port-Type 61 integer
ATTRIBUTE Service-Type 6 integer
ATTRIBUTE Reply-Message 18 string
ATTRIBUTE State 24 octets
ATTRIBUTE Class 25 octets
ATTRIBUTE Session-Timeout 27 integer
ATTRIBUTE Termination-Action 29 integer
ATTRIBUTE Called-Station-Id 30 string
ATTRIBUTE Calling-Station-Id 31 string
ATTRIBUTE NAS-Identifier 32 string
ATTRIBUTE Proxy-State 33 octets
ATTRIBUTE Acct-Status-Type 40 integer
ATTRIBUTE Acct-Delay-Time 41 integer
ATTRIBUTE Acct-Session-Id 44 string
ATTRIBUTE Acct-Authentic 45 integer
ATTRIBUTE Acct-Session-Time 46 integer
ATTRIBUTE Acct-Terminate-Cause 49 integer
ATTRIBUTE Event-Timestamp 55 integer
ATTRIBUTE Message-Authenticator 80 octets
ATTRIBUTE Acct-Interim-Interval 85 integer
ATTRIBUTE Error-Cause 101 integer
VENDOR Cisco 9
BEGIN-VENDOR Cisco
ATTRIBUTE h323-credit-time 102 string
END-VENDOR Cisco
"""

DICTIONARY = Dictionary(io.StringIO(_TEXT))
CREDIT_TIME = (9, 102)
"""Vendor and number of Cisco's h323-credit-time, which prepaid servers of VoIP answer with."""
