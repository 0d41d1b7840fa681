# SPDX-License-Identifier: GPL-2.0-or-later
"""How languages say numbers, dates and times: one set of rules, for applications (`di.apps.speech`) and for scripts (`mod_utils`)."""
