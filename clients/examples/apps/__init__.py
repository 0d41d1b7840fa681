# SPDX-License-Identifier: GPL-2.0-or-later
"""Applications in Python: copy a file into `script_path` of apps.conf, its configuration beside it."""
