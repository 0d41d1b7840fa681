# SPDX-License-Identifier: GPL-2.0-or-later
"""The language of state diagrams: text → model, checked and drawn. No call, no clock."""
