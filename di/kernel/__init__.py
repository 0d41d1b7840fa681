# SPDX-License-Identifier: GPL-2.0-or-later
"""What every part stands on: values, errors, registry, configuration, clock, logs, event log and queues, child processes. It knows no call."""
