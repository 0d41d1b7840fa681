# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs for the shell: `cordboard rpc`, `cordboard top`, those of SEMS (`sems-list-calls`, `sems-sbc-list-profiles` …). They speak only the wire."""
