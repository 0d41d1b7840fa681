# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls: their phases, queues, audio, dialogs and second legs, and how an application steers one."""
