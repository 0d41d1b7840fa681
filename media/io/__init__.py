# SPDX-License-Identifier: GPL-2.0-or-later
"""The shell of the media process: UDP sockets, ticker, file loader, link to the hub."""
