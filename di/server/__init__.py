# SPDX-License-Identifier: GPL-2.0-or-later
"""The server around the calls: plug-ins, configuration, status, health, metrics, and the DI interfaces `core` and `rooms`."""
