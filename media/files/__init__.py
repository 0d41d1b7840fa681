# SPDX-License-Identifier: GPL-2.0-or-later
"""Audio files: bytes to samples and samples to bytes."""
