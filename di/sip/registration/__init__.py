# SPDX-License-Identifier: GPL-2.0-or-later
"""Registrations of our own at other servers (RFC 3261 §10.2): who registers where, when, and what the registrar said. Pure.

    account.py    who, where, and how stubbornly          contacts.py       what a reply grants
    binding.py    one registration, from REGISTER to end  pacing.py         so many requests a second; the least busy second
    book.py       all of them: what is to be sent now, and when to ask again

Whoever drives it (`di.calls.registering`) sends the requests, brings the replies and keeps the time.
"""
