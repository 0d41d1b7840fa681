# SPDX-License-Identifier: GPL-2.0-or-later
"""Diagrams in real calls: a thin adapter between `di.dsm.run` and `di.calls`."""
