# SPDX-License-Identifier: GPL-2.0-or-later
"""What set-up has compiled is what is called afterwards: nobody waits for a compiler then, no tick and no test."""

from __future__ import annotations

from media.engine.receive import receive_batch
from media.engine.warm import warm
from tests.support.engine_rig import EngineRig, rtp


def test_the_engines_rig_takes_packets_in_by_the_code_that_set_up_compiled() -> None:
    """One signature: another, as of a count of 32 bits, took every worker of the tests a compilation of a minute."""
    warm()
    rig = EngineRig()
    port = rig.connect(1, ("10.0.0.1", 4000))
    rig.arrive(port, ("10.0.0.1", 4000), rtp(1, 160, bytes(160)))
    rig.tick()
    assert rig.counter("packets_received") == 1
    assert len(receive_batch.signatures) == 1  # type: ignore[attr-defined]
