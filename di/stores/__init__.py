# SPDX-License-Identifier: GPL-2.0-or-later
"""Plug-ins that keep data."""
