# SPDX-License-Identifier: GPL-2.0-or-later
"""Applications: what a call can be taken by. They import `di.apps.api` and what stands beside it."""
