# SPDX-License-Identifier: GPL-2.0-or-later
"""Ways out of the spool. Each takes batches in order, at least once; a record's id tells a receiver what it has already."""
