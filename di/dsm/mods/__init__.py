# SPDX-License-Identifier: GPL-2.0-or-later
"""The modules that scripts import, one file each (spec dsm.md §5)."""
