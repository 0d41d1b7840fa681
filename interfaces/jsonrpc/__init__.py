# SPDX-License-Identifier: GPL-2.0-or-later
"""JSON-RPC 2.0 over netstrings (spec di.md §4)."""
