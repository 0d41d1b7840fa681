# SPDX-License-Identifier: GPL-2.0-or-later
"""For all tests: Hypothesis asserts no times, because a busy machine is not a fault of the code; at full size it tries more."""

from hypothesis import HealthCheck, settings

from tests.support.sizes import size

settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=size(100, 5_000))
settings.load_profile("patient")
