# SPDX-License-Identifier: GPL-2.0-or-later
"""Diagrams, modules and prompts from files."""
