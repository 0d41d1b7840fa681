# SPDX-License-Identifier: GPL-2.0-or-later
"""Prompts made of text at set-up: `cordboard prompts`. The server itself never imports this; it plays files.

etc/prompts/<language>.txt ─► texts ─► engine (one command, any program that speaks into a wav file) ─► level ─► <language>/<name>.wav
                                         └ not there ─► tones ──────────────────────────────────────────┘
"""
