# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs for the shell: `cordboard rpc`, `cordboard top`, SEMS's `sems-list-calls` and `sems-sbc-…` families. They speak only the wire."""
