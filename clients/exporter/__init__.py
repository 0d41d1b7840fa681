# SPDX-License-Identifier: GPL-2.0-or-later
"""Prometheus exporter as a program of its own, over XML-RPC: for SEMS, or where cordboard's own /metrics cannot be reached."""
