# SPDX-License-Identifier: GPL-2.0-or-later
"""Signal processing on arrays of samples."""
