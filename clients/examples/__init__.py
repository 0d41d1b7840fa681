# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs to begin with: take one, change it."""
