# SPDX-License-Identifier: GPL-2.0-or-later
"""Plug-ins with functions for others, without calls of their own."""
