# SPDX-License-Identifier: GPL-2.0-or-later
"""All legs of a 20 ms tick as arrays: leg table, receive and render kernels, playlists, rooms, ports. No socket, no clock."""
