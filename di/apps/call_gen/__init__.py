# SPDX-License-Identifier: GPL-2.0-or-later
"""`callgen` under the name that the presentation shows; both names load one plug-in, which reads callgen.conf."""

from __future__ import annotations

from di.apps import callgen

PLUGIN = callgen.PLUGIN
