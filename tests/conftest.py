# SPDX-License-Identifier: GPL-2.0-or-later
"""For all tests: Hypothesis asserts no times, because a busy machine is not a fault of the code."""

from hypothesis import HealthCheck, settings

settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
