# SPDX-License-Identifier: GPL-2.0-or-later
"""SIP as values: what hub and SIP process say to each other, headers, URIs, credentials, application parameters."""
