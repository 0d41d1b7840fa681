# SPDX-License-Identifier: GPL-2.0-or-later
"""The media processes from the hub's side: they are started here, and a router makes them one."""
