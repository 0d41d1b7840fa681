# SPDX-License-Identifier: GPL-2.0-or-later
"""Where registered users are (RFC 3261 §10): bindings of addresses-of-record to contacts, by a pure book, kept on the disk by a keeper."""
