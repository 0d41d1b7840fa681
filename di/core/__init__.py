# SPDX-License-Identifier: GPL-2.0-or-later
"""The server's core: sessions, limits, application choice, event queues, rooms, and the two child processes' supervision.

Read in this order: `events` (what a session can be told), `application` (the callbacks), `session`, `sessions`, `rooms`, `supervisor`.
Pure parts without loop or clock: `ids`, `limits`, `selection`, `app_params`, `headers`, `digits`, `rooms`.
"""
