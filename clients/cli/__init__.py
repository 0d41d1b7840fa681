# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs for the shell: `cordboard rpc`, `cordboard top`, and SEMS's `sems-list-calls` family. They speak only the wire."""
