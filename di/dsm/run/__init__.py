# SPDX-License-Identifier: GPL-2.0-or-later
"""A diagram that runs: engine, what it asks of a call, the simulator."""
